/*
 * cpio archives, newc format: headers of ASCII hex, names and data padded to 4 bytes (cpio(5)).
 * Pure; nothing is trusted: every length is checked against what is left.
 */
#include "kernel/lib/cpio.h"

#include "kernel/lib/string.h"

#define HEADER_SIZE 110
#define FIELD_SIZE 6
#define FIELD_NAMESIZE 11
#define TRAILER "TRAILER!!!"

static bool hex_field(const char *header, unsigned field, u32 *v)
{
	const char *p = header + 6 + field * 8;

	*v = 0;
	for (unsigned i = 0; i < 8; i++) {
		char c = p[i] | 0x20;

		if (p[i] >= '0' && p[i] <= '9')
			*v = *v << 4 | (p[i] - '0');
		else if (c >= 'a' && c <= 'f')
			*v = *v << 4 | (c - 'a' + 10);
		else
			return false;
	}
	return true;
}

/*
 * The file at *pos, and *pos moved behind it. False at the end, with *wrong = NULL, or where the
 * archive is damaged.
 */
static bool next_file(const char *p, size_t size, size_t *pos, struct file *f, const char **wrong)
{
	u32 file_size, name_size;
	size_t name, data;

	*wrong = "the archive ends without its trailer";
	if (*pos > size || size - *pos < HEADER_SIZE)
		return false;
	*wrong = "the archive has a header that is not newc";
	if (memcmp(p + *pos, "070701", 6) || !hex_field(p + *pos, FIELD_SIZE, &file_size) ||
	    !hex_field(p + *pos, FIELD_NAMESIZE, &name_size))
		return false;
	name = *pos + HEADER_SIZE;
	data = ALIGN_UP(name + name_size, 4UL);
	*wrong = "the archive has a file that reaches beyond its end";
	if (!name_size || data > size || file_size > size - data)
		return false;
	*wrong = "the archive has a name without an end";
	if (p[name + name_size - 1])
		return false;
	*wrong = NULL;
	*f = (struct file){p + name, p + data, file_size};
	*pos = ALIGN_UP(data + file_size, 4UL);
	return strcmp(f->name, TRAILER) != 0;
}

/* Archives are made with names from /, from ./ and bare ones; all mean the same file. */
static const char *bare_name(const char *name)
{
	while (*name == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	return name;
}

bool cpio_find(const void *p, size_t size, const char *name, struct file *f, const char **wrong)
{
	size_t pos = 0;

	while (next_file(p, size, &pos, f, wrong))
		if (!strcmp(bare_name(f->name), bare_name(name)))
			return true;
	if (!*wrong)
		*wrong = "the archive has no such file";
	return false;
}
