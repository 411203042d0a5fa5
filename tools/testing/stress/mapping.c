// SPDX-License-Identifier: GPL-2.0
/* The table of a worker's mappings. */
#include "stress.h"

struct mapping *any_mapping(void)
{
	unsigned int start = random_below(MAPPINGS);

	for (unsigned int i = 0; i < MAPPINGS; i++) {
		struct mapping *m = &me.mapping[(start + i) % MAPPINGS];

		if (m->base)
			return m;
	}
	return NULL;
}

struct mapping *free_mapping(void)
{
	for (unsigned int i = 0; i < MAPPINGS; i++)
		if (!me.mapping[i].base)
			return &me.mapping[i];
	return NULL;
}

bool is_giant(const struct mapping *m)
{
	return m->pages >= GIB_PAGES / 2;
}

bool any_page(struct mapping *m, size_t *at)
{
	const struct file *file = &control->file[m->file];

	for (unsigned int i = 0; i < 16; i++) {
		size_t page = file->range_of[random_below(file->slots)] *
				      RANGE_PAGES +
			      random_below(RANGE_PAGES);

		if (page >= m->first && page - m->first < m->pages &&
		    !(m->state[page - m->first] & STATE_UNMAPPED)) {
			*at = page - m->first;
			return true;
		}
	}
	return false;
}

/* cut what is not mapped off */
static bool mapped_part(struct mapping *m, size_t *at, size_t *count)
{
	size_t end = *at + *count < m->pages ? *at + *count : m->pages;

	while (*at < end && m->state[*at] & STATE_GONE)
		++*at;
	*count = 0;
	while (*at + *count < end && !(m->state[*at + *count] & STATE_GONE))
		++*count;
	return *count > 0;
}

/* to the start of the range of 2 MiB in memory */
static size_t range_start(struct mapping *m, size_t at)
{
	size_t into = (uintptr_t)(m->base + at * PAGE) % RANGE / PAGE;

	return at > into ? at - into : 0;
}

bool any_pages(struct mapping *m, size_t *at, size_t *count)
{
	if (!any_page(m, at))
		return false;
	switch (random_below(8)) {
	case 0:
		*count = 1;
		break;
	case 1:
	case 2:
		*count = 1 + random_below(16);
		break;
	case 3:
	case 4:
		*at = range_start(m, *at);
		*count = RANGE_PAGES;
		break;
	case 5:
		*at = range_start(m, *at);
		*count = RANGE_PAGES * (1 + random_below(4));
		break;
	case 6:
		*count = 1 + random_below(2 * RANGE_PAGES);
		break;
	default:
		*at = 0;
		*count = m->pages;
	}
	return mapped_part(m, at, count);
}

bool few_pages(struct mapping *m, size_t *at, size_t *count)
{
	const struct file *file = &control->file[m->file];
	size_t end;

	if (!any_page(m, at))
		return false;
	*count = one_in(4) ? RANGE_PAGES : 1 + random_below(64);
	end = *at + *count;
	/* not into what the model does not know */
	for (*count = 0; *at + *count < end && *at + *count < m->pages &&
			 file_page_slot(file, m->first + *at + *count) >= 0;)
		++*count;
	return mapped_part(m, at, count);
}

bool all_are(struct mapping *m, size_t at, size_t count, uint8_t state)
{
	const uint8_t *from = m->state + at;

	return *from == state && !memcmp(from, from + 1, count - 1);
}

/* word by word: a long mapping has many pages */
bool any_is(struct mapping *m, size_t at, size_t count, uint8_t state)
{
	uint64_t wanted = state * 0x0101010101010101, found;

	for (; count >= sizeof(found); at += sizeof(found)) {
		memcpy(&found, m->state + at, sizeof(found));
		if (found & wanted)
			return true;
		count -= sizeof(found);
	}
	while (count--)
		if (m->state[at++] & state)
			return true;
	return false;
}

void mapping_made(struct mapping *m, char *base, unsigned int file,
		  size_t first, size_t pages, uint8_t state)
{
	m->base = base;
	m->file = file;
	m->first = first;
	m->pages = pages;
	m->state = malloc(pages);
	if (!m->state)
		abort();
	memset(m->state, state, pages);
}

void mapping_release(struct mapping *m)
{
	if (me.offered < 0 || m != &me.mapping[me.offered])
		return;
	offer_withdraw(&control->slot[me.number], me.number);
	me.offered = -1;
}

void mapping_gone(struct mapping *m)
{
	free(m->state);
	*m = (struct mapping){ 0 };
}

/*
 * Of eight workers four ask mapping by mapping, three by prctl() and one does not
 * ask. Who asks mapping by mapping leaves some out.
 */
int way_flags(void)
{
	if (me.number % 8 >= 4 || !control->have_scome || one_in(8))
		return MAP_SHARED;
	return MAP_SHARED_VALIDATE | MAP_SHARED_PT;
}

char *reserve(size_t size, size_t alignment, size_t lead)
{
	char *space = mmap(NULL, size + 2 * alignment, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *base;

	if (space == MAP_FAILED)
		fail(CALLS, "no address space: errno %d", errno);
	base = (char *)(((uintptr_t)space + alignment - 1) & -alignment) + lead;
	/* what is in front of it and behind it goes back */
	if (base > space)
		munmap(space, base - space);
	munmap(base + size, space + size + 2 * alignment - (base + size));
	return base;
}
