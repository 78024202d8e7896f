/*
 * cmpxchg16b changes ZF and no other flag. QEMU 7.2's TCG computes the others anew by the operation that its last block of
 * translated code ended with, of the operands of the last instruction: bits of an operand become flags.
 *
 * Prints the flags before and after; status 1 if more than ZF differs.
 */
#include <stdint.h>
#include <stdio.h>

#define ZF 0x40UL

static __attribute__((aligned(16))) uint64_t memory[2] = {1, 2};

int main(void)
{
	uint64_t before, after, a = 0, b = 0x0758be58, low = 1, high = 2;

	/* popfq ends a block, and leaves flags that are bits of a word; the rest is the next block. */
	__asm__ volatile("pushfq; popfq\n\t"
			 "add %[b], %[a]; pushfq; pop %[before]\n\t"
			 "pushfq; popfq\n\t"
			 "mov $0, %[a]; add %[b], %[a]\n\t"
			 "cmpxchg16b %[m]\n\t"
			 "pushfq; pop %[after]"
			 : [a] "+&r"(a), [before] "=&r"(before), [after] "=&r"(after), [m] "+m"(memory),
			   "+a"(low), "+d"(high)
			 : [b] "r"(b), "b"(3UL), "c"(4UL)
			 : "cc");
	printf("flags before %#lx, after %#lx\n", before, after);
	return (before ^ after) & ~ZF ? 1 : 0;
}
