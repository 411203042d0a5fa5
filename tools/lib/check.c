// SPDX-License-Identifier: GPL-2.0
/*
 * Whether a heap is in order: every page belongs to one run, every list has what
 * it should have and nothing else, and the counters count.
 *
 * Trusts nothing that it reads: a list is followed for as many steps as there are
 * runs, and a page is looked at when it is below the end.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "heap.h"

struct check {
	const struct scome_heap *heap;
	void (*report)(void *context, const char *sentence);
	void *context;
	unsigned int wrong;
	uint64_t objects;
	uint64_t used;
	uint64_t bins[HEAP_BINS];
	uint64_t slabs[HEAP_CLASSES];
};

__attribute__((format(printf, 2, 3))) static void wrong(struct check *check,
							const char *format, ...)
{
	char sentence[160];
	va_list arguments;

	check->wrong++;
	if (!check->report)
		return;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	check->report(check->context, sentence);
}

/* what is in no list, and no slab */
static void check_bare(struct check *check, uint64_t page)
{
	const struct heap_page *p = page_of(check->heap, page);

	if (p->next || p->prev)
		wrong(check, "page %lu has neighbours in a list", page);
	if (p->map[0] | p->map[1] | p->map[2] | p->map[3])
		wrong(check, "page %lu has objects and is no slab", page);
}

static void check_inner(struct check *check, uint64_t page, uint64_t wanted)
{
	const struct heap_page *p = page_of(check->heap, page);

	if (p->what != wanted)
		wrong(check, "page %lu within a run is described as %lx", page,
		      p->what);
	check_bare(check, page);
}

static bool fits(struct check *check, uint64_t page, uint64_t pages)
{
	if (pages && pages <= check->heap->state->end - page)
		return true;
	wrong(check, "the run at page %lu has %lu pages", page, pages);
	return false;
}

static uint64_t check_slab(struct check *check, uint64_t page)
{
	const struct heap_page *slab = page_of(check->heap, page);
	unsigned int class = page_class(slab), objects, used = 0;
	uint64_t pages;

	if (class >= HEAP_CLASSES || page_length(slab)) {
		wrong(check, "the slab at page %lu is described as %lx", page,
		      slab->what);
		return 0;
	}
	pages = heap_classes[class].pages;
	if (!fits(check, page, pages))
		return 0;
	for (unsigned int i = 1; i < pages; i++)
		check_inner(check, page + i, page_what(HEAP_SLAB_PART, 0, i));
	objects = class_objects(class);
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t possible =
			objects >= 64 * (i + 1) ? UINT64_MAX :
			objects > 64 * i	? (1ULL << objects % 64) - 1 :
						  0;

		if (slab->map[i] & ~possible)
			wrong(check, "the slab at page %lu has the objects %lx",
			      page, slab->map[i]);
		used += __builtin_popcountll(slab->map[i]);
	}
	check->objects += used;
	check->used += (uint64_t)used * heap_classes[class].size;
	check->slabs[class] += used < objects;
	if (used >= objects && (slab->next || slab->prev))
		wrong(check, "the full slab at page %lu is in a list", page);
	return pages;
}

static uint64_t check_run(struct check *check, uint64_t page)
{
	const struct heap_page *p = page_of(check->heap, page);
	uint64_t pages = page_length(p);

	if (page_kind(p) == HEAP_SLAB)
		return check_slab(check, page);
	if ((page_kind(p) != HEAP_FREE && page_kind(p) != HEAP_LARGE) ||
	    page_class(p)) {
		wrong(check, "the run at page %lu is described as %lx", page,
		      p->what);
		return 0;
	}
	if (!fits(check, page, pages))
		return 0;
	if (page_kind(p) == HEAP_LARGE) {
		check->objects++;
		check->used += pages * HEAP_PAGE;
		check_bare(check, page);
	} else {
		check->bins[run_bin(pages)]++;
		if (p->map[0] | p->map[1] | p->map[2] | p->map[3])
			wrong(check, "the free page %lu has objects", page);
	}
	for (uint64_t i = 1; i < pages; i++) {
		bool last = page_kind(p) == HEAP_FREE && i == pages - 1;

		check_inner(check, page + i,
			    last ? page_what(HEAP_FREE_LAST, 0, pages) : 0);
	}
	return pages;
}

/* a chunk without memory lies in a free run as a whole */
static void check_holes(struct check *check, uint64_t page, uint64_t pages)
{
	const struct scome_heap *heap = check->heap;
	uint64_t first = (page + HEAP_CHUNK_PAGES - 1) & -HEAP_CHUNK_PAGES;

	for (uint64_t p = first; p < page + pages; p += HEAP_CHUNK_PAGES) {
		uint64_t hole = page_of(heap, p)->hole;

		if (hole > 1 ||
		    (hole && (page_kind(page_of(heap, page)) != HEAP_FREE ||
			      p + HEAP_CHUNK_PAGES > page + pages)))
			wrong(check, "the chunk of page %lu is a hole", p);
	}
}

/* as many as were found, and all of that kind: then they are the same ones */
static void check_list(struct check *check, const char *name,
		       unsigned int number, uint64_t first, uint64_t count)
{
	const struct scome_heap *heap = check->heap;
	bool slabs = *name == 's';
	uint64_t before = 0;

	while (first) {
		const struct heap_page *p;

		if (first > heap->state->end) {
			wrong(check, "%s %u: there is no page %lu", name,
			      number, first - 1);
			return;
		}
		p = page_of(heap, first - 1);
		if (!count--) {
			wrong(check, "%s %u: there are more than there should",
			      name, number);
			return;
		}
		if (p->prev != before)
			wrong(check, "%s %u: what is before page %lu", name,
			      number, first - 1);
		if (slabs ? page_kind(p) != HEAP_SLAB ||
				    page_class(p) != number :
			    page_kind(p) != HEAP_FREE ||
				    run_bin(page_length(p)) != number)
			wrong(check, "%s %u: page %lu is described as %lx",
			      name, number, first - 1, p->what);
		before = first;
		first = p->next;
	}
	if (count)
		wrong(check, "%s %u: %lu are missing", name, number, count);
}

int heap_check_locked(struct scome_heap *heap,
		      void (*report)(void *context, const char *sentence),
		      void *context)
{
	const struct heap_state *state = heap->state;
	struct check check = {
		.heap = heap,
		.report = report,
		.context = context,
	};
	bool free_before = false;

	for (uint64_t page = 0; page < state->end;) {
		bool free = page_kind(page_of(heap, page)) == HEAP_FREE;
		uint64_t pages = check_run(&check, page);

		if (!pages)
			break;
		if (free && free_before)
			wrong(&check, "two free runs meet at page %lu", page);
		free_before = free;
		check_holes(&check, page, pages);
		page += pages;
	}
	for (unsigned int i = 0; i < HEAP_BINS; i++)
		check_list(&check, "free runs", i, state->bins[i],
			   check.bins[i]);
	for (unsigned int i = 0; i < HEAP_CLASSES; i++)
		check_list(&check, "slabs", i, state->slabs[i], check.slabs[i]);
	if (check.objects != state->objects)
		wrong(&check, "%lu objects are counted as %lu", check.objects,
		      state->objects);
	if (check.used != state->used)
		wrong(&check, "%lu bytes are counted as %lu", check.used,
		      state->used);
	for (unsigned int i = 0; i < SCOME_HEAP_ROOTS; i++) {
		uint64_t root = state->roots[i], data = (uint64_t)heap->data;

		if (root &&
		    (root < data || root - data >= state->end * HEAP_PAGE))
			wrong(&check, "root %u is %lx", i, root);
	}
	return check.wrong ? -1 : 0;
}

/**
 * scome_heap_check - look whether the heap is in order
 *
 * Looks at every page's description, under the lock.
 */
HEAP_PUBLIC int scome_heap_check(struct scome_heap *heap,
				 void (*report)(void *context,
						const char *sentence),
				 void *context)
{
	struct heap_op op;
	int result;

	if (heap_look(heap, &op))
		return -1;
	result = heap_check_locked(heap, report, context);
	heap_end(heap, &op, true);
	if (result)
		errno = EUCLEAN;
	return result;
}
