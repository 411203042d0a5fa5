// SPDX-License-Identifier: GPL-2.0
/* What a heap says about itself: its roots, its objects, its figures. */
#include <errno.h>
#include <string.h>

#include "heap.h"

/**
 * scome_heap_set_root - let programs find an object
 *
 * NULL takes the root away. The object stays one when it is no root any more, and
 * a root stays one when its object is freed.
 */
HEAP_PUBLIC int scome_heap_set_root(struct scome_heap *heap, unsigned int root,
				    void *object)
{
	struct heap_object found;
	struct heap_op op;
	bool good;

	if (root >= SCOME_HEAP_ROOTS) {
		errno = EINVAL;
		return -1;
	}
	if (heap_begin(heap, &op))
		return -1;
	good = !object || object_find(heap, object, &found);
	if (good)
		log_store(heap, &heap->state->roots[root], (uint64_t)object);
	heap_end(heap, &op, good);
	if (good)
		return 0;
	errno = EINVAL;
	return -1;
}

/**
 * scome_heap_root - the object of that root, or NULL
 */
HEAP_PUBLIC void *scome_heap_root(struct scome_heap *heap, unsigned int root)
{
	struct heap_op op;
	void *object;

	if (root >= SCOME_HEAP_ROOTS) {
		errno = EINVAL;
		return NULL;
	}
	/* not what somebody else's transaction may take back */
	if (heap_look(heap, &op))
		return NULL;
	object = (void *)heap->state->roots[root];
	heap_end(heap, &op, true);
	return object;
}

static uint64_t count_holes(const struct scome_heap *heap)
{
	uint64_t holes = 0;

	for (uint64_t page = 0; page < heap->state->end;
	     page += HEAP_CHUNK_PAGES)
		holes += page_of(heap, page)->hole;
	return holes;
}

/**
 * scome_heap_stats - the figures of a heap
 */
HEAP_PUBLIC int scome_heap_stats(struct scome_heap *heap,
				 struct scome_heap_stats *stats, size_t size)
{
	const struct heap_state *state = heap->state;
	struct heap_op op;

	if (size != sizeof(*stats)) {
		errno = EINVAL;
		return -1;
	}
	if (heap_look(heap, &op))
		return -1;
	*stats = (struct scome_heap_stats){
		.address = heap->header.base,
		.reserved = heap->header.reserve,
		.limit = heap->header.chunks * HEAP_CHUNK,
		.grown = state->end * HEAP_PAGE,
		.returned = count_holes(heap) * HEAP_CHUNK,
		.used = state->used,
		.objects = state->objects,
		.recoveries = state->recoveries,
		.linked = heap->linked,
	};
	heap_end(heap, &op, true);
	return 0;
}

static int walk_slab(struct scome_heap *heap, uint64_t first,
		     int (*visit)(void *context, void *object, size_t size),
		     void *context)
{
	const struct heap_page *slab = page_of(heap, first);
	unsigned int class = page_class(slab), size = heap_classes[class].size;
	int result = 0;

	for (unsigned int i = 0; i < class_objects(class) && !result; i++) {
		char *object = heap->data + first * HEAP_PAGE + i * size;

		if (slab->map[i / 64] >> i % 64 & 1)
			result = visit(context, object, size);
	}
	return result;
}

/**
 * scome_heap_walk - visit every object, by address
 *
 * What the visit calls is within the walk's lock: it changes nothing.
 */
HEAP_PUBLIC int scome_heap_walk(struct scome_heap *heap,
				int (*visit)(void *context, void *object,
					     size_t size),
				void *context)
{
	struct heap_op op;
	int result = 0;

	if (heap_look(heap, &op))
		return -1;
	for (uint64_t page = 0; page < heap->state->end && !result;) {
		const struct heap_page *run = page_of(heap, page);
		uint64_t pages = page_length(run);

		if (page_kind(run) == HEAP_SLAB) {
			pages = heap_classes[page_class(run)].pages;
			result = walk_slab(heap, page, visit, context);
		} else if (page_kind(run) == HEAP_LARGE) {
			result = visit(context, heap->data + page * HEAP_PAGE,
				       pages * HEAP_PAGE);
		}
		page += pages;
	}
	heap_end(heap, &op, true);
	return result;
}
