/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the library share; layout.h has what the file contains. */
#ifndef HEAP_H
#define HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* part of the library's interface; nothing else can be seen from outside */
#define HEAP_PUBLIC __attribute__((visibility("default")))

/* words that one operation changes at most */
#define HEAP_OP_WORDS 64
#define HEAP_WORD_UNDO (8 + sizeof(struct heap_undo))
#define HEAP_OP_UNDO (HEAP_OP_WORDS * HEAP_WORD_UNDO)

/**
 * struct scome_heap - a heap that this process has open
 * @base: where the file lies
 * @header: what the file's header was when it was opened; nobody can change it now
 * @state: parts of the file
 * @pages: the same
 * @data: the same
 * @fd: an open file of the heap's own, with a lock that says that it is open
 * @linked: the file's leaf tables are linked
 * @owner: the thread that is in a transaction, or 0
 * @forks: how often this process had been forked when the transaction began: a
 *	   child is not in its parent's
 * @freed: what the transaction frees, sorted; only the owner touches it
 * @freed_count: of these
 * @freed_room: for these
 */
struct scome_heap {
	char *base;
	struct heap_header header;
	struct heap_state *state;
	struct heap_page *pages;
	char *data;
	int fd;
	bool linked;
	_Atomic(uint64_t) owner;
	unsigned int forks;
	void **freed;
	size_t freed_count;
	size_t freed_room;
};

/* an operation: alone, or a part of the calling thread's transaction */
struct heap_op {
	bool alone;
	uint64_t mark;
};

/* --- place.c: where a heap lies, and who has it open */

int heap_map(struct scome_heap *heap, uint64_t base, uint64_t reserve);
int heap_map_anywhere(struct scome_heap *heap, uint64_t reserve);
int heap_enter_gate(int fd);
void heap_leave_gate(int fd);
bool heap_is_alone(int fd);
int heap_is_open(int fd);

/* --- lock.c: one thread of one process at a time */

int heap_lock_init(struct scome_heap *heap);
int heap_lock(struct scome_heap *heap);
void heap_unlock(struct scome_heap *heap);
/* the calling thread is in a transaction */
bool heap_in_transaction(const struct scome_heap *heap);
/* with the lock; -1 and errno */
int heap_look(struct scome_heap *heap, struct heap_op *op);
/* with the lock, and with room in the log for what one operation changes */
int heap_begin(struct scome_heap *heap, struct heap_op *op);
void heap_end(struct scome_heap *heap, const struct heap_op *op, bool good);

/* --- log.c: changes that can be taken back */

/* room for that many bytes of the log beside those that are promised already */
int log_room(struct scome_heap *heap, uint64_t bytes);
/* bytes of the log that an entry for that many takes */
uint64_t log_size(uint64_t bytes);
void log_bytes(struct scome_heap *heap, const void *start, uint64_t size);
/* change a word; the old value is in the log before */
void log_store(struct scome_heap *heap, uint64_t *word, uint64_t value);
void log_commit(struct scome_heap *heap);
/* as it was when the log had this length */
void log_undo(struct scome_heap *heap, uint64_t mark);
/* after a death: -1 and EBADMSG when the log is nonsense */
int log_recover(struct scome_heap *heap);

/* --- space.c: memory of the file */

int space_backed(struct scome_heap *heap, uint64_t offset, uint64_t size);
/* more data, by whole chunks */
int space_grow(struct scome_heap *heap, uint64_t pages);
/* that these pages have memory */
int space_fill(struct scome_heap *heap, uint64_t page, uint64_t count);

/* --- run.c: runs of pages */

static inline struct heap_page *page_of(const struct scome_heap *heap,
					uint64_t page)
{
	return heap->pages + page;
}

static inline enum heap_kind page_kind(const struct heap_page *page)
{
	return page->what & 0xff;
}

static inline unsigned int page_class(const struct heap_page *page)
{
	return page->what >> 8 & 0xff;
}

static inline uint64_t page_length(const struct heap_page *page)
{
	return page->what >> 16;
}

static inline uint64_t page_what(enum heap_kind kind, unsigned int class,
				 uint64_t length)
{
	return length << 16 | class << 8 | kind;
}

unsigned int run_bin(uint64_t pages);
void list_add(struct scome_heap *heap, uint64_t *first, uint64_t page);
void list_remove(struct scome_heap *heap, uint64_t *first, uint64_t page);
/* the first page, or -1 and errno; the caller describes it */
int64_t run_take(struct scome_heap *heap, uint64_t pages, uint64_t align);
/* its description must be zero by now */
void run_give(struct scome_heap *heap, uint64_t page, uint64_t pages);

/* --- object.c: sizes, slabs, and which object a pointer is */

struct heap_class {
	uint16_t size;
	uint8_t pages;
};

extern const struct heap_class heap_classes[HEAP_CLASSES];

struct heap_object {
	/* first page of the run, and which object of a slab */
	uint64_t page;
	unsigned int index;
	size_t size;
};

unsigned int class_objects(unsigned int class);
/* HEAP_CLASSES when a run of pages is meant */
unsigned int class_of(size_t align, size_t size);
/* false when no object begins there */
bool object_find(const struct scome_heap *heap, const void *start,
		 struct heap_object *object);
void *object_take(struct scome_heap *heap, size_t align, size_t size);
void object_give(struct scome_heap *heap, const struct heap_object *object);

/* --- check.c */

int heap_check_locked(struct scome_heap *heap,
		      void (*report)(void *context, const char *sentence),
		      void *context);

/* --- tests: a place where the process may die: before a change of the file */
#ifdef SCOME_HEAP_CRASH_POINTS
void heap_crash_point(void);
#else
static inline void heap_crash_point(void)
{
}
#endif

static inline void store(uint64_t *word, uint64_t value)
{
	heap_crash_point();
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

#endif
