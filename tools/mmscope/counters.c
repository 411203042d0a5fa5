// SPDX-License-Identifier: GPL-2.0
#include <linux/types.h>

#include "counters.h"

void counters_add(void *sum, const void *n, size_t size)
{
	const __u64 *more = n;
	__u64 *to = sum;
	size_t i;

	for (i = 0; i < size / sizeof(*to); i++)
		to[i] += more[i];
}

void counters_sub(void *from, const void *n, size_t size)
{
	const __u64 *less = n;
	__u64 *to = from;
	size_t i;

	for (i = 0; i < size / sizeof(*to); i++)
		to[i] -= less[i];
}
