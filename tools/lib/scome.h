/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * User space's view of linked leaf page tables, for programs built against the
 * ordinary system headers. The numbers are those of <linux/scome.h> in the
 * patched kernel.
 */
#ifndef SCOME_H
#define SCOME_H

#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 0x03
#endif

#ifndef MAP_SHARED_PT
/* mmap(2): link the file's own leaf tables; needs MAP_SHARED_VALIDATE */
#define MAP_SHARED_PT 0x400000
#endif

#ifndef PR_SET_SHARED_PT
/* prctl(2): mode, smallest mapping in bytes, 0, 0 */
#define PR_SET_SHARED_PT 0x53435401
/* prctl(2): uint64_t * for the smallest mapping or NULL, 0, 0, 0; returns the mode */
#define PR_GET_SHARED_PT 0x53435402
#endif

#define SCOME_OFF 0UL
#define SCOME_ON 1UL

/* what one leaf table maps, and what must be congruent for a range to link */
#define SCOME_RANGE_SIZE (2UL << 20)

static inline void *scome_map(void *addr, size_t size, int prot, int flags,
			      int fd, off_t offset)
{
	return mmap(addr, size, prot,
		    flags | MAP_SHARED_VALIDATE | MAP_SHARED_PT, fd, offset);
}

static inline int scome_set(unsigned long mode, uint64_t min_bytes)
{
	return prctl(PR_SET_SHARED_PT, mode, (unsigned long)min_bytes, 0UL,
		     0UL);
}

static inline int scome_get(uint64_t *min_bytes)
{
	return prctl(PR_GET_SHARED_PT, (unsigned long)(uintptr_t)min_bytes, 0UL,
		     0UL, 0UL);
}

#endif
