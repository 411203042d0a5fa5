// SPDX-License-Identifier: GPL-2.0
/* A heap is made, opened and closed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap.h"

/* FNV-1a */
static uint64_t sum_of(const struct heap_header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < offsetof(struct heap_header, sum); i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3;
	return sum;
}

static uint64_t whole_chunks(uint64_t bytes)
{
	return (bytes + HEAP_CHUNK - 1) & ~(HEAP_CHUNK - 1);
}

static uint64_t data_offset(uint64_t chunks)
{
	return HEAP_META + whole_chunks(chunks * HEAP_CHUNK_PAGES *
					sizeof(struct heap_page));
}

/* what a new heap is like; false when it cannot be like that */
static bool header_of(struct heap_header *header,
		      const struct scome_heap_options *options)
{
	uint64_t window = HEAP_WINDOW_END - HEAP_WINDOW_START;
	uint64_t limit = options && options->limit ? options->limit :
						     HEAP_DEFAULT_LIMIT;

	memset(header, 0, sizeof(*header));
	if (options && options->size != sizeof(*options))
		return false;
	if (limit > window)
		return false;
	header->version = HEAP_VERSION;
	header->lock_size = sizeof(pthread_mutex_t);
	header->base = options ? options->address : 0;
	header->chunks = whole_chunks(limit) / HEAP_CHUNK;
	header->data = data_offset(header->chunks);
	header->reserve = header->data + header->chunks * HEAP_CHUNK;
	if (header->reserve > window)
		return false;
	return !header->base ||
	       (header->base % HEAP_CHUNK == 0 &&
		header->base >= HEAP_WINDOW_START &&
		header->base <= HEAP_WINDOW_END - header->reserve);
}

/* 0, or the error of a header that is not to be used */
static int header_error(const struct heap_header *header)
{
	struct scome_heap_options options = { .size = sizeof(options) };
	struct heap_header wanted;

	if (header->magic != HEAP_MAGIC)
		return EINVAL;
	if (header->version != HEAP_VERSION)
		return EPROTONOSUPPORT;
	if (header->sum != sum_of(header))
		return EBADMSG;
	if (header->lock_size != sizeof(pthread_mutex_t))
		return EPROTONOSUPPORT;
	/* somebody else's idea of a heap, with a sum that is right */
	if (!header->chunks || header->chunks > HEAP_WINDOW_END / HEAP_CHUNK ||
	    !header->base)
		return EBADMSG;
	options.limit = header->chunks * HEAP_CHUNK;
	options.address = header->base;
	if (!header_of(&wanted, &options) || wanted.data != header->data ||
	    wanted.reserve != header->reserve)
		return EBADMSG;
	return 0;
}

static int map_all(struct scome_heap *heap, const struct heap_header *header)
{
	heap->header = *header;
	if (header->base ? heap_map(heap, header->base, header->reserve) :
			   heap_map_anywhere(heap, header->reserve))
		return -1;
	heap->header.base = (uint64_t)heap->base;
	heap->state = (struct heap_state *)(heap->base + HEAP_STATE);
	heap->pages = (struct heap_page *)(heap->base + HEAP_META);
	heap->data = heap->base + header->data;
	return 0;
}

/* the file has nothing in it but, perhaps, HEAP_MAGIC_NEW */
static int fill_file(struct scome_heap *heap, struct heap_header *header)
{
	const uint64_t magic = HEAP_MAGIC_NEW;
	struct heap_header *written;

	heap_crash_point();
	if (ftruncate(heap->fd, 0))
		return -1;
	heap_crash_point();
	if (pwrite(heap->fd, &magic, sizeof(magic), 0) != sizeof(magic))
		return -1;
	heap_crash_point();
	if (ftruncate(heap->fd, header->data))
		return -1;
	if (space_backed(heap, 0, HEAP_CHUNK) || map_all(heap, header))
		return -1;
	header = &heap->header;
	header->magic = HEAP_MAGIC;
	header->sum = sum_of(header);
	written = (struct heap_header *)heap->base;
	store(&heap->state->log_backed, HEAP_CHUNK);
	heap_crash_point();
	memcpy(&written->version, &header->version,
	       sizeof(*header) - offsetof(struct heap_header, version));
	store(&written->magic, HEAP_MAGIC);
	return 0;
}

static int make(struct scome_heap *heap,
		const struct scome_heap_options *options)
{
	struct heap_header header;
	int error;

	if (!header_of(&header, options)) {
		errno = EINVAL;
		return -1;
	}
	if (!fill_file(heap, &header))
		return 0;
	error = errno;
	/* as empty as it was */
	if (ftruncate(heap->fd, 0))
		error = errno;
	errno = error;
	return -1;
}

/* what begins and ends within the file, as far as one sees at once */
static bool state_is_sane(const struct scome_heap *heap, uint64_t file_size)
{
	const struct heap_header *header = &heap->header;
	const struct heap_state *state = heap->state;

	return state->end % HEAP_CHUNK_PAGES == 0 &&
	       state->end / HEAP_CHUNK_PAGES <= header->chunks &&
	       file_size % HEAP_CHUNK == 0 &&
	       file_size >= header->data + state->end * HEAP_PAGE &&
	       state->log_backed % HEAP_CHUNK == 0 &&
	       state->log_backed >= HEAP_CHUNK &&
	       state->log_backed <= HEAP_META;
}

static int file_is_sane(const struct scome_heap *heap)
{
	struct stat status;

	if (fstat(heap->fd, &status))
		return -1;
	if (state_is_sane(heap, status.st_size))
		return 0;
	errno = EBADMSG;
	return -1;
}

/* nobody else has it: what they left is put in order, and looked through */
static int put_in_order(struct scome_heap *heap)
{
	int error = 0;

	if (file_is_sane(heap) || heap_lock_init(heap))
		return -1;
	if (heap_lock(heap)) {
		/* of a log that is nonsense the lock knows only that */
		if (errno == ENOTRECOVERABLE)
			errno = EBADMSG;
		return -1;
	}
	/* once more: where the data end may have been taken back */
	if (file_is_sane(heap))
		error = errno;
	else if (heap_check_locked(heap, NULL, NULL))
		error = EUCLEAN;
	heap_unlock(heap);
	errno = error;
	return error ? -1 : 0;
}

static int use(struct scome_heap *heap, const struct heap_header *header,
	       bool alone)
{
	struct stat status;
	int error = header_error(header);

	if (error) {
		errno = error;
		return -1;
	}
	if (fstat(heap->fd, &status))
		return -1;
	if ((uint64_t)status.st_size < header->data) {
		errno = EBADMSG;
		return -1;
	}
	if (map_all(heap, header))
		return -1;
	return alone ? put_in_order(heap) : 0;
}

/* a new file, or one whose making was not finished */
static bool is_new(const struct heap_header *header, ssize_t size)
{
	return !size || (size >= (ssize_t)sizeof(header->magic) &&
			 header->magic == HEAP_MAGIC_NEW);
}

static int open_gated(struct scome_heap *heap, int flags,
		      const struct scome_heap_options *options)
{
	struct heap_header header = { 0 };
	bool alone = heap_is_alone(heap->fd);
	ssize_t size = pread(heap->fd, &header, sizeof(header), 0);

	if (size < 0)
		return -1;
	if (is_new(&header, size) && (flags & O_CREAT)) {
		if (!alone) {
			errno = EBUSY;
			return -1;
		}
		if (make(heap, options) || put_in_order(heap))
			return -1;
	} else if (is_new(&header, size) || size != sizeof(header)) {
		errno = EINVAL;
		return -1;
	} else if (use(heap, &header, alone)) {
		return -1;
	}
	return heap_is_open(heap->fd);
}

static void drop(struct scome_heap *heap)
{
	if (heap->base)
		munmap(heap->base, heap->header.reserve);
	/* with it the locks, unless a child has it, too */
	close(heap->fd);
	free(heap->freed);
	free(heap);
}

/* takes the descriptor over */
static struct scome_heap *open_own(int fd, int flags,
				   const struct scome_heap_options *options)
{
	struct scome_heap *heap = calloc(1, sizeof(*heap));
	struct stat status;
	int error;

	if (!heap) {
		close(fd);
		return NULL;
	}
	heap->fd = fd;
	if (fstat(fd, &status))
		goto fail;
	if (!S_ISREG(status.st_mode)) {
		errno = EINVAL;
		goto fail;
	}
	if (heap_enter_gate(fd))
		goto fail;
	if (open_gated(heap, flags, options))
		goto fail;
	heap_leave_gate(fd);
	return heap;
fail:
	error = errno;
	drop(heap);
	errno = error;
	return NULL;
}

/**
 * scome_heap_open - open the heap in a file, or make one
 *
 * The heap lies at its own address, or the call fails.
 */
HEAP_PUBLIC struct scome_heap *
scome_heap_open(const char *path, int flags, mode_t mode,
		const struct scome_heap_options *options)
{
	int fd;

	if (flags & ~(O_CREAT | O_EXCL)) {
		errno = EINVAL;
		return NULL;
	}
	fd = open(path, O_RDWR | O_CLOEXEC | flags, mode);
	return fd < 0 ? NULL : open_own(fd, flags, options);
}

/**
 * scome_heap_open_fd - the same, of a file that is open
 *
 * The heap opens the file once more for itself. The descriptor stays the caller's.
 */
HEAP_PUBLIC struct scome_heap *
scome_heap_open_fd(int fd, int flags, const struct scome_heap_options *options)
{
	char path[64];
	int own;

	if (flags & ~O_CREAT) {
		errno = EINVAL;
		return NULL;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDWR | O_CLOEXEC);
	if (own < 0 && fcntl(fd, F_GETFD) < 0)
		errno = EBADF;
	return own < 0 ? NULL : open_own(own, flags, options);
}

/**
 * scome_heap_close - close a heap; its objects cannot be reached any more
 *
 * Not while a thread of this process uses it.
 */
HEAP_PUBLIC int scome_heap_close(struct scome_heap *heap)
{
	if (heap_in_transaction(heap)) {
		errno = EBUSY;
		return -1;
	}
	drop(heap);
	return 0;
}
