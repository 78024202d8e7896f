# From `nm -n` of the image to the C table of its functions (kernel/debug/ksyms.h), sorted by address.
# With no input it makes an empty table, for the first pass of the link.
BEGIN {
	print "#include \"kernel/debug/ksyms.h\""
	print "const struct ksym __attribute__((section(\".ksyms\"))) ksyms[] = {"
}
$3 == "__text_start" { start = $1 }
# Offsets by the last 8 digits: strtonum() of gawk alone handles 64 bits, and mawk is Debian's awk.
function offset(addr, i, v, d) {
	v = 0
	for (i = length(addr) - 7; i <= length(addr); i++)
		v = v * 16 + index("0123456789abcdef", substr(addr, i, 1)) - 1
	return v
}
($2 == "t" || $2 == "T") && $3 !~ /^__text/ && $3 !~ /[.]/ && start != "" {
	printf "\t{%d, \"%s\"},\n", offset($1) - offset(start), $3
	n++
}
END {
	if (!n)
		print "\t{0, \"?\"},"
	print "};"
	printf "const unsigned __attribute__((section(\".ksyms\"))) ksyms_count = %d;\n", n
}
