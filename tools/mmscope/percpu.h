/* SPDX-License-Identifier: GPL-2.0 */
/* Per-CPU maps whose values are nothing but counters of 64 bits. */
#ifndef MMSCOPE_PERCPU_H
#define MMSCOPE_PERCPU_H

#include <stdbool.h>
#include <stddef.h>

struct bpf_map;

/**
 * percpu_array() - the sums of the first element over all CPUs
 * @sum: as large as the value
 *
 * Return: 0 or a negative error.
 */
int percpu_array(const struct bpf_map *map, void *sum);

/**
 * percpu_lookup() - the sums of one key over all CPUs
 *
 * Return: 0 or a negative error.
 */
int percpu_lookup(const struct bpf_map *map, const void *key, void *sum);

/**
 * percpu_hash() - every key with the sums of its counters
 * @row: called for each; false means that there is no memory
 *
 * Return: 0 or a negative error.
 */
int percpu_hash(const struct bpf_map *map,
		bool (*row)(const void *key, const void *sum, void *arg),
		void *arg);

#endif
