// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "counters.h"
#include "percpu.h"

static void sum_cpus(void *sum, const void *values, size_t size, int cpus)
{
	int cpu;

	memset(sum, 0, size);
	for (cpu = 0; cpu < cpus; cpu++)
		counters_add(sum, (const char *)values + cpu * size, size);
}

int percpu_lookup(const struct bpf_map *map, const void *key, void *sum)
{
	int cpus = libbpf_num_possible_cpus(), err;
	size_t size = bpf_map__value_size(map);
	void *values;

	if (cpus < 0)
		return cpus;
	values = calloc(cpus, size);
	if (!values)
		return -ENOMEM;
	err = bpf_map__lookup_elem(map, key, bpf_map__key_size(map), values,
				   cpus * size, 0);
	if (!err)
		sum_cpus(sum, values, size, cpus);
	free(values);
	return err;
}

int percpu_array(const struct bpf_map *map, void *sum)
{
	__u32 index = 0;

	return percpu_lookup(map, &index, sum);
}

/* What a batch is read into; the sum is of one key. */
struct chunk {
	char *keys;
	char *values;
	void *sum;
};

static bool chunk_alloc(struct chunk *c, size_t keys, size_t key_size,
			size_t values_size, size_t sum_size)
{
	c->keys = calloc(keys, key_size);
	c->values = calloc(keys, values_size);
	c->sum = calloc(1, sum_size);
	return c->keys && c->values && c->sum;
}

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
	int cpus = libbpf_num_possible_cpus(), err = 0;
	size_t key_size = bpf_map__key_size(map);
	size_t size = bpf_map__value_size(map);
	__u32 room = 1024, token = 0, n, i;
	struct chunk c = {};
	bool first = true;

	if (cpus < 0)
		return cpus;
	while (!err) {
		if (!c.keys &&
		    !chunk_alloc(&c, room, key_size, cpus * size, size)) {
			err = -ENOMEM;
			break;
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
			sum_cpus(c.sum, c.values + i * cpus * size, size, cpus);
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
