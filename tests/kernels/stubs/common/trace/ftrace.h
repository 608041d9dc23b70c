/* SPDX-License-Identifier: GPL-2.0-only */
/* Record, places of what has no fixed size, assignment and text of each event. */
struct trace_entry {
	unsigned short type;
	int pid;
};

struct stub_event {
	struct trace_entry ent;
	char __data[0];
};

/* The place of a text in its record; with its length from 2.6.32 on. */
typedef unsigned int stub_location_t;

struct trace_seq;
int trace_seq_printf(struct trace_seq *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void *stub_reserve(size_t size);

#define TP_STRUCT__entry(args...) args
#define TP_fast_assign(args...) args
#define TP_printk(format, args...) format "\n", args

#define __field(type, item) type item;
#define __array(type, item, len) type item[len];
#define __dynamic_array(type, item, len) stub_location_t __data_loc_##item;
#undef TRACE_EVENT
#define TRACE_EVENT(call, proto, args, tstruct, assign, print)		\
	struct ftrace_raw_##call {					\
		struct trace_entry ent;					\
		tstruct							\
		char __data[0];						\
	};
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)

#undef __field
#undef __array
#undef __dynamic_array
#define __field(type, item)
#define __array(type, item, len)
#define __dynamic_array(type, item, len) stub_location_t item;
#undef TRACE_EVENT
#define TRACE_EVENT(call, proto, args, tstruct, assign, print)		\
	struct ftrace_data_offsets_##call {				\
		tstruct							\
	};
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)

#undef __dynamic_array
#define __dynamic_array(type, item, len)				\
	offsets->item = size +						\
		__builtin_offsetof(struct stub_event, __data);		\
	size += (len) * sizeof(type);
#undef TRACE_EVENT
#define TRACE_EVENT(call, proto, args, tstruct, assign, print)		\
	static inline int ftrace_get_offsets_##call(			\
		struct ftrace_data_offsets_##call *offsets, proto)	\
	{								\
		int size = 0;						\
									\
		tstruct							\
		return size;						\
	}
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)

#undef __dynamic_array
#define __dynamic_array(type, item, len) \
	entry->__data_loc_##item = offsets.item;
#define __get_dynamic_array(field) \
	((void *)((char *)__entry + (__entry->__data_loc_##field & 0xffff)))
#define __get_str(field) ((char *)__get_dynamic_array(field))
#undef TRACE_EVENT
#define TRACE_EVENT(call, proto, args, tstruct, assign, print)		\
	static void __used ftrace_raw_event_##call(proto)		\
	{								\
		struct ftrace_data_offsets_##call offsets;		\
		struct ftrace_raw_##call *entry;			\
		int size = ftrace_get_offsets_##call(&offsets, args);	\
									\
		entry = stub_reserve(sizeof(*entry) + size);		\
		tstruct							\
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
