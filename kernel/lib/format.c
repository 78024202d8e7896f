/*
 * vsnprintf. Pure: no state, no locks; the host tests run it under ASan against the C library's.
 */
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

struct out {
	char *buf;
	size_t size, len;
	bool one_line; /* strings lose their control characters */
};

struct spec {
	bool left, zero, upper;
	int width, precision, bytes;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static void put_padded(struct out *o, const char *s, size_t n, const struct spec *sp)
{
	size_t pad = sp->width > 0 && (size_t)sp->width > n ? sp->width - n : 0;

	for (size_t i = 0; !sp->left && i < pad; i++)
		put(o, ' ');
	for (size_t i = 0; i < n; i++)
		put(o, o->one_line && is_control(s[i]) ? '?' : s[i]);
	for (size_t i = 0; sp->left && i < pad; i++)
		put(o, ' ');
}

enum sign {
	PLUS,
	MINUS,
};

static void put_number(struct out *o, u64 v, enum sign sign, unsigned base, const struct spec *sp)
{
	const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char tmp[72];
	size_t i = sizeof(tmp);

	do
		tmp[--i] = digits[v % base];
	while (v /= base);
	if (sp->zero && !sp->left)
		while (sizeof(tmp) - i + (sign == MINUS) < (size_t)sp->width && i > 1)
			tmp[--i] = '0';
	if (sign == MINUS)
		tmp[--i] = '-';
	put_padded(o, tmp + i, sizeof(tmp) - i, sp);
}

static const char *parse_spec(const char *f, struct spec *sp, va_list *args)
{
	*sp = (struct spec){.precision = -1, .bytes = 4};
	for (;; f++) {
		if (*f == '-')
			sp->left = true;
		else if (*f == '0')
			sp->zero = true;
		else if (*f != '#' && *f != '+' && *f != ' ')
			break;
	}
	if (*f == '*') {
		sp->width = va_arg(*args, int);
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		sp->width = sp->width * 10 + *f - '0';
	if (*f == '.') {
		sp->precision = 0;
		if (*++f == '*') {
			sp->precision = va_arg(*args, int);
			f++;
		}
		for (; *f >= '0' && *f <= '9'; f++)
			sp->precision = sp->precision * 10 + *f - '0';
	}
	for (;; f++) {
		if (*f == 'l' || *f == 'z')
			sp->bytes = 8;
		else if (*f == 'h')
			sp->bytes /= 2;
		else
			return f;
	}
}

static void put_signed(struct out *o, const struct spec *sp, va_list *args)
{
	s64 v = sp->bytes == 8 ? va_arg(*args, s64) : va_arg(*args, int);

	put_number(o, v < 0 ? -(u64)v : (u64)v, v < 0 ? MINUS : PLUS, 10, sp);
}

static void put_unsigned(struct out *o, unsigned base, const struct spec *sp, va_list *args)
{
	u64 v = sp->bytes == 8 ? va_arg(*args, u64) : va_arg(*args, u32);

	if (sp->bytes < 4)
		v &= BIT(sp->bytes * 8) - 1;
	put_number(o, v, PLUS, base, sp);
}

static void put_string(struct out *o, const char *s, const struct spec *sp)
{
	if (!s)
		s = "(null)";
	put_padded(o, s, strnlen(s, sp->precision < 0 ? SIZE_MAX : (size_t)sp->precision), sp);
}

static void put_conversion(struct out *o, char conv, struct spec *sp, va_list *args)
{
	char c;

	switch (conv) {
	case 'd':
	case 'i':
		put_signed(o, sp, args);
		break;
	case 'u':
		put_unsigned(o, 10, sp, args);
		break;
	case 'X':
		sp->upper = true; /* fall through */
	case 'x':
		put_unsigned(o, 16, sp, args);
		break;
	case 'p':
		sp->bytes = 8;
		sp->zero = true;
		sp->width = 16;
		put_unsigned(o, 16, sp, args);
		break;
	case 'c':
		c = va_arg(*args, int);
		put_padded(o, &c, 1, sp);
		break;
	case 's':
		put_string(o, va_arg(*args, const char *), sp);
		break;
	default:
		put(o, conv);
	}
}

enum lines {
	ANY_LINES,
	ONE_LINE,
};

static int format(char *buf, size_t size, const char *fmt, va_list ap, enum lines lines)
{
	struct out o = {buf, size, 0, lines == ONE_LINE};
	va_list args;

	va_copy(args, ap);
	for (; *fmt; fmt++) {
		struct spec sp;

		if (*fmt != '%') {
			put(&o, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &sp, &args);
		if (!*fmt)
			break;
		put_conversion(&o, *fmt, &sp, &args);
	}
	va_end(args);
	if (size)
		buf[min(o.len, size - 1)] = 0;
	return o.len;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	return format(buf, size, fmt, args, ANY_LINES);
}

int vsnprintf_line(char *buf, size_t size, const char *fmt, va_list args)
{
	return format(buf, size, fmt, args, ONE_LINE);
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}
