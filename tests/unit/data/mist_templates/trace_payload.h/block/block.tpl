TRACE_EVENT(called_<$function.name$>,
	TP_PROTO(<$parameter : join(, )$>),
	TP_ARGS(<$passed : join(, )$>),
	TP_STRUCT__entry(
<$field : join(\n)$>
	),
	TP_fast_assign(
<$assign : join(\n)$>
	),
	TP_printk(<$trace.formatString$>, <$printed : join(, )$>)
);
