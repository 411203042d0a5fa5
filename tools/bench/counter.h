/* SPDX-License-Identifier: GPL-2.0 */
/* The time stamp counter, which counts instructions in a guest of scripts/vm --icount. */
#ifndef COUNTER_H
#define COUNTER_H

#include <stdint.h>

/* what counter_check() has the processor execute */
#define COUNTER_INSTRUCTIONS 4000

static inline uint64_t counter_now(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* by how much COUNTER_INSTRUCTIONS move the counter; *empty: what two readings cost */
static inline uint64_t counter_check(uint64_t *empty)
{
	uint64_t start, end, found = UINT64_MAX;
	int i;

	*empty = UINT64_MAX;
	for (i = 0; i < 64; i++) {
		start = counter_now();
		end = counter_now();
		if (end - start < *empty)
			*empty = end - start;
	}
	for (i = 0; i < 64; i++) {
		start = counter_now();
		asm volatile(".rept %c0\n\tnop\n\t.endr"
			     :
			     : "i"(COUNTER_INSTRUCTIONS));
		end = counter_now();
		if (end - start - *empty < found)
			found = end - start - *empty;
	}
	return found;
}

#endif
