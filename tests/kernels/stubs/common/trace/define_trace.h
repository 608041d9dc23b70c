/* SPDX-License-Identifier: GPL-2.0-only */
/* The further readings of a header with trace events. */
#ifdef CREATE_TRACE_POINTS
#undef CREATE_TRACE_POINTS

#include <linux/stringify.h>
#include <linux/module.h>

#undef TRACE_EVENT
#define TRACE_EVENT(name, proto, args, tstruct, assign, print) \
	DEFINE_TRACE(name)

#define __TRACE_INCLUDE(system) __stringify(TRACE_INCLUDE_PATH/system.h)
#define TRACE_INCLUDE(system) __TRACE_INCLUDE(system)

#define TRACE_HEADER_MULTI_READ
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)
#include <trace/ftrace.h>
#undef TRACE_HEADER_MULTI_READ
#undef TRACE_EVENT

#define CREATE_TRACE_POINTS
#endif
