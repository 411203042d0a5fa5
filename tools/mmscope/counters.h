/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arithmetic on the structures that the kernel side fills: every one of them is
 * nothing but counters of 64 bits.
 */
#ifndef MMSCOPE_COUNTERS_H
#define MMSCOPE_COUNTERS_H

#include <stddef.h>

/** counters_add() - @sum += @n, field by field; @size is that of either */
void counters_add(void *sum, const void *n, size_t size);

/** counters_sub() - @from -= @n, field by field; @size is that of either */
void counters_sub(void *from, const void *n, size_t size);

#endif
