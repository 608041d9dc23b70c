/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM <$module.name$>

#if !defined(TRACE_PAYLOAD_H) || defined(TRACE_HEADER_MULTI_READ)
#define TRACE_PAYLOAD_H

#include <linux/tracepoint.h>

<$block : join(\n)$>
#endif /* TRACE_PAYLOAD_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace_payload
#include <trace/define_trace.h>
