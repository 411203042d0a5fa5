// SPDX-License-Identifier: GPL-2.0
/* Mappings of each side, and whether they are what they are said to be. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../lib/scome.h"
#include "scome.h"

/* what the entries of one table of PMD entries, and of PUD entries, map */
#define PMD_TABLE_SPAN GIB
#define PUD_TABLE_SPAN (GIB << 9)

static const char *const names[] = {
	[STOCK] = "stock",
	[BY_PMD] = "pmd",
	[BY_PARENT] = "parent",
	[HUGETLB] = "hugetlb",
};

const char *side_name(enum side side)
{
	return names[side];
}

/* whether any mapping in this text of /proc/self/maps lies in [start, end) */
static bool occupied(const char *maps, uintptr_t start, uintptr_t end)
{
	while (*maps) {
		char *next;
		uintptr_t low = strtoull(maps, &next, 16);
		uintptr_t high = strtoull(next + 1, NULL, 16);

		if (low < end && high > start)
			return true;
		maps = strchr(maps, '\n');
		if (!maps)
			break;
		maps++;
	}
	return false;
}

/* tables above the leaf level that the range needs and the process does not have */
static int64_t new_upper_tables(uintptr_t start, size_t size)
{
	static const uintptr_t spans[] = { PMD_TABLE_SPAN, PUD_TABLE_SPAN };
	static char maps[65536];
	int64_t tables = 0;

	if (slurp("/proc/self/maps", maps, sizeof(maps)) < 0)
		fail("/proc/self/maps: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		uintptr_t span = spans[i];

		for (uintptr_t at = start & -span; at < start + size;
		     at += span)
			tables += !occupied(maps, at, at + span);
	}
	return tables;
}

/*
 * Aligned to a GiB, so that a GiB of the file can be linked as a whole. BY_PMD is
 * 2 MiB behind that: what is linked there are leaf tables.
 */
char *map_side(enum side side, size_t size, int prot, int fd,
	       int64_t *upper_tables)
{
	size_t room = size + 2 * GIB;
	char *space, *at, *map;

	space = mmap(NULL, room, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED || munmap(space, room))
		fail("no room for %zu bytes: %s", room, strerror(errno));
	at = (char *)(((uintptr_t)space + GIB - 1) & -GIB);
	if (side == BY_PMD)
		at += SCOME_RANGE_SIZE;
	if (upper_tables)
		*upper_tables = new_upper_tables((uintptr_t)at, size);
	if (side == BY_PMD || side == BY_PARENT)
		map = scome_map(at, size, prot, MAP_FIXED, fd, 0);
	else
		map = mmap(at, size, prot, MAP_SHARED | MAP_FIXED, fd, 0);
	if (map != at)
		fail("mmap of the side %s: %s", side_name(side),
		     strerror(errno));
	return map;
}

void touch(const volatile char *map, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step)
		(void)map[at];
}

int64_t minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* how many ranges of 2 MiB are linked between these addresses */
size_t linked_ranges(const char *map, size_t size)
{
	FILE *self = fopen("/sys/kernel/debug/scome/self", "re");
	uintptr_t start, end;
	size_t found = 0;

	if (!self)
		fail("/sys/kernel/debug/scome/self: %s", strerror(errno));
	while (fscanf(self, "%lx-%lx", &start, &end) == 2)
		if (start >= (uintptr_t)map && end <= (uintptr_t)map + size)
			found += (end - start) / SCOME_RANGE_SIZE;
	fclose(self);
	return found;
}

/* the mapping, which has been touched in each 2 MiB, is linked as its side says */
void check_side(enum side side, const char *map, size_t size)
{
	bool linked = side == BY_PMD || side == BY_PARENT;
	size_t ranges = linked ? size / SCOME_RANGE_SIZE : 0, found;
	size_t wanted = side == BY_PARENT ? size / GIB : ranges, tables;

	found = linked_ranges(map, size);
	if (found != ranges)
		fail("side %s: %zu ranges are linked and not %zu",
		     side_name(side), found, ranges);
	tables = kb_line("/proc/self/status", "VmSharedPT:") / TABLE_BYTES;
	if (tables != wanted)
		fail("side %s: entries lead to %zu tables of the file and not %zu",
		     side_name(side), tables, wanted);
}
