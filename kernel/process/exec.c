/*
 * The ELF loader: static ELF64 executables for x86-64 (System V gABI chapter 4 and 5; the stack at
 * the start is the x86-64 psABI's, 3.4.1). Runs in the new task, on its own mm. No locks.
 */
#include "kernel/process/exec.h"

#include <elf.h>

#include "kernel/arch/io.h"
#include "kernel/arch/irqflags.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/rng.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/cpio.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/space/mmap.h"
#include "mm/vma/vma.h"

#define STACK_TOP 0x00007ffffffde000UL
/* Mapped at the start, as by Linux; the rest comes with faults. */
#define STACK_FIRST_SIZE (132UL << 10)
/* Segments keep their distance from where the stack may grow by default. */
#define STACK_ROOM (STACK_LIMIT_DEFAULT + STACK_GUARD_GAP)
#define USER_HZ 100
#define AUXV_WORDS 32
#define HWCAP2_FSGSBASE BIT(1)

KMEM_CACHE(exec_args_cache, struct exec_args);

struct exec_args *exec_args_alloc(const char *const argv[])
{
	struct exec_args *a = kmem_cache_zalloc(&exec_args_cache);

	if (!a)
		return NULL;
	for (; argv[a->argc]; a->argc++) {
		size_t n = strlen(argv[a->argc]) + 1;

		if (a->argc == EXEC_ARGS_MAX || a->len + n > EXEC_TEXT_MAX) {
			pr_err("exec: %s: more than %d arguments or %d bytes of them\n", argv[0],
			       EXEC_ARGS_MAX, EXEC_TEXT_MAX);
			kmem_cache_free(&exec_args_cache, a);
			return NULL;
		}
		memcpy(a->text + a->len, argv[a->argc], n);
		a->len += n;
	}
	return a;
}

/*
 * A program of the module. An archive aligns its files to 4 bytes, and a file says itself where its
 * program headers are: all headers are copied before they are read.
 */
struct elf {
	struct file file;
	Elf64_Ehdr header;
};

/* Segment @i, whose header lies in the file: read_header() has seen to it. */
static Elf64_Phdr program_header(const struct elf *f, unsigned i)
{
	Elf64_Phdr ph;

	memcpy(&ph, (const char *)f->file.data + f->header.e_phoff + i * sizeof(ph), sizeof(ph));
	return ph;
}

static bool is_loaded(const Elf64_Phdr *ph)
{
	return ph->p_type == PT_LOAD && ph->p_memsz;
}

/* Copy the file's header; what is wrong with it, or NULL. */
static const char *read_header(struct elf *elf)
{
	const struct file *f = &elf->file;
	const Elf64_Ehdr *eh = &elf->header;

	if (f->size < sizeof(*eh))
		return "is not an ELF file";
	memcpy(&elf->header, f->data, sizeof(*eh));
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG))
		return "is not an ELF file";
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != EM_X86_64)
		return "is not for x86-64";
	if (eh->e_type != ET_EXEC)
		return "is not a static executable at fixed addresses (link with -static -no-pie)";
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phoff > f->size ||
	    eh->e_phnum > (f->size - eh->e_phoff) / sizeof(Elf64_Phdr))
		return "has program headers that lie outside of the file";
	if (eh->e_entry >= USER_END)
		return "has an entry that lies outside of user memory";
	return NULL;
}

static const char *check_segment(const struct file *f, const Elf64_Phdr *ph)
{
	if (ph->p_type == PT_INTERP)
		return "needs a dynamic linker";
	if (!is_loaded(ph))
		return NULL;
	if (ph->p_filesz > ph->p_memsz)
		return "has a segment with more bytes in the file than in memory";
	if (ph->p_offset > f->size || ph->p_filesz > f->size - ph->p_offset)
		return "has a segment that lies outside of the file";
	if (ph->p_vaddr >= STACK_TOP - STACK_ROOM ||
	    ph->p_memsz > STACK_TOP - STACK_ROOM - ph->p_vaddr)
		return "has a segment that lies outside of user memory";
	return NULL;
}

static unsigned long segment_prot(const Elf64_Phdr *ph)
{
	return (ph->p_flags & PF_R ? PROT_READ : 0) | (ph->p_flags & PF_W ? PROT_WRITE : 0) |
	       (ph->p_flags & PF_X ? PROT_EXEC : 0);
}

static int load_segment(const struct file *f, const Elf64_Phdr *ph)
{
	unsigned long start = ALIGN_DOWN(ph->p_vaddr, PAGE_SIZE);
	unsigned long len = ALIGN_UP(ph->p_vaddr + ph->p_memsz, PAGE_SIZE) - start;
	long ret = do_mmap(start, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, NULL, 0);

	if (ret < 0)
		return ret;
	ret = copy_to_user(ph->p_vaddr, (const char *)f->data + ph->p_offset, ph->p_filesz);
	return ret ? ret : do_mprotect(start, len, segment_prot(ph));
}

static int refuse_elf(const struct elf *f, const char *wrong)
{
	pr_err("exec: %s %s\n", f->file.name, wrong);
	return -ENOEXEC;
}

/* @end: behind the last segment; 0: there is none. */
static int load_segments(const struct elf *f, unsigned long *end)
{
	int err = 0;

	*end = 0;
	for (unsigned i = 0; i < f->header.e_phnum && !err; i++) {
		const Elf64_Phdr ph = program_header(f, i);
		const char *wrong = check_segment(&f->file, &ph);

		if (wrong)
			return refuse_elf(f, wrong);
		if (!is_loaded(&ph))
			continue;
		err = load_segment(&f->file, &ph);
		if (err)
			pr_err("exec: %s: segment %u at %#lx cannot be mapped: error %d\n",
			       f->file.name, i, ph.p_vaddr, err);
		*end = max(*end, ph.p_vaddr + ph.p_memsz);
	}
	return err || *end ? err : refuse_elf(f, "has nothing to load");
}

/* Where the program headers are in memory, for AT_PHDR; 0 if no segment holds them. */
static unsigned long phdr_address(const struct elf *f)
{
	unsigned long offset = f->header.e_phoff;

	for (unsigned i = 0; i < f->header.e_phnum; i++) {
		const Elf64_Phdr ph = program_header(f, i);

		if (is_loaded(&ph) && offset >= ph.p_offset && offset - ph.p_offset < ph.p_filesz)
			return ph.p_vaddr + (offset - ph.p_offset);
	}
	return 0;
}

/* The auxiliary vector, with AT_NULL; its length in words. Everybody is user and group 0. */
static unsigned fill_auxv(unsigned long *w, const struct elf *f, unsigned long random,
			  unsigned long name)
{
	const Elf64_Ehdr *eh = &f->header;
	const unsigned long auxv[AUXV_WORDS] = {
		AT_HWCAP,  cpuid(1, 0).edx,
		AT_HWCAP2, cpu_features.fsgsbase ? HWCAP2_FSGSBASE : 0,
		AT_PAGESZ, PAGE_SIZE,
		AT_CLKTCK, USER_HZ,
		AT_PHDR,   phdr_address(f),
		AT_PHENT,  sizeof(Elf64_Phdr),
		AT_PHNUM,  eh->e_phnum,
		AT_ENTRY,  eh->e_entry,
		AT_UID,	   0,
		AT_EUID,   0,
		AT_GID,	   0,
		AT_EGID,   0,
		AT_SECURE, 0,
		AT_RANDOM, random,
		AT_EXECFN, name,
		AT_NULL,   0,
	};

	memcpy(w, auxv, sizeof(auxv));
	return AUXV_WORDS;
}

/* Strings at the top, below them argc, argv, an empty environment and the auxiliary vector. */
static int build_stack(const struct exec_args *args, const struct elf *f, unsigned long *spp)
{
	unsigned long random = STACK_TOP - 16, text = (random - args->len) & ~15UL, addr = text;
	unsigned long w[1 + EXEC_ARGS_MAX + 2 + AUXV_WORDS], sp;
	struct rng rng = rng_stream(boot_seed, current->tid);
	u64 bytes[2] = {rng_next(&rng), rng_next(&rng)};
	unsigned n = 0;
	long ret;

	w[n++] = args->argc;
	for (unsigned i = 0; i < args->argc; i++) {
		w[n++] = addr;
		addr += strlen(args->text + (addr - text)) + 1;
	}
	w[n++] = 0;
	w[n++] = 0;
	n += fill_auxv(w + n, f, random, text);
	sp = (text - n * sizeof(w[0])) & ~15UL;
	ret = do_mmap(STACK_TOP - STACK_FIRST_SIZE, STACK_FIRST_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, NULL, 0);
	if (ret < 0)
		return ret;
	*spp = sp;
	if (copy_to_user(random, bytes, sizeof(bytes)) ||
	    copy_to_user(text, args->text, args->len) || copy_to_user(sp, w, n * sizeof(w[0])))
		return -EFAULT;
	return 0;
}

int exec_load(const struct exec_args *args, struct pt_regs *regs)
{
	struct elf f;
	const char *wrong;
	unsigned long sp = 0, end;
	int err;

	if (!module_find(args->text, &f.file))
		return -ENOENT;
	wrong = read_header(&f);
	if (wrong)
		return refuse_elf(&f, wrong);
	err = load_segments(&f, &end);
	if (!err)
		err = build_stack(args, &f, &sp);
	if (err)
		return err;
	current->mm->brk_start = current->mm->brk = ALIGN_UP(end, PAGE_SIZE);
	*regs = (struct pt_regs){
		.ip = f.header.e_entry,
		.sp = sp,
		.cs = USER_CS,
		.ss = USER_DS,
		.flags = FLAGS_IF,
	};
	return 0;
}
