// SPDX-License-Identifier: GPL-2.0
/* Operations: mremap(). */
#include "stress.h"

static struct mapping *whole_mapping(void)
{
	struct mapping *m = any_mapping();

	if (!m || !all_are(m, 0, m->pages, m->state[0]) ||
	    m->state[0] & (STATE_GONE | STATE_SEALED))
		return NULL;
	return m;
}

static void resized(struct mapping *m, char *base, size_t pages)
{
	uint8_t state = m->state[0];

	m->base = base;
	m->state = realloc(m->state, pages);
	if (!m->state)
		abort();
	if (pages > m->pages)
		memset(m->state + m->pages, state, pages - m->pages);
	m->pages = pages;
}

/* EFAULT: something other than permissions divides it into several VMAs */
#define CODES 0, EFAULT, ENOMEM, EAGAIN, EEXIST

static int grow(void)
{
	struct mapping *m = whole_mapping();
	size_t pages, more = 1 + random_below(2 * RANGE_PAGES);
	char *base;
	int code;

	if (!m)
		return NOTHING;
	pages = m->pages + (one_in(2) ? more : RANGE_PAGES);
	note("mremap_grow %p %zu to %zu", m->base, m->pages, pages);
	mapping_release(m);
	base = mremap(m->base, m->pages * PAGE, pages * PAGE,
		      one_in(3) ? 0 : MREMAP_MAYMOVE);
	code = ALLOW("mremap", base == MAP_FAILED ? -1 : 0, CODES);
	if (!code)
		resized(m, base, pages);
	check_pages(m, 0, m->pages);
	return code;
}

static int shrink(void)
{
	struct mapping *m = whole_mapping();
	size_t pages;
	char *base;

	if (!m || m->pages < 2)
		return NOTHING;
	pages = 1 + random_below(m->pages - 1);
	if (one_in(2) && pages > RANGE_PAGES)
		pages -= pages % RANGE_PAGES;
	note("mremap_shrink %p %zu to %zu", m->base, m->pages, pages);
	mapping_release(m);
	base = mremap(m->base, m->pages * PAGE, pages * PAGE, 0);
	ALLOW("mremap", base == MAP_FAILED ? -1 : 0, 0);
	check_unmapped(base + pages * PAGE);
	resized(m, base, pages);
	check_pages(m, 0, pages);
	return 0;
}

static int move(void)
{
	struct mapping *m = whole_mapping();
	size_t size, lead, alignment;
	char *place, *old, *base;
	int code;

	if (!m)
		return NOTHING;
	size = m->pages * PAGE;
	alignment = m->pages >= GIB_PAGES ? GIB : RANGE;
	lead = m->first * PAGE % alignment;
	/* not congruent, so that it leaves */
	if (one_in(5))
		lead = (lead + 7 * PAGE) % alignment;
	place = reserve(size, alignment, lead);
	old = m->base;
	note("mremap_move %p %zu to %p", old, m->pages, place);
	mapping_release(m);
	base = mremap(old, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	code = ALLOW("mremap", base == MAP_FAILED ? -1 : 0, CODES);
	if (code) {
		/* the place may be free or not */
		munmap(place, size);
	} else {
		check_unmapped(old);
		check_unmapped(old + size - PAGE);
		m->base = base;
	}
	check_pages(m, 0, m->pages);
	return code;
}

/* a shared mapping of length 0 is copied: a second place */
static int copy(void)
{
	struct mapping *m = whole_mapping(), *n = free_mapping();
	char *base;
	int code;

	/* a copy of a locked page would be populated as a whole */
	if (!m || !n || (m->locked && is_giant(m)))
		return NOTHING;
	note("mremap_copy %p %zu", m->base, m->pages);
	base = mremap(m->base, 0, m->pages * PAGE, MREMAP_MAYMOVE);
	code = ALLOW("mremap", base == MAP_FAILED ? -1 : 0, CODES);
	if (code)
		return code;
	note("mremap_copy is at %p", base);
	mapping_made(n, base, m->file, m->first, m->pages, m->state[0]);
	n->locked = m->locked;
	check_pages(n, 0, n->pages);
	return 0;
}

const struct operation operations_remap[] = { { "mremap_grow", 6, grow },
					      { "mremap_shrink", 4, shrink },
					      { "mremap_move", 6, move },
					      { "mremap_copy", 4, copy },
					      {} };
