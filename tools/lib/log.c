// SPDX-License-Identifier: GPL-2.0
/*
 * The undo log: what was there before a change.
 *
 * An entry is complete before log_used says that it is there, and log_used says
 * so before the change is made. A process that is killed has made all stores up
 * to some instruction and none after it, so it is the compiler whose order
 * counts; the stores are releases all the same.
 */
#include <errno.h>
#include <string.h>

#include "heap.h"

static char *log_at(const struct scome_heap *heap, uint64_t used)
{
	return heap->base + HEAP_LOG + used;
}

uint64_t log_size(uint64_t bytes)
{
	return ((bytes + 7) & ~7UL) + sizeof(struct heap_undo);
}

/* each object that the transaction will free when it is committed needs some */
static uint64_t promised(const struct scome_heap *heap)
{
	return heap_in_transaction(heap) ? heap->freed_count * HEAP_OP_UNDO : 0;
}

int log_room(struct scome_heap *heap, uint64_t bytes)
{
	struct heap_state *state = heap->state;
	uint64_t room = HEAP_META - HEAP_LOG, end;

	if (bytes > room || state->log_used + promised(heap) > room - bytes) {
		errno = E2BIG;
		return -1;
	}
	end = HEAP_LOG + state->log_used + promised(heap) + bytes;
	if (end <= state->log_backed)
		return 0;
	end = (end + HEAP_CHUNK - 1) & ~(HEAP_CHUNK - 1);
	if (space_backed(heap, state->log_backed, end - state->log_backed))
		return -1;
	store(&state->log_backed, end);
	return 0;
}

void log_bytes(struct scome_heap *heap, const void *start, uint64_t size)
{
	struct heap_state *state = heap->state;
	uint64_t used = state->log_used + log_size(size);
	struct heap_undo undo = {
		.offset = (const char *)start - heap->base,
		.size = size,
	};

	heap_crash_point();
	memcpy(log_at(heap, state->log_used), start, size);
	heap_crash_point();
	memcpy(log_at(heap, used - sizeof(undo)), &undo, sizeof(undo));
	store(&state->log_used, used);
	/* whatever the caller does to the bytes comes after */
	atomic_thread_fence(memory_order_acq_rel);
}

void log_store(struct scome_heap *heap, uint64_t *word, uint64_t value)
{
	struct heap_state *state = heap->state;
	uint64_t *entry = (uint64_t *)log_at(heap, state->log_used);

	if (*word == value)
		return;
	store(entry, *word);
	store(entry + 1, (char *)word - heap->base);
	store(entry + 2, sizeof(*word));
	store(&state->log_used, state->log_used + HEAP_WORD_UNDO);
	store(word, value);
}

void log_commit(struct scome_heap *heap)
{
	if (heap->state->log_used)
		store(&heap->state->log_used, 0);
}

/* the entry that ends there */
static struct heap_undo entry_before(const struct scome_heap *heap,
				     uint64_t used)
{
	struct heap_undo undo;

	memcpy(&undo, log_at(heap, used - sizeof(undo)), sizeof(undo));
	return undo;
}

static void put_back(char *to, const char *from, uint64_t size)
{
	if (size == sizeof(uint64_t) && !((uintptr_t)to % size)) {
		store((uint64_t *)to, *(const uint64_t *)from);
		return;
	}
	heap_crash_point();
	memcpy(to, from, size);
}

/*
 * Entry by entry, each gone when it is done: those that are left were written when
 * state.end was what it is now, so that the next one finds them good, too.
 */
void log_undo(struct scome_heap *heap, uint64_t mark)
{
	uint64_t used = heap->state->log_used;

	while (used > mark) {
		struct heap_undo undo = entry_before(heap, used);

		used -= log_size(undo.size);
		put_back(heap->base + undo.offset, log_at(heap, used),
			 undo.size);
		store(&heap->state->log_used, used);
	}
}

static bool within(uint64_t offset, uint64_t size, uint64_t start, uint64_t end)
{
	return start <= offset && offset <= end && size <= end - offset;
}

/* may a change of the heap have been there? */
static bool undo_is_good(const struct scome_heap *heap, struct heap_undo undo,
			 uint64_t used)
{
	const struct heap_state *state = heap->state;
	uint64_t data = heap->header.data;

	if (!undo.size || undo.size > used || log_size(undo.size) > used)
		return false;
	return within(undo.offset, undo.size,
		      HEAP_STATE + offsetof(struct heap_state, end),
		      HEAP_STATE + sizeof(*state)) ||
	       within(undo.offset, undo.size, HEAP_META,
		      HEAP_META + state->end * sizeof(struct heap_page)) ||
	       within(undo.offset, undo.size, data,
		      data + state->end * HEAP_PAGE);
}

int log_recover(struct scome_heap *heap)
{
	struct heap_state *state = heap->state;
	uint64_t used = state->log_used;

	if (!used)
		return 0;
	if (used % 8 || used > HEAP_META - HEAP_LOG ||
	    HEAP_LOG + used > state->log_backed)
		goto bad;
	while (used) {
		struct heap_undo undo;

		if (used < sizeof(undo))
			goto bad;
		undo = entry_before(heap, used);
		if (!undo_is_good(heap, undo, used))
			goto bad;
		used -= log_size(undo.size);
	}
	store(&state->recoveries, state->recoveries + 1);
	log_undo(heap, 0);
	return 0;
bad:
	errno = EBADMSG;
	return -1;
}
