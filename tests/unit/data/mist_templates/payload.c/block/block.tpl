static typeof(<$symbol.name$>) repl_<$function.name$>;
static <$result$> repl_<$function.name$>(<$if concat(symbol.arg.name)$><$argument : join(, )$><$else$>void<$endif$>)
{
<$if concat(returnType)$>	<$returnType$> returnValue;
<$endif$><$if concat(prologue)$>	<$prologue$>
<$endif$>
	<$if concat(returnType)$>returnValue = <$endif$>(<$symbol.name$>)(<$symbol.arg.name : join(, )$>);
<$if concat(middleCode)$>	<$middleCode$>
<$endif$>	trace_called_<$function.name$>(<$if concat(trace.param.name)$><$trace.param.name : join(, )$><$else$>0<$endif$>);
<$if concat(epilogue)$>	<$epilogue$>
<$endif$><$if concat(returnType)$>	return returnValue;
<$endif$>}
