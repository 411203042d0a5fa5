/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a heap's file contains.
 *
 *	offset			what
 *	0			struct heap_header: written once
 *	4 KiB			struct heap_state: the lock, and where things begin
 *	64 KiB			the undo log, up to HEAP_META
 *	HEAP_META		struct heap_page for each page of data, 64 bytes a page
 *	header.data		the pages that objects lie in
 *
 * Each part is a multiple of 2 MiB, so that leaf tables can be linked, and so is
 * the file. The descriptions lie apart from what they describe: nobody hits them
 * by writing beyond an object, and memory that is not used can be a hole. What
 * is not used yet is one, too: all parts lie where the largest heap needs them.
 *
 * Numbers of pages and of 2 MiB chunks count from the beginning of the data. A
 * reference to a page is its number plus one, so that 0 is none, and that a new
 * file is in order as it is.
 *
 * The memory of a page is one of
 *
 *	a run of free pages, in the list of its length; no two are neighbours
 *	a slab: a run of pages with objects of one size
 *	a run that is one object
 *
 * and every page belongs to one of them: runs follow each other from page 0 to
 * state.end. A description that is neither the first of a run, nor the last of a
 * free one, nor one of a slab, is zero.
 *
 * Everything from state.end on (objects, lists, counters, roots) and every
 * description but its @hole changes under state.lock and with the old value in
 * the log first. So does what a program adds to a transaction. The log is in use
 * when log_used is not 0. Whoever gets the lock and finds it so undoes what is in
 * there, an entry at a time from the end to the beginning; it does not matter
 * whether an entry is undone twice. A change is done the moment log_used becomes 0.
 *
 * @hole and log_backed are hints that may be changed at any time under the lock:
 * they err on the side of memory that is there and said not to be.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <pthread.h>
#include <stdint.h>

#include "scome-heap.h"

#define HEAP_MAGIC 0x70616568656d6f63ULL /* "comeheap" */
/* in an empty file, until the header is there: it may be made anew */
#define HEAP_MAGIC_NEW 0x77656e2d6d6f6373ULL /* "scom-new" */
#define HEAP_VERSION 1

#define HEAP_PAGE 4096UL
#define HEAP_CHUNK (2UL << 20)
#define HEAP_CHUNK_PAGES (HEAP_CHUNK / HEAP_PAGE)

#define HEAP_STATE HEAP_PAGE
#define HEAP_LOG (64UL << 10)
#define HEAP_META (16UL << 20)

/* where heaps lie: the fixed window of shared_pt(7) */
#define HEAP_WINDOW_START (32UL << 40)
#define HEAP_WINDOW_END (40UL << 40)
/* a place that the library chooses; a whole table of tables could be shared */
#define HEAP_PLACE (1UL << 30)

#define HEAP_DEFAULT_LIMIT (16UL << 30)

/* sizes of objects up to 16 KiB, at most a quarter too large from 128 bytes on */
#define HEAP_CLASSES 36
#define HEAP_CLASS_MAX 16384UL
/* lists of free runs: a length each up to 15 pages, then 4 for each doubling */
#define HEAP_BINS 128
#define HEAP_SLAB_PAGES 16

/**
 * struct heap_header - what never changes
 * @magic: HEAP_MAGIC, written last
 * @version: HEAP_VERSION; anything else is not read
 * @lock_size: sizeof(pthread_mutex_t), which the C library decides
 * @base: address of the file's first byte in every process
 * @reserve: bytes of addresses from there on, and the largest size of the file
 * @data: offset of the data
 * @chunks: chunks of data at most
 * @sum: of all before it
 */
struct heap_header {
	uint64_t magic;
	uint32_t version;
	uint32_t lock_size;
	uint64_t base;
	uint64_t reserve;
	uint64_t data;
	uint64_t chunks;
	uint64_t sum;
};

/**
 * struct heap_state - the lock, and where things begin
 * @lock: robust, shared by processes, and it knows its owner. Whoever opens the
 *	  file while nobody else has it open makes it anew.
 * @log_used: bytes in the log; 0: there is nothing to take back
 * @log_backed: the file has memory up to this offset, at least
 * @recoveries: counts what was taken back for a process that died; more than
 *		once when that was repeated
 * @end: pages of data that the file has
 * @objects: that are allocated
 * @used: bytes in them
 * @roots: addresses
 * @slabs: for each size the slabs with room
 * @bins: free runs by length
 */
struct heap_state {
	union {
		pthread_mutex_t lock;
		uint64_t room[16];
	};
	uint64_t log_used;
	uint64_t log_backed;
	uint64_t recoveries;
	uint64_t end;
	uint64_t objects;
	uint64_t used;
	uint64_t roots[SCOME_HEAP_ROOTS];
	uint64_t slabs[HEAP_CLASSES];
	uint64_t bins[HEAP_BINS];
};

enum heap_kind {
	HEAP_NONE,
	/* the first page of a free run; @length pages */
	HEAP_FREE,
	/* its last one, unless that is the first; the same length */
	HEAP_FREE_LAST,
	/* the first page of a slab for objects of class @class */
	HEAP_SLAB,
	/* another page of a slab, @length pages behind the first */
	HEAP_SLAB_PART,
	/* the first page of an object of @length pages */
	HEAP_LARGE,
};

/**
 * struct heap_page - description of a page
 * @what: kind, in bits 8 to 15 the class, from bit 16 on the length
 * @next: in the list of free runs, or of slabs with room
 * @prev: the same
 * @map: of a slab: objects that are allocated
 * @hole: of the first page of a chunk: all of it may lack memory. Only where all
 *	  of the chunk is free
 */
struct heap_page {
	uint64_t what;
	uint64_t next;
	uint64_t prev;
	uint64_t map[4];
	uint64_t hole;
};

/**
 * struct heap_undo - the end of an entry of the log
 * @offset: of the bytes in the file
 * @size: their number; they stand before this, filled up to 8
 *
 * What is an entry's end is found from the end of the log.
 */
struct heap_undo {
	uint64_t offset;
	uint64_t size;
};

_Static_assert(sizeof(void *) == sizeof(uint64_t), "addresses of 64 bits");
_Static_assert(sizeof(struct heap_page) == 64, "a page's description");
_Static_assert(sizeof(struct heap_header) == 56, "the header has no gaps");
_Static_assert(sizeof(pthread_mutex_t) <= 128, "room for the lock");
_Static_assert(HEAP_STATE + sizeof(struct heap_state) <= HEAP_LOG,
	       "the state ends before the log");

#endif
