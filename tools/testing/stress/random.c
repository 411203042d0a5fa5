// SPDX-License-Identifier: GPL-2.0
/* Choices: a function of the seed, the worker and the number of the operation. */
#include "stress.h"

static uint64_t state;

/* splitmix64 */
static uint64_t next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void random_begin(uint64_t worker, uint64_t operation)
{
	state = control->seed;
	state = next() ^ (worker << 40) ^ operation;
	next();
}

uint64_t random_below(uint64_t limit)
{
	return limit ? next() % limit : 0;
}

bool one_in(unsigned int n)
{
	return random_below(n) == 0;
}
