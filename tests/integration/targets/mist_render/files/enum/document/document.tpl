enum <$name$> {
<$block : join(,\n)$>
};
