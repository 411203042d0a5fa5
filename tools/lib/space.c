// SPDX-License-Identifier: GPL-2.0
/*
 * The file's memory: it grows by chunks, and gives back what is free.
 *
 * Memory is asked for before it is written: a full file system is an error of the
 * call, and no SIGBUS of the store.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "heap.h"

int space_backed(struct scome_heap *heap, uint64_t offset, uint64_t size)
{
	int result;

	heap_crash_point();
	do {
		result = fallocate(heap->fd, 0, offset, size);
	} while (result && errno == EINTR);
	return result;
}

int space_grow(struct scome_heap *heap, uint64_t pages)
{
	uint64_t end = heap->state->end, described, rounded;
	const struct heap_header *header = &heap->header;

	if (pages > header->chunks * HEAP_CHUNK_PAGES - end) {
		errno = ENOMEM;
		return -1;
	}
	pages = (pages + HEAP_CHUNK_PAGES - 1) & ~(HEAP_CHUNK_PAGES - 1);
	/* what they are described in, by whole chunks, too */
	described = end * sizeof(struct heap_page) & ~(HEAP_CHUNK - 1);
	rounded = ((end + pages) * sizeof(struct heap_page) + HEAP_CHUNK - 1) &
		  ~(HEAP_CHUNK - 1);
	if (space_backed(heap, HEAP_META + described, rounded - described) ||
	    space_backed(heap, header->data + end * HEAP_PAGE,
			 pages * HEAP_PAGE))
		return -1;
	log_store(heap, &heap->state->end, end + pages);
	run_give(heap, end, pages);
	return 0;
}

int space_fill(struct scome_heap *heap, uint64_t page, uint64_t count)
{
	uint64_t last = (page + count - 1) / HEAP_CHUNK_PAGES;

	for (uint64_t chunk = page / HEAP_CHUNK_PAGES; chunk <= last; chunk++) {
		uint64_t *hole = &page_of(heap, chunk * HEAP_CHUNK_PAGES)->hole;

		if (!*hole)
			continue;
		if (space_backed(heap, heap->header.data + chunk * HEAP_CHUNK,
				 HEAP_CHUNK))
			return -1;
		store(hole, 0);
	}
	return 0;
}

static int punch(struct scome_heap *heap, uint64_t offset, uint64_t size)
{
	heap_crash_point();
	return fallocate(heap->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 offset, size);
}

/* the chunks that lie in a free run as a whole */
static int punch_run(struct scome_heap *heap, uint64_t page, uint64_t pages)
{
	uint64_t chunk = (page + HEAP_CHUNK_PAGES - 1) / HEAP_CHUNK_PAGES,
		 end = (page + pages) / HEAP_CHUNK_PAGES;

	for (; chunk < end; chunk++) {
		store(&page_of(heap, chunk * HEAP_CHUNK_PAGES)->hole, 1);
		if (punch(heap, heap->header.data + chunk * HEAP_CHUNK,
			  HEAP_CHUNK))
			return -1;
	}
	return 0;
}

static int trim(struct scome_heap *heap)
{
	struct heap_state *state = heap->state;

	if (state->log_backed > HEAP_CHUNK) {
		store(&state->log_backed, HEAP_CHUNK);
		if (punch(heap, HEAP_CHUNK, HEAP_META - HEAP_CHUNK))
			return -1;
	}
	for (uint64_t page = 0; page < state->end;) {
		const struct heap_page *run = page_of(heap, page);
		uint64_t pages = page_length(run);

		if (page_kind(run) == HEAP_FREE && punch_run(heap, page, pages))
			return -1;
		page += page_kind(run) == HEAP_SLAB ?
				heap_classes[page_class(run)].pages :
				pages;
	}
	return 0;
}

/**
 * scome_heap_trim - give free memory back to the file system
 *
 * By whole chunks of 2 MiB. They are asked for again when they are needed.
 */
HEAP_PUBLIC int scome_heap_trim(struct scome_heap *heap)
{
	int result, error;

	if (heap_lock(heap))
		return -1;
	result = trim(heap);
	error = errno;
	heap_unlock(heap);
	errno = error;
	return result;
}

/**
 * scome_heap_sync - write the heap to its device
 *
 * As it is between two operations: nobody is in a transaction meanwhile.
 */
HEAP_PUBLIC int scome_heap_sync(struct scome_heap *heap)
{
	int result, error;

	if (heap_lock(heap))
		return -1;
	result = fsync(heap->fd);
	error = errno;
	heap_unlock(heap);
	errno = error;
	return result;
}
