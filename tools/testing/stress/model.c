// SPDX-License-Identifier: GPL-2.0
/*
 * What must be in the files.
 *
 * Each worker owns one word in each page. Before it stores a new value it says so
 * in `next`, and in `last` afterwards. A word that is read must have been `last`
 * before the read, `next` after it, or something its owner stored in between.
 * Values are never used twice: they tell the file, the owner, the page where they
 * were stored, and a generation that grows. 0 is what was never stored.
 *
 * What removes contents holds the lock of the file for writing.
 */
#include "stress.h"

#define GENERATION_BITS 40

size_t word_at(unsigned int worker)
{
	return worker * (PAGE / MAX_WORKERS);
}

static size_t row(const struct file *file, size_t page)
{
	return file->slot_of[page / RANGE_PAGES] * RANGE_PAGES +
	       page % RANGE_PAGES;
}

struct word *model_word(unsigned int number, size_t page, unsigned int worker)
{
	const struct file *file = &control->file[number];

	return &control->word[file->words + row(file, page) * control->workers +
			      worker];
}

static uint64_t generation(uint64_t value)
{
	return value & ((1UL << GENERATION_BITS) - 1);
}

uint64_t model_new(unsigned int number, size_t page, unsigned int worker)
{
	struct file *file = &control->file[number];

	return (uint64_t)number << 60 | (uint64_t)worker << 54 |
	       (uint64_t)row(file, page) << GENERATION_BITS |
	       (atomic_fetch_add(&file->generation, 1) + 1);
}

void model_before(struct view_of_page *view, unsigned int file, size_t page)
{
	for (unsigned int i = 0; i < control->workers; i++)
		view->low[i] = model_word(file, page, i)->last;
}

bool model_allows(uint64_t seen, uint64_t low, uint64_t high)
{
	if (seen == low || seen == high)
		return true;
	return seen && seen >> GENERATION_BITS == high >> GENERATION_BITS &&
	       generation(seen) > generation(low) &&
	       generation(seen) < generation(high);
}

void model_check(const struct view_of_page *view, unsigned int file,
		 size_t page, const char *contents, const char *how,
		 const void *address)
{
	for (unsigned int i = 0; i < control->workers; i++) {
		uint64_t high = model_word(file, page, i)->next, seen;

		memcpy(&seen, contents + word_at(i), sizeof(seen));
		if (!model_allows(seen, view->low[i], high))
			fail(CONTENTS,
			     "%s: %s page %zu (%p): the word of worker %u is %#lx, must be %#lx to %#lx",
			     how, control->file[file].name, page, address, i,
			     seen, view->low[i], high);
	}
}

static void set_words(unsigned int file, size_t page, uint64_t value)
{
	for (unsigned int i = 0; i < control->workers; i++) {
		struct word *word = model_word(file, page, i);

		word->next = value;
		word->last = value;
	}
}

void model_clear(unsigned int file, size_t from, size_t to)
{
	for (size_t page = from; page < to; page++)
		if (file_page_slot(&control->file[file], page) >= 0)
			set_words(file, page, 0);
}

/* pages from..to are taken out; the file has slots only, without gaps */
void model_collapse(unsigned int file, size_t from, size_t to)
{
	size_t end = control->file[file].pages;

	for (size_t page = to; page < end; page++)
		for (unsigned int i = 0; i < control->workers; i++) {
			struct word *old = model_word(file, page, i);
			struct word *new =
				model_word(file, page - to + from, i);

			new->next = old->next;
			new->last = old->last;
		}
	model_clear(file, end - (to - from), end);
}

void model_relearn(unsigned int file, size_t from, size_t to)
{
	for (size_t page = from; page < to; page++) {
		char contents[PAGE] = "";

		if (file_page_slot(&control->file[file], page) < 0)
			continue;
		if (pread(control->file[file].fd, contents, PAGE, page * PAGE) <
		    0)
			fail(CALLS, "pread: errno %d", errno);
		for (unsigned int i = 0; i < control->workers; i++) {
			struct word *word = model_word(file, page, i);
			uint64_t seen;

			memcpy(&seen, contents + word_at(i), sizeof(seen));
			if (seen && seen != word->last && seen != word->next)
				fail(CONTENTS,
				     "%s page %zu: the word of worker %u is %#lx, must be 0, %#lx or %#lx",
				     control->file[file].name, page, i, seen,
				     word->last, word->next);
			word->next = seen;
			word->last = seen;
		}
	}
}
