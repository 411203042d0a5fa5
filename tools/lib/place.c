// SPDX-License-Identifier: GPL-2.0
/*
 * Where a heap lies, and who has it open.
 *
 * Two bytes of the file are locked, by open file descriptions, so that a lock
 * lasts as long as its process or a child of that has the file open:
 *
 *	PRESENT	shared: the heap is open. Exclusive: and nobody else has it open,
 *		so nobody is between begin and end, and whatever the mutex says is
 *		of processes that are gone, or of another boot
 *	GATE	exclusive, while somebody opens it: one at a time, so that who is
 *		alone stays so until the heap is in order
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "heap.h"
#include "scome.h"

enum {
	PRESENT,
	GATE,
};

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static int lock_byte(int fd, int how, short type, off_t byte)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};
	int result;

	do {
		result = fcntl(fd, how, &lock);
	} while (result && errno == EINTR);
	return result;
}

int heap_enter_gate(int fd)
{
	return lock_byte(fd, F_OFD_SETLKW, F_WRLCK, GATE);
}

void heap_leave_gate(int fd)
{
	lock_byte(fd, F_OFD_SETLK, F_UNLCK, GATE);
}

bool heap_is_alone(int fd)
{
	return !lock_byte(fd, F_OFD_SETLK, F_WRLCK, PRESENT);
}

int heap_is_open(int fd)
{
	return lock_byte(fd, F_OFD_SETLK, F_RDLCK, PRESENT);
}

static void *map(const struct scome_heap *heap, uint64_t base, uint64_t reserve,
		 int flags)
{
	void *wanted = (void *)base;
	void *place = mmap(wanted, reserve, PROT_READ | PROT_WRITE,
			   flags | MAP_FIXED_NOREPLACE, heap->fd, 0);

	if (place == MAP_FAILED || place == wanted)
		return place;
	/* a kernel that does not know MAP_FIXED_NOREPLACE */
	munmap(place, reserve);
	errno = EEXIST;
	return MAP_FAILED;
}

int heap_map(struct scome_heap *heap, uint64_t base, uint64_t reserve)
{
	void *place =
		map(heap, base, reserve, MAP_SHARED_VALIDATE | MAP_SHARED_PT);

	heap->linked = place != MAP_FAILED;
	/* the kernel cannot, or not this file */
	if (place == MAP_FAILED && errno == EOPNOTSUPP)
		place = map(heap, base, reserve, MAP_SHARED);
	if (place == MAP_FAILED)
		return -1;
	heap->base = place;
	return 0;
}

int heap_map_anywhere(struct scome_heap *heap, uint64_t reserve)
{
	uint64_t room = HEAP_WINDOW_END - HEAP_WINDOW_START - reserve;
	uint64_t places = room / HEAP_PLACE + 1, number;

	/* at random: files that never met shall not lie at the same place */
	for (unsigned int i = 0; i < 256; i++) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -1;
		number %= places;
		if (!heap_map(heap, HEAP_WINDOW_START + number * HEAP_PLACE,
			      reserve))
			return 0;
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}
