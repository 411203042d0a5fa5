// SPDX-License-Identifier: GPL-2.0
/* Objects: sizes, slabs of objects of one size, and objects of whole pages. */
#include <errno.h>
#include <string.h>

#include "heap.h"

/*
 * The sizes: 16 bytes apart up to 128, then 4 a doubling. A slab has as many
 * pages as give it 8 objects, or as many as 16 pages hold, and leave not more
 * than a sixteenth over.
 */
const struct heap_class heap_classes[HEAP_CLASSES] = {
	{ 16, 1 },     { 32, 1 },     { 48, 1 },     { 64, 1 },
	{ 80, 1 },     { 96, 1 },     { 112, 1 },    { 128, 1 },
	{ 160, 1 },    { 192, 1 },    { 224, 1 },    { 256, 1 },
	{ 320, 1 },    { 384, 1 },    { 448, 1 },    { 512, 1 },
	{ 640, 2 },    { 768, 2 },    { 896, 2 },    { 1024, 2 },
	{ 1280, 3 },   { 1536, 3 },   { 1792, 4 },   { 2048, 4 },
	{ 2560, 5 },   { 3072, 6 },   { 3584, 7 },   { 4096, 8 },
	{ 5120, 10 },  { 6144, 12 },  { 7168, 14 },  { 8192, 16 },
	{ 10240, 15 }, { 12288, 15 }, { 14336, 14 }, { 16384, 16 },
};

unsigned int class_objects(unsigned int class)
{
	return heap_classes[class].pages * HEAP_PAGE / heap_classes[class].size;
}

unsigned int class_of(size_t align, size_t size)
{
	unsigned int log, class;

	if (size > HEAP_CLASS_MAX || align > HEAP_PAGE)
		return HEAP_CLASSES;
	if (size <= 128) {
		class = (size + 15) / 16 - 1;
	} else {
		log = 63 - __builtin_clzl(size - 1);
		class = 8 + 4 * (log - 7) + ((size - 1) >> (log - 2) & 3);
	}
	/* a slab begins with a page: its objects are aligned as their size is */
	while (class < HEAP_CLASSES && heap_classes[class].size % align)
		class += 1;
	return class;
}

bool object_find(const struct scome_heap *heap, const void *start,
		 struct heap_object *object)
{
	uint64_t offset = (uintptr_t)start - (uintptr_t)heap->data;
	uint64_t page = offset / HEAP_PAGE;
	const struct heap_page *described;

	if ((uintptr_t)start < (uintptr_t)heap->data ||
	    page >= heap->state->end)
		return false;
	described = page_of(heap, page);
	if (page_kind(described) == HEAP_LARGE) {
		object->page = page;
		object->size = page_length(described) * HEAP_PAGE;
		return offset % HEAP_PAGE == 0;
	}
	if (page_kind(described) == HEAP_SLAB_PART) {
		if (page_length(described) > page)
			return false;
		page -= page_length(described);
		described = page_of(heap, page);
	}
	if (page_kind(described) != HEAP_SLAB ||
	    page_class(described) >= HEAP_CLASSES)
		return false;
	offset -= page * HEAP_PAGE;
	object->page = page;
	object->size = heap_classes[page_class(described)].size;
	object->index = offset / object->size;
	return offset % object->size == 0 &&
	       object->index < class_objects(page_class(described)) &&
	       described->map[object->index / 64] >> object->index % 64 & 1;
}

static unsigned int in_slab(const struct heap_page *slab)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < 4; i++)
		count += __builtin_popcountll(slab->map[i]);
	return count;
}

static int make_slab(struct scome_heap *heap, unsigned int class)
{
	unsigned int pages = heap_classes[class].pages;
	int64_t first = run_take(heap, pages, 1);

	if (first < 0)
		return -1;
	log_store(heap, &page_of(heap, first)->what,
		  page_what(HEAP_SLAB, class, 0));
	for (unsigned int i = 1; i < pages; i++)
		log_store(heap, &page_of(heap, first + i)->what,
			  page_what(HEAP_SLAB_PART, 0, i));
	list_add(heap, &heap->state->slabs[class], first);
	return 0;
}

static void unmake_slab(struct scome_heap *heap, uint64_t first,
			unsigned int class)
{
	unsigned int pages = heap_classes[class].pages;

	list_remove(heap, &heap->state->slabs[class], first);
	for (unsigned int i = 0; i < pages; i++)
		log_store(heap, &page_of(heap, first + i)->what, 0);
	run_give(heap, first, pages);
}

static void count(struct scome_heap *heap, int objects, size_t bytes)
{
	struct heap_state *state = heap->state;

	log_store(heap, &state->objects, state->objects + objects);
	log_store(heap, &state->used, state->used + bytes);
}

static void *take_small(struct scome_heap *heap, unsigned int class)
{
	uint64_t *slabs = &heap->state->slabs[class], first;
	unsigned int size = heap_classes[class].size, index = 0;
	struct heap_page *slab;

	if (!*slabs && make_slab(heap, class))
		return NULL;
	first = *slabs - 1;
	slab = page_of(heap, first);
	while (!~slab->map[index / 64])
		index += 64;
	index += __builtin_ctzll(~slab->map[index / 64]);
	log_store(heap, &slab->map[index / 64],
		  slab->map[index / 64] | 1ULL << index % 64);
	if (in_slab(slab) == class_objects(class))
		list_remove(heap, slabs, first);
	count(heap, 1, size);
	return heap->data + first * HEAP_PAGE + index * size;
}

static void *take_large(struct scome_heap *heap, size_t align, size_t size)
{
	uint64_t pages = (size + HEAP_PAGE - 1) / HEAP_PAGE;
	int64_t first = run_take(heap, pages,
				 align > HEAP_PAGE ? align / HEAP_PAGE : 1);

	if (first < 0)
		return NULL;
	log_store(heap, &page_of(heap, first)->what,
		  page_what(HEAP_LARGE, 0, pages));
	count(heap, 1, pages * HEAP_PAGE);
	return heap->data + first * HEAP_PAGE;
}

void *object_take(struct scome_heap *heap, size_t align, size_t size)
{
	unsigned int class;

	if (size > heap->header.chunks * HEAP_CHUNK) {
		errno = ENOMEM;
		return NULL;
	}
	class = class_of(align, size ? size : 1);
	return class < HEAP_CLASSES ? take_small(heap, class) :
				      take_large(heap, align, size ? size : 1);
}

void object_give(struct scome_heap *heap, const struct heap_object *object)
{
	struct heap_page *run = page_of(heap, object->page);
	unsigned int class = page_class(run), left, index = object->index;
	uint64_t *slabs = &heap->state->slabs[class];

	count(heap, -1, -object->size);
	if (page_kind(run) == HEAP_LARGE) {
		uint64_t pages = page_length(run);

		log_store(heap, &run->what, 0);
		run_give(heap, object->page, pages);
		return;
	}
	log_store(heap, &run->map[index / 64],
		  run->map[index / 64] & ~(1ULL << index % 64));
	left = in_slab(run);
	if (left == class_objects(class) - 1)
		list_add(heap, slabs, object->page);
	/* one empty slab of a size stays for the next object */
	if (!left && (run->next || run->prev))
		unmake_slab(heap, object->page, class);
}

static void *allocate(struct scome_heap *heap, size_t align, size_t size)
{
	struct heap_op op;
	void *object;

	if (heap_begin(heap, &op))
		return NULL;
	object = object_take(heap, align, size);
	heap_end(heap, &op, object);
	return object;
}

/**
 * scome_heap_alloc - allocate an object
 *
 * What is in it is not defined. An object of 0 bytes is one, too.
 */
HEAP_PUBLIC void *scome_heap_alloc(struct scome_heap *heap, size_t size)
{
	return allocate(heap, SCOME_HEAP_ALIGN, size);
}

/**
 * scome_heap_zalloc - allocate an object that is full of zeros
 */
HEAP_PUBLIC void *scome_heap_zalloc(struct scome_heap *heap, size_t size)
{
	void *object = allocate(heap, SCOME_HEAP_ALIGN, size);

	/* nobody else knows it yet, so it need not be under the lock */
	if (object)
		memset(object, 0, size);
	return object;
}

/**
 * scome_heap_alloc_aligned - allocate an object at a multiple of @align
 *
 * @align is a power of two, up to 2 MiB.
 */
HEAP_PUBLIC void *scome_heap_alloc_aligned(struct scome_heap *heap,
					   size_t align, size_t size)
{
	if (!align || align & (align - 1) || align > HEAP_CHUNK) {
		errno = EINVAL;
		return NULL;
	}
	if (align < SCOME_HEAP_ALIGN)
		align = SCOME_HEAP_ALIGN;
	return allocate(heap, align, size);
}

/**
 * scome_heap_usable_size - bytes that an object really has
 *
 * 0 and errno when there is no such object.
 */
HEAP_PUBLIC size_t scome_heap_usable_size(struct scome_heap *heap,
					  const void *object)
{
	struct heap_object found = { .size = 0 };
	struct heap_op op;
	bool good;

	if (heap_look(heap, &op))
		return 0;
	good = object_find(heap, object, &found);
	heap_end(heap, &op, true);
	if (good)
		return found.size;
	errno = EINVAL;
	return 0;
}
