// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "percpu.h"

static void sum_cpus(__u64 *sum, const __u64 *values, size_t words, int cpus)
{
	size_t word;
	int cpu;

	memset(sum, 0, words * sizeof(*sum));
	for (cpu = 0; cpu < cpus; cpu++)
		for (word = 0; word < words; word++)
			sum[word] += *values++;
}

int percpu_lookup(const struct bpf_map *map, const void *key, void *sum)
{
	int cpus = libbpf_num_possible_cpus(), err;
	size_t size = bpf_map__value_size(map);
	__u64 *values;

	if (cpus < 0)
		return cpus;
	values = calloc(cpus, size);
	if (!values)
		return -ENOMEM;
	err = bpf_map__lookup_elem(map, key, bpf_map__key_size(map), values,
				   cpus * size, 0);
	if (!err)
		sum_cpus(sum, values, size / sizeof(*values), cpus);
	free(values);
	return err;
}

int percpu_array(const struct bpf_map *map, void *sum)
{
	__u32 index = 0;

	return percpu_lookup(map, &index, sum);
}

/* What a batch is read into. */
struct chunk {
	char *keys;
	__u64 *values;
	__u64 *sum;
};

static void chunk_free(struct chunk *c)
{
	free(c->keys);
	free(c->values);
	free(c->sum);
	memset(c, 0, sizeof(*c));
}

int percpu_hash(const struct bpf_map *map,
		bool (*row)(const void *key, const void *sum, void *arg),
		void *arg)
{
	size_t key_size = bpf_map__key_size(map);
	size_t words = bpf_map__value_size(map) / sizeof(__u64);
	__u32 room = 1024, token = 0, n, i;
	int cpus = libbpf_num_possible_cpus(), err = 0;
	struct chunk c = {};
	bool first = true;

	if (cpus < 0)
		return cpus;
	while (!err) {
		if (!c.keys) {
			c.keys = calloc(room, key_size);
			c.values = calloc((size_t)room * cpus * words,
					  sizeof(*c.values));
			c.sum = calloc(words, sizeof(*c.sum));
			if (!c.keys || !c.values || !c.sum) {
				err = -ENOMEM;
				break;
			}
		}
		n = room;
		err = bpf_map_lookup_batch(bpf_map__fd(map),
					   first ? NULL : &token, &token,
					   c.keys, c.values, &n, NULL);
		if (err == -ENOSPC) {
			/* One bucket is larger than the chunk. */
			chunk_free(&c);
			room *= 2;
			err = 0;
			continue;
		}
		if (err && err != -ENOENT)
			break;
		first = false;
		for (i = 0; i < n; i++) {
			sum_cpus(c.sum, &c.values[(size_t)i * cpus * words],
				 words, cpus);
			if (!row(c.keys + i * key_size, c.sum, arg)) {
				err = -ENOMEM;
				break;
			}
		}
	}
	chunk_free(&c);
	/* The end of the map is told as an error. */
	return err == -ENOENT ? 0 : err;
}
