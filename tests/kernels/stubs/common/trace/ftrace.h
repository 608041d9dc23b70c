/* SPDX-License-Identifier: GPL-2.0-only */
/* Record, assignment and text of each event. */
struct trace_entry {
	unsigned short type;
	int pid;
};

struct trace_seq;
int trace_seq_printf(struct trace_seq *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void *stub_reserve(size_t size);

#define TP_STRUCT__entry(args...) args
#define TP_fast_assign(args...) args
#define TP_printk(format, args...) format "\n", args

#define __field(type, item) type item;
#define __array(type, item, len) type item[len];
#undef TRACE_EVENT
#define TRACE_EVENT(call, proto, args, tstruct, assign, print)		\
	struct ftrace_raw_##call {					\
		struct trace_entry ent;					\
		tstruct							\
		char __data[0];						\
	};
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)

#undef TRACE_EVENT
#define TRACE_EVENT(call, proto, args, tstruct, assign, print)		\
	static void __used ftrace_raw_event_##call(proto)		\
	{								\
		struct ftrace_raw_##call *entry;			\
									\
		entry = stub_reserve(sizeof(*entry));			\
		{ assign; }						\
	}
#define __entry entry
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)
#undef __entry

#undef TRACE_EVENT
#define TRACE_EVENT(call, proto, args, tstruct, assign, print)		\
	static int __used ftrace_raw_output_##call(struct trace_seq *s, \
						   void *record)	\
	{								\
		struct ftrace_raw_##call *field = record;		\
									\
		return trace_seq_printf(s, print);			\
	}
#define __entry field
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)
#undef __entry
