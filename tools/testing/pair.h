/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scenarios that run twice, on an ordinary and on a linked mapping.
 *
 * A scenario records what a program can observe. Every record is a check: both
 * sides must have made the same one, and where the scenario says what it must
 * be, both must be that. Which 2 MiB ranges are linked is recorded by the
 * linked side alone and compared with what the scenario expects.
 *
 * Checks go to standard output as lines "# check NAME IDS ok|FAIL|SKIP DETAIL", which
 * tools/testing/run turns into one TAP stream.
 */
#ifndef PAIR_H
#define PAIR_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/scome.h"

#define KIB 1024UL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define PAGE (4 * KIB)
#define RANGE SCOME_RANGE_SIZE
#define RW (PROT_READ | PROT_WRITE)
#define MAP_PT (MAP_SHARED_VALIDATE | MAP_SHARED_PT)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

struct log;

struct side {
	bool linked;
	struct log *log;
};

typedef void scenario_fn(struct side *side);

enum sides {
	BOTH_SIDES,
	LINKED_SIDE,
};

bool pair_run(const char *name, const char *ids, enum sides sides,
	      scenario_fn *run);

/* records: the same on both sides / that value on both sides */
void see(struct side *side, const char *name, int64_t value);
void must(struct side *side, const char *name, int64_t value, int64_t wanted);
/* must() with files in memory, see() with files on a disk */
void must_in_memory(struct side *side, const char *name, int64_t value,
		    int64_t wanted);
/*
 * Which 2 MiB ranges from base on are linked: '1', '0', or '?' where it is not
 * promised. Only the linked side looks.
 */
void links(struct side *side, const char *name, const void *base,
	   const char *wanted);
/* the same, after reading every page that can be read */
void relinks(struct side *side, const char *name, const void *base,
	     const char *wanted);
/* the same without a record; true on the ordinary side */
bool links_are(struct side *side, const void *base, const char *wanted);
/* this check cannot be made here, for this reason */
void skip(struct side *side, const char *name, const char *reason);
/* the scenario cannot go on: its preparation failed */
void broken(const char *file, int line, const char *what)
	__attribute__((noreturn));
#define NEED(condition)                                         \
	do {                                                    \
		if (!(condition))                               \
			broken(__FILE__, __LINE__, #condition); \
	} while (0)

/* a system call's result, or its negative errno */
int64_t err(int64_t result);

/*
 * A file of this size, in memory or, if the environment says so, in the file system
 * at SCOME_FILES, a disk's or one with huge pages; one with the stamps of stamp_all() in it.
 */
int memory_file(size_t size);
bool files_on_disk(void);
/* in memory with huge pages */
bool files_huge(void);
int stamped_file(size_t size);
void stamp_file(int fd, size_t size);
/* the same file with other rights */
int reopen(int fd, int flags);
/* one on a block device, opened for O_DIRECT, with the stamps from start on */
int direct_file(size_t size, uint64_t start);
/* a tmpfs of this scenario's own, and a file in a directory */
char *mounted(const char *options);
int file_in(const char *directory, int flags, size_t size);
int64_t punch_hole(int fd, off_t from, off_t length);

/*
 * Map it the side's way. Both sides get an address that is congruent to the
 * offset modulo 2 MiB, so that they see the same.
 */
char *map_side(struct side *side, size_t size, int prot, int fd, off_t offset);
char *map_side_flags(struct side *side, size_t size, int prot, int flags,
		     int fd, off_t offset);
/* what it adds to the flags of mmap() */
int side_flags(const struct side *side);
/* every page read, and "links_before" records that all ranges are linked */
char *map_touched(struct side *side, size_t size, int prot, int fd);
/* always the ordinary way, or always with this process linked */
char *map_ordinary(size_t size, int prot, int fd, off_t offset);
/* free address space of this size and alignment, nothing mapped in it */
char *free_space(size_t size);
/* only '1' where base is linked now, used outside of scenarios */
bool is_linked(const void *base);
bool have_scome(void);

/* lib-gib.c */
#define RANGES (GIB / RANGE)
/* what VmSharedPT says of one table */
#define ONE_TABLE 4
/* aligned to a GiB, as the offset is, whatever side it is */
char *map_gib(struct side *side, size_t size, int prot, int fd, off_t offset);
/* how many ranges of 2 MiB are linked; the ordinary side says what is wanted */
void linked_ranges(struct side *side, const char *name, const char *base,
		   size_t size, int64_t wanted);
/* kB of tables that entries of this process point to */
void linked_tables(struct side *side, const char *name, int64_t wanted);

/* one access; 0, or the signal it raised (and the signal's code in bits 8 and up) */
int try_read(const volatile void *address);
int try_write(volatile void *address, uint64_t value);
int try_call(void (*run)(void *context), void *context);
#define RAISED(signal, code) ((signal) | (code) << 8)

#define SEGV_DENIED RAISED(SIGSEGV, SEGV_ACCERR)

/* a function is put there, and is called there: 42, if that may be executed */
void put_code(void *at);
int call_code(void *at);

/* every page its own number, and whether that is what is there */
void stamp_all(char *base, size_t size);
uint64_t sum_all(const char *base, size_t size);
uint64_t stamp_sum(size_t from, size_t to);
uint64_t word(const void *address);
void set_word(void *address, uint64_t value);

/* run it in a child of this process; its exit status, or 128 + signal */
int in_child(int (*run)(void *context), void *context);
int wait_status(pid_t pid);
/* this thread runs on that processor only */
void pin(int cpu);

/* small files of /proc and /sys */
int64_t read_number(const char *path);
int64_t write_text(const char *path, const char *text);
int64_t status_kb(const char *name);
int64_t meminfo_kb(const char *name);
/* one "Name: value" of the smaps entry of an address; -1 without such a line */
int64_t smaps_kb(const void *address, const char *name);
bool smaps_flag(const void *address, const char *flag);
/* the unit counters: /sys/kernel/mm/scome/NAME */
int64_t scome_counter(const char *name);

/* faults of this process without input or output so far */
int64_t minor_faults(void);

/* a cgroup of its own for this process; the path */
const char *own_cgroup(void);
/* directories which tools/testing/guest prepares */
#define EXT4_DIR "/run/scome/ext4"
#define F2FS_DIR "/run/scome/f2fs"

#endif
