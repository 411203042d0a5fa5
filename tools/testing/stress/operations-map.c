// SPDX-License-Identifier: GPL-2.0
/* Operations: mappings come and go, as a whole and in parts. */
#include <sys/shm.h>

#include "stress.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* the window for files that record where they lie, and a place in it for each file */
#define FIXED_WINDOW (32UL << 40)
#define FIXED_PLACE (8 * GIB)

/* some attach a System V segment */
static int attach(struct mapping *m, unsigned int file)
{
	char *base = shmat(control->file[file].shmid, NULL, 0);
	int code = ALLOW("shmat", base == (char *)-1 ? -1 : 0, 0, ENOMEM);

	if (!code)
		mapping_made(m, base, file, 0, control->file[file].max_pages,
			     RW);
	return code;
}

/* which part of the file */
static void any_part(const struct file *file, size_t *first, size_t *pages)
{
	*first = 0;
	*pages = file->max_pages;
	if (one_in(2))
		return;
	switch (random_below(4)) {
	case 0:
		/* a few ranges */
		*first =
			file->range_of[random_below(file->slots)] * RANGE_PAGES;
		*pages = RANGE_PAGES * (1 + random_below(4));
		break;
	case 1:
		/* not in whole ranges */
		*first = random_below(file->max_pages);
		*pages = 1 + random_below(4 * RANGE_PAGES);
		break;
	case 2:
		*first = random_below(RANGE_PAGES);
		break;
	default:
		/* all GiBs but the first */
		if (file->max_pages > 2 * GIB_PAGES)
			*first = GIB_PAGES;
	}
	/* up to the end, and sometimes a little more */
	if (*first + *pages > file->max_pages)
		*pages = file->max_pages - *first +
			 (one_in(4) ? random_below(600) : 0);
	if (!*pages)
		*pages = 1;
}

static int any_prot(void)
{
	static const int prots[] = { RW,	RW,
				     RW,	RW,
				     PROT_READ, PROT_READ | PROT_EXEC,
				     PROT_NONE, PROT_WRITE };

	return prots[random_below(8)];
}

/* an address of this process's own, congruent to the offset or not */
static char *private_place(size_t first, size_t pages)
{
	size_t alignment = pages >= GIB_PAGES ? GIB : RANGE;
	size_t lead = first * PAGE % alignment;

	if (one_in(6))
		lead = (lead + PAGE * (1 + random_below(511))) % RANGE;
	return reserve(pages * PAGE, alignment, lead);
}

static int map(void)
{
	unsigned int number = random_below(control->files);
	const struct file *file = &control->file[number];
	struct mapping *m = free_mapping();
	int prot = any_prot(), flags = way_flags(), code;
	size_t first, pages;
	char *at = NULL, *base, *reserved = NULL;

	if (!m)
		return NOTHING;
	if (file->kind == SYSV && !one_in(3))
		return attach(m, number);
	any_part(file, &first, &pages);
	switch (random_below(6)) {
	case 0:
		reserved = private_place(first, pages);
		at = reserved;
		flags |= MAP_FIXED;
		break;
	case 1:
		/* a hint */
		at = private_place(first, pages);
		munmap(at, pages * PAGE);
		break;
	case 2:
		at = (char *)(FIXED_WINDOW + number * FIXED_PLACE +
			      first * PAGE);
	}
	if (pages < 8 * RANGE_PAGES &&
	    file->slots * RANGE_PAGES >= file->max_pages) {
		if (one_in(8))
			flags |= MAP_POPULATE;
		if (one_in(30))
			flags |= MAP_LOCKED;
	}
	if (one_in(8))
		flags |= MAP_NORESERVE;
	note("map %s %zu+%zu at %p prot %d flags %#x", file->name, first, pages,
	     at, prot, flags);
	base = mmap(at, pages * PAGE, prot, flags, file->fd, first * PAGE);
	code = ALLOW("mmap", base == MAP_FAILED ? -1 : 0, 0, EOPNOTSUPP, EEXIST,
		     ENOMEM);
	if (code) {
		if (reserved)
			munmap(reserved, pages * PAGE);
		return code;
	}
	if (reserved && base != reserved)
		fail(CALLS, "mmap(MAP_FIXED) chose %p", base);
	note("map is at %p", base);
	mapping_made(m, base, number, first, pages, prot);
	m->locked = flags & MAP_LOCKED;
	check_pages(m, 0, pages);
	return 0;
}

/* by runs of pages: who knows what lies in the holes */
static int unmap_runs(struct mapping *m)
{
	size_t at = 0, count;

	while (at < m->pages) {
		for (count = 0; at + count < m->pages &&
				!(m->state[at + count] & STATE_UNMAPPED);)
			count++;
		if (count) {
			ALLOW("munmap",
			      munmap(m->base + at * PAGE, count * PAGE), 0);
			check_unmapped(m->base + at * PAGE);
			check_unmapped(m->base + (at + count - 1) * PAGE);
		}
		at += count + 1;
	}
	mapping_gone(m);
	return 0;
}

static int unmap(void)
{
	struct mapping *m = any_mapping();
	size_t sealed;

	if (!m)
		return NOTHING;
	note("unmap %p", m->base);
	for (sealed = 0; sealed < m->pages; sealed++)
		if (m->state[sealed] & STATE_SEALED)
			break;
	if (sealed < m->pages) {
		int code = ALLOW("munmap of a sealed mapping",
				 munmap(m->base + sealed * PAGE,
					(m->pages - sealed) * PAGE),
				 EPERM);

		check_pages(m, sealed, m->pages - sealed);
		return code;
	}
	mapping_release(m);
	return unmap_runs(m);
}

static int unmap_part(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;

	if (!m || !any_pages(m, &at, &count) || count == m->pages)
		return NOTHING;
	note("unmap_part %p %zu+%zu", m->base, at, count);
	if (any_is(m, at, count, STATE_SEALED)) {
		int code = ALLOW("munmap of a sealed part",
				 munmap(m->base + at * PAGE, count * PAGE),
				 EPERM);

		check_pages(m, at, count);
		return code;
	}
	mapping_release(m);
	ALLOW("munmap", munmap(m->base + at * PAGE, count * PAGE), 0);
	check_unmapped(m->base + at * PAGE);
	check_unmapped(m->base + (at + count - 1) * PAGE);
	memset(m->state + at, STATE_UNMAPPED, count);
	check_pages(m, at, count);
	return 0;
}

/* nothing over a part, or the file again in one of the ways */
static int map_over(void)
{
	struct mapping *m = any_mapping();
	int prot = any_prot(), flags, code;
	const struct file *file;
	size_t at, count;
	char *base;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	if (any_is(m, at, count, STATE_SEALED))
		return NOTHING;
	file = &control->file[m->file];
	flags = way_flags();
	mapping_release(m);
	if (one_in(3)) {
		note("map_over %p %zu+%zu nothing", m->base, at, count);
		base = mmap(m->base + at * PAGE, count * PAGE, PROT_NONE,
			    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS |
				    MAP_NORESERVE,
			    -1, 0);
		ALLOW("mmap over", base == MAP_FAILED ? -1 : 0, 0);
		memset(m->state + at, STATE_RESERVED, count);
		check_pages(m, at, count);
		return 0;
	}
	note("map_over %p %zu+%zu prot %d flags %#x", m->base, at, count, prot,
	     flags);
	base = mmap(m->base + at * PAGE, count * PAGE, prot, MAP_FIXED | flags,
		    file->fd, (m->first + at) * PAGE);
	code = ALLOW("mmap over", base == MAP_FAILED ? -1 : 0, 0, EOPNOTSUPP,
		     EEXIST);
	if (!code)
		memset(m->state + at, prot, count);
	check_pages(m, at, count);
	return code;
}

static struct mapping *with_hole(void)
{
	for (unsigned int i = 0; i < MAPPINGS; i++)
		if (me.mapping[i].base &&
		    any_is(&me.mapping[i], 0, me.mapping[i].pages, STATE_GONE))
			return &me.mapping[i];
	return NULL;
}

/* fill a hole */
static int refill(void)
{
	struct mapping *m = with_hole();
	int prot = any_prot(), flags = way_flags(), code;
	size_t at = 0, count = 0;
	uint8_t was;
	char *base;

	if (!m)
		return NOTHING;
	while (!(m->state[at] & STATE_GONE))
		at++;
	was = m->state[at];
	while (at + count < m->pages && m->state[at + count] == was)
		count++;
	note("refill %p %zu+%zu flags %#x", m->base, at, count, flags);
	if (was == STATE_UNMAPPED) {
		base = mmap(m->base + at * PAGE, count * PAGE, PROT_NONE,
			    MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS |
				    MAP_NORESERVE,
			    -1, 0);
		code = ALLOW("mmap of a hole", base == MAP_FAILED ? -1 : 0, 0,
			     EEXIST);
		if (code)
			return code;
		memset(m->state + at, STATE_RESERVED, count);
	}
	base = mmap(m->base + at * PAGE, count * PAGE, prot, MAP_FIXED | flags,
		    control->file[m->file].fd, (m->first + at) * PAGE);
	code = ALLOW("mmap into a hole", base == MAP_FAILED ? -1 : 0, 0,
		     EOPNOTSUPP, EEXIST);
	if (!code)
		memset(m->state + at, prot, count);
	check_pages(m, at, count);
	return code;
}

const struct operation operations_map[] = { { "map", 40, map },
					    { "unmap", 25, unmap },
					    { "unmap_part", 8, unmap_part },
					    { "map_over", 8, map_over },
					    { "refill", 8, refill },
					    {} };
