// SPDX-License-Identifier: GPL-2.0
/* Operations: /proc, reclaim, compaction, migration, and how long units are kept. */
#include <linux/mempolicy.h>

#include "stress.h"

#define SYSFS "/sys/kernel/mm/scome/"

static int read_all(const char *path)
{
	static char space[16 * 1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC), code = 0;
	ssize_t got;

	note("read %s", path);
	if (fd < 0)
		return errno;
	do
		got = read(fd, space, sizeof(space));
	while (got > 0);
	if (got < 0)
		code = errno;
	close(fd);
	return code;
}

/* of this process or of another one, which may end meanwhile */
static int read_proc(void)
{
	static const char *const names[] = { "smaps", "smaps_rollup", "maps",
					     "numa_maps", "status" };
	unsigned int other = one_in(2) ? me.number :
					 random_below(control->workers);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s",
		 control->slot[other].pid ?: 1, names[random_below(5)]);
	return read_all(path);
}

static int read_links(void)
{
	return read_all(one_in(2) ? "/sys/kernel/debug/scome/self" :
				    "/sys/kernel/debug/scome/units");
}

static int read_pagemap(void)
{
	struct mapping *m = any_mapping();
	uint64_t entries[RANGE_PAGES];
	size_t at, count;
	int fd;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	note("pagemap %p %zu", m->base, at);
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (count > RANGE_PAGES)
		count = RANGE_PAGES;
	ALLOW("read of pagemap",
	      pread(fd, entries, count * 8,
		    ((uintptr_t)m->base / PAGE + at) * 8),
	      0);
	close(fd);
	return 0;
}

static int in_core(void)
{
	struct mapping *m = any_mapping();
	unsigned char present[RANGE_PAGES];
	size_t at, count;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	if (count > RANGE_PAGES)
		count = RANGE_PAGES;
	note("mincore %p %zu+%zu", m->base, at, count);
	return ALLOW("mincore",
		     mincore(m->base + at * PAGE, count * PAGE, present), 0);
}

static int clear_refs(void)
{
	static const char *const kinds[] = { "1", "2", "3", "4" };
	const char *kind = kinds[random_below(4)];

	note("clear_refs %s", kind);
	return write_text("/proc/self/clear_refs", kind);
}

static int reclaim(void)
{
	static const char *const sizes[] = { "1M", "4M", "16M" };
	const char *size = sizes[random_below(3)];

	if (!*control->cgroup)
		return NOTHING;
	note("reclaim %s", size);
	return write_text(control->cgroup, size);
}

static int drop_caches(void)
{
	note("drop_caches");
	return write_text("/proc/sys/vm/drop_caches", one_in(4) ? "3" : "1");
}

static int compact(void)
{
	note("compact");
	return write_text("/proc/sys/vm/compact_memory", "1");
}

/* the pages of this process move to the other node, where there is one */
static int migrate(void)
{
	unsigned long from = 1, to = 2;

	if (one_in(2)) {
		from = 2;
		to = 1;
	}
	note("migrate_pages %lu to %lu", from, to);
	if (syscall(__NR_migrate_pages, 0, 64, &from, &to) < 0)
		return errno;
	return 0;
}

static int move_pages_here(void)
{
	struct mapping *m = any_mapping();
	int status[16], nodes[16];
	void *pages[16];
	size_t at, count;
	int node = random_below(2);

	if (!m || !few_pages(m, &at, &count))
		return NOTHING;
	if (count > 16)
		count = 16;
	for (size_t i = 0; i < count; i++) {
		pages[i] = m->base + (at + i) * PAGE;
		nodes[i] = node;
	}
	note("move_pages %p %zu+%zu to %d", m->base, at, count, node);
	if (syscall(__NR_move_pages, 0, count, pages, nodes, status,
		    one_in(2) ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE) < 0)
		return errno;
	check_pages(m, at, count);
	return 0;
}

static int set_retire(void)
{
	static const char *const policies[] = { "immediate", "idle",
						"pressure" };
	const char *policy = policies[random_below(3)];

	if (!control->have_scome)
		return NOTHING;
	note("retire %s", policy);
	return write_text(SYSFS "retire", policy);
}

static int set_delay(void)
{
	static const char *const delays[] = { "0", "1", "30", "500", "5000" };
	const char *delay = delays[random_below(5)];

	if (!control->have_scome)
		return NOTHING;
	note("retire_delay_ms %s", delay);
	if (one_in(2))
		write_text(SYSFS "retire_idle_faults",
			   one_in(2) ? "1" : "1000000");
	return write_text(SYSFS "retire_delay_ms", delay);
}

static int retire_kept(void)
{
	if (!control->have_scome)
		return NOTHING;
	note("retire_kept");
	return write_text(SYSFS "retire_kept", "1");
}

const struct operation operations_system[] = {
	{ "proc", 4, read_proc },	   { "links", 2, read_links },
	{ "pagemap", 3, read_pagemap },	   { "mincore", 3, in_core },
	{ "clear_refs", 2, clear_refs },   { "reclaim", 2, reclaim },
	{ "drop_caches", 1, drop_caches }, { "compact", 1, compact },
	{ "migrate_pages", 1, migrate },   { "move_pages", 3, move_pages_here },
	{ "retire", 2, set_retire },	   { "retire_delay", 2, set_delay },
	{ "retire_kept", 2, retire_kept }, {}
};
