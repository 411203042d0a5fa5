// SPDX-License-Identifier: GPL-2.0
/* Mappings of a GiB and more, which one entry can link. */
#include "pair.h"

char *map_gib(struct side *s, size_t size, int prot, int fd, off_t offset)
{
	char *space = mmap(NULL, size + 2 * GIB, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at, *map;

	NEED(space != MAP_FAILED);
	NEED(!munmap(space, size + 2 * GIB));
	at = (char *)(((uintptr_t)space + GIB - 1) & -GIB);
	at += offset % GIB;
	map = mmap(at, size, prot, MAP_FIXED | side_flags(s), fd, offset);
	NEED(map == at);
	return map;
}

void linked_ranges(struct side *s, const char *name, const char *base,
		   size_t size, int64_t wanted)
{
	FILE *self = fopen("/sys/kernel/debug/scome/self", "re");
	uintptr_t start, end;
	int64_t found = 0;

	NEED(self || !s->linked);
	while (self && fscanf(self, "%lx-%lx%*[^\n]", &start, &end) == 2)
		if (start >= (uintptr_t)base && end <= (uintptr_t)base + size)
			found += (end - start) / RANGE;
	if (self)
		fclose(self);
	must(s, name, s->linked ? found : wanted, wanted);
}

void linked_tables(struct side *s, const char *name, int64_t wanted)
{
	must(s, name, s->linked ? status_kb("VmSharedPT") : wanted, wanted);
}
