// SPDX-License-Identifier: GPL-2.0
/*
 * Transactions: several changes that happen together or not at all.
 *
 * An object that is freed stays as it is until the commit: it might be allocated
 * again, and the new owner's stores are not in the log. The commit frees it under
 * the log like everything else, and only then empties the log. So what is to be
 * freed need not be in the file: a process that dies before takes it all back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

/* where it is, or would be */
static size_t freed_place(const struct scome_heap *heap, const void *object)
{
	size_t low = 0, high = heap->freed_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (heap->freed[middle] < object)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_freed(const struct scome_heap *heap, const void *object)
{
	size_t place = freed_place(heap, object);

	return place < heap->freed_count && heap->freed[place] == object;
}

static int free_later(struct scome_heap *heap, void *object)
{
	size_t place = freed_place(heap, object);

	if (heap->freed_count == heap->freed_room) {
		size_t room = heap->freed_room ? 2 * heap->freed_room : 16;
		void *more = reallocarray(heap->freed, room, sizeof(void *));

		if (!more)
			return -1;
		heap->freed = more;
		heap->freed_room = room;
	}
	memmove(heap->freed + place + 1, heap->freed + place,
		(heap->freed_count - place) * sizeof(void *));
	heap->freed[place] = object;
	heap->freed_count++;
	return 0;
}

/**
 * scome_heap_free - free an object
 *
 * In a transaction the object stays what it is until the commit.
 */
HEAP_PUBLIC int scome_heap_free(struct scome_heap *heap, void *object)
{
	struct heap_object found;
	struct heap_op op;
	int result = -1;

	if (!object)
		return 0;
	/* the room is the one that is promised to free it at the end */
	if (heap_begin(heap, &op))
		return -1;
	if (!object_find(heap, object, &found) ||
	    (!op.alone && is_freed(heap, object))) {
		errno = EINVAL;
	} else if (!op.alone) {
		result = free_later(heap, object);
	} else {
		object_give(heap, &found);
		result = 0;
	}
	heap_end(heap, &op, !result);
	return result;
}

/**
 * scome_heap_add - remember bytes that the transaction is about to change
 *
 * They get their values back when it does not come to its end.
 */
HEAP_PUBLIC int scome_heap_add(struct scome_heap *heap, const void *start,
			       size_t size)
{
	const char *data = heap->data;
	uint64_t end;

	if (!heap_in_transaction(heap)) {
		errno = EPERM;
		return -1;
	}
	if (!size)
		return 0;
	end = heap->state->end * HEAP_PAGE;
	if ((uintptr_t)start < (uintptr_t)data ||
	    (uintptr_t)start - (uintptr_t)data > end ||
	    size > end - ((uintptr_t)start - (uintptr_t)data)) {
		errno = EINVAL;
		return -1;
	}
	if (size > HEAP_META) {
		errno = E2BIG;
		return -1;
	}
	if (log_room(heap, log_size(size)))
		return -1;
	log_bytes(heap, start, size);
	return 0;
}

static void leave(struct scome_heap *heap)
{
	heap->freed_count = 0;
	atomic_store_explicit(&heap->owner, 0, memory_order_relaxed);
	heap_unlock(heap);
}

/**
 * scome_heap_commit - end a transaction: all of it has happened
 *
 * It cannot fail for lack of anything.
 */
HEAP_PUBLIC int scome_heap_commit(struct scome_heap *heap)
{
	if (!heap_in_transaction(heap)) {
		errno = EPERM;
		return -1;
	}
	for (size_t i = 0; i < heap->freed_count; i++) {
		struct heap_object object;

		if (object_find(heap, heap->freed[i], &object))
			object_give(heap, &object);
	}
	log_commit(heap);
	leave(heap);
	return 0;
}

/**
 * scome_heap_abort - end a transaction: nothing of it has happened
 */
HEAP_PUBLIC int scome_heap_abort(struct scome_heap *heap)
{
	if (!heap_in_transaction(heap)) {
		errno = EPERM;
		return -1;
	}
	log_undo(heap, 0);
	leave(heap);
	return 0;
}
