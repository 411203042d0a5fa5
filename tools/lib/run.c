// SPDX-License-Identifier: GPL-2.0
/* Runs of pages: taken from lists by length, and joined with free neighbours. */
#include <errno.h>

#include "heap.h"

/* lengths up to 15 have a list each; from there on 4 lists a doubling */
unsigned int run_bin(uint64_t pages)
{
	unsigned int log = 63 - __builtin_clzll(pages), bin;

	if (pages < 16)
		return pages;
	bin = 4 * log + (pages >> (log - 2) & 3);
	return bin < HEAP_BINS ? bin : HEAP_BINS - 1;
}

void list_add(struct scome_heap *heap, uint64_t *first, uint64_t page)
{
	struct heap_page *added = page_of(heap, page);

	log_store(heap, &added->next, *first);
	log_store(heap, &added->prev, 0);
	if (*first)
		log_store(heap, &page_of(heap, *first - 1)->prev, page + 1);
	log_store(heap, first, page + 1);
}

void list_remove(struct scome_heap *heap, uint64_t *first, uint64_t page)
{
	struct heap_page *gone = page_of(heap, page);

	if (gone->prev)
		log_store(heap, &page_of(heap, gone->prev - 1)->next,
			  gone->next);
	else
		log_store(heap, first, gone->next);
	if (gone->next)
		log_store(heap, &page_of(heap, gone->next - 1)->prev,
			  gone->prev);
	log_store(heap, &gone->next, 0);
	log_store(heap, &gone->prev, 0);
}

static void make_free(struct scome_heap *heap, uint64_t page, uint64_t pages)
{
	if (!pages)
		return;
	log_store(heap, &page_of(heap, page)->what,
		  page_what(HEAP_FREE, 0, pages));
	if (pages > 1)
		log_store(heap, &page_of(heap, page + pages - 1)->what,
			  page_what(HEAP_FREE_LAST, 0, pages));
	list_add(heap, &heap->state->bins[run_bin(pages)], page);
}

/* out of its list, and without a description; returns its length */
static uint64_t unmake_free(struct scome_heap *heap, uint64_t page)
{
	uint64_t pages = page_length(page_of(heap, page));

	list_remove(heap, &heap->state->bins[run_bin(pages)], page);
	log_store(heap, &page_of(heap, page)->what, 0);
	log_store(heap, &page_of(heap, page + pages - 1)->what, 0);
	return pages;
}

void run_give(struct scome_heap *heap, uint64_t page, uint64_t pages)
{
	uint64_t behind = page + pages;

	if (page) {
		struct heap_page *before = page_of(heap, page - 1);
		uint64_t length = page_length(before);

		if (page_kind(before) == HEAP_FREE ||
		    page_kind(before) == HEAP_FREE_LAST) {
			page -= length;
			pages += unmake_free(heap, page);
		}
	}
	if (behind < heap->state->end &&
	    page_kind(page_of(heap, behind)) == HEAP_FREE)
		pages += unmake_free(heap, behind);
	make_free(heap, page, pages);
}

static uint64_t align_up(uint64_t page, uint64_t align)
{
	return (page + align - 1) & ~(align - 1);
}

/* a free run with room for that many pages from an aligned one on, plus one */
static uint64_t find_free(const struct scome_heap *heap, uint64_t pages,
			  uint64_t align)
{
	for (unsigned int bin = run_bin(pages); bin < HEAP_BINS; bin++) {
		uint64_t one = heap->state->bins[bin];

		while (one) {
			const struct heap_page *page = page_of(heap, one - 1);

			if (align_up(one - 1, align) + pages <=
			    one - 1 + page_length(page))
				return one;
			one = page->next;
		}
	}
	return 0;
}

/* chunks so that there is such a run at the end */
static int grow_for(struct scome_heap *heap, uint64_t pages, uint64_t align)
{
	uint64_t end = heap->state->end, start = end;

	if (end) {
		const struct heap_page *last = page_of(heap, end - 1);

		if (page_kind(last) == HEAP_FREE ||
		    page_kind(last) == HEAP_FREE_LAST)
			start -= page_length(last);
	}
	return space_grow(heap, align_up(start, align) + pages - end);
}

int64_t run_take(struct scome_heap *heap, uint64_t pages, uint64_t align)
{
	uint64_t found = find_free(heap, pages, align), page, start, length;

	if (!found) {
		if (grow_for(heap, pages, align))
			return -1;
		found = find_free(heap, pages, align);
	}
	start = found - 1;
	page = align_up(start, align);
	if (space_fill(heap, page, pages))
		return -1;
	length = unmake_free(heap, start);
	make_free(heap, start, page - start);
	make_free(heap, page + pages, start + length - page - pages);
	return page;
}
