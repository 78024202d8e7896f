/*
 * cmpxchg8b and cmpxchg16b change ZF and no other flag. QEMU 7.2's TCG computes the others anew by the operation that its last
 * block of translated code ended with, of the operands of the last instruction: bits of an operand become flags.
 *
 * Prints the flags before and after each of them; status 1 if more than ZF differs.
 */
#include <stdint.h>
#include <stdio.h>

#define ZF 0x40UL

static __attribute__((aligned(16))) uint64_t memory[2];

/*
 * A function that is true if INSTRUCTION, which finds in memory what it expects, leaves the other flags. popfq ends a block, and
 * leaves flags that are bits of a word; the rest is the next block.
 */
#define TRY(function, INSTRUCTION)                                                                                              \
	static int function(void)                                                                                              \
	{                                                                                                                      \
		uint64_t before, after, a = 0, b = 0x0758be58, low = 1, high = 0;                                              \
                                                                                                                               \
		memory[0] = 1;                                                                                                 \
		memory[1] = 0;                                                                                                 \
		__asm__ volatile("pushfq; popfq\n\t"                                                                           \
				 "add %[b], %[a]; pushfq; pop %[before]\n\t"                                                   \
				 "pushfq; popfq\n\t"                                                                           \
				 "mov $0, %[a]; add %[b], %[a]\n\t" INSTRUCTION " %[m]\n\t"                                    \
				 "pushfq; pop %[after]"                                                                        \
				 : [a] "+&r"(a), [before] "=&r"(before), [after] "=&r"(after), [m] "+m"(memory), "+a"(low),    \
				   "+d"(high)                                                                                  \
				 : [b] "r"(b), "b"(3UL), "c"(4UL)                                                              \
				 : "cc");                                                                                      \
		printf("%s: flags before %#lx, after %#lx\n", INSTRUCTION, before, after);                                     \
		return !((before ^ after) & ~ZF);                                                                              \
	}

TRY(cmpxchg8b, "cmpxchg8b")
TRY(lock_cmpxchg8b, "lock cmpxchg8b")
TRY(cmpxchg16b, "cmpxchg16b")
TRY(lock_cmpxchg16b, "lock cmpxchg16b")

int main(void)
{
	int right = cmpxchg8b();

	right &= lock_cmpxchg8b();
	right &= cmpxchg16b();
	right &= lock_cmpxchg16b();
	return !right;
}
