/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Persistent heaps: memory in a file, at the same address in every process.
 *
 * See scome_heap(7). A function that fails returns -1, or NULL, and sets errno;
 * the man pages have the errors.
 */
#ifndef SCOME_HEAP_H
#define SCOME_HEAP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct scome_heap;

/* the pointers that a program finds without having one: 0 to 63 */
#define SCOME_HEAP_ROOTS 64

/* what every object is aligned to; scome_heap_alloc_aligned() gives more */
#define SCOME_HEAP_ALIGN 16

/**
 * struct scome_heap_options - what a new heap shall be like
 * @size: sizeof(struct scome_heap_options)
 * @limit: bytes to which it may grow, rounded up to 2 MiB; 0 for 16 GiB
 * @address: where it shall lie, a multiple of 2 MiB in the fixed window
 *	     (shared_pt(7)); 0 for a free place that the library chooses
 *
 * A heap that exists has its own limit and address: the options are ignored.
 */
struct scome_heap_options {
	size_t size;
	uint64_t limit;
	uint64_t address;
};

/**
 * struct scome_heap_stats - what scome_heap_stats() tells
 * @address: where the heap lies, in every process
 * @reserved: bytes of addresses that it has
 * @limit: bytes to which the memory for objects may grow
 * @grown: bytes to which it has grown
 * @returned: bytes of these that scome_heap_trim() gave back to the file system
 * @used: bytes in objects
 * @objects: their number
 * @recoveries: how often a process died in the middle of a change that then
 *		was taken back
 * @linked: 1 when this process links the file's leaf page tables, or 0
 */
struct scome_heap_stats {
	uint64_t address;
	uint64_t reserved;
	uint64_t limit;
	uint64_t grown;
	uint64_t returned;
	uint64_t used;
	uint64_t objects;
	uint64_t recoveries;
	uint64_t linked;
};

/* @flags: O_CREAT, with or without O_EXCL, or 0 */
struct scome_heap *scome_heap_open(const char *path, int flags, mode_t mode,
				   const struct scome_heap_options *options);
/* @flags: O_CREAT or 0; the descriptor stays the caller's */
struct scome_heap *scome_heap_open_fd(int fd, int flags,
				      const struct scome_heap_options *options);
int scome_heap_close(struct scome_heap *heap);

/* within a transaction of the calling thread they are parts of it */
void *scome_heap_alloc(struct scome_heap *heap, size_t size);
void *scome_heap_zalloc(struct scome_heap *heap, size_t size);
void *scome_heap_alloc_aligned(struct scome_heap *heap, size_t align,
			       size_t size);
int scome_heap_free(struct scome_heap *heap, void *object);
size_t scome_heap_usable_size(struct scome_heap *heap, const void *object);

int scome_heap_set_root(struct scome_heap *heap, unsigned int root,
			void *object);
void *scome_heap_root(struct scome_heap *heap, unsigned int root);

/* one transaction at a time in all processes: it has the heap's lock */
int scome_heap_begin(struct scome_heap *heap);
/* the bytes are about to be changed: remember what they are */
int scome_heap_add(struct scome_heap *heap, const void *start, size_t size);
int scome_heap_commit(struct scome_heap *heap);
int scome_heap_abort(struct scome_heap *heap);

int scome_heap_sync(struct scome_heap *heap);
int scome_heap_trim(struct scome_heap *heap);

/* @size: sizeof(struct scome_heap_stats) */
int scome_heap_stats(struct scome_heap *heap, struct scome_heap_stats *stats,
		     size_t size);
/* @report may be NULL; it gets a sentence for each thing that is wrong */
int scome_heap_check(struct scome_heap *heap,
		     void (*report)(void *context, const char *sentence),
		     void *context);
/* until @visit returns something else than 0, which is returned then */
int scome_heap_walk(struct scome_heap *heap,
		    int (*visit)(void *context, void *object, size_t size),
		    void *context);

#ifdef __cplusplus
}
#endif

#endif
