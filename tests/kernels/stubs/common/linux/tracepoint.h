/* SPDX-License-Identifier: GPL-2.0-only */
/* The first of the readings of TRACE_EVENT(): the function to be called. */
#ifndef STUB_COMMON_LINUX_TRACEPOINT_H
#define STUB_COMMON_LINUX_TRACEPOINT_H

#define PARAMS(args...) args
#define TP_PROTO(args...) args
#define TP_ARGS(args...) args

struct tracepoint {
	const char *name;
	int state;
	void **funcs;
};

#define DECLARE_TRACE(name, proto, args)				\
	extern struct tracepoint __tracepoint_##name;			\
	static inline void trace_##name(proto)				\
	{								\
		void **function = __tracepoint_##name.funcs;		\
									\
		if (__tracepoint_##name.state)				\
			for (; *function; function++)			\
				((void (*)(proto))*function)(args);	\
	}
#define DEFINE_TRACE(name) \
	struct tracepoint __tracepoint_##name = { #name, 0, 0 };
#define TRACE_EVENT(name, proto, args, tstruct, assign, print) \
	DECLARE_TRACE(name, PARAMS(proto), PARAMS(args))

#endif
