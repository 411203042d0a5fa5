/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The stress test: processes that do everything at once to a few files, and know
 * what each access must do.
 *
 * Each worker is one thread. It has a table of its mappings with the permission
 * of every page, which nobody else changes, so it knows what an access does: a
 * value, SIGSEGV or SIGBUS. What the value is, the model tells (model.c).
 *
 * What workers share is `struct control`, in a memory file that is mapped the
 * ordinary way. A worker can be killed anywhere but in a critical section, and its
 * successor goes on with the next operation.
 */
#ifndef STRESS_H
#define STRESS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
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
#include <unistd.h>

#include "../../lib/scome.h"

#define KIB 1024UL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define PAGE (4 * KIB)
#define RANGE SCOME_RANGE_SIZE
#define RANGE_PAGES (RANGE / PAGE)
#define GIB_PAGES (GIB / PAGE)
#define RW (PROT_READ | PROT_WRITE)

#ifndef MADV_PAGEOUT
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef SEGV_PKUERR
#define SEGV_PKUERR 4
#endif

#define MAX_WORKERS 64
#define MAX_FILES 16
#define MAX_RANGES 1100
#define MAX_OPERATIONS 96
#define MAX_ERRNO 136
#define NOTHING_TO_DO (MAX_ERRNO - 1)
#define MAPPINGS 12
#define HISTORY 30
#define HISTORY_TEXT 120

/* control.c: what all processes share */

struct hold {
	_Atomic int file; /* its lock is held for reading: number + 1 */
	_Atomic int visited; /* a mapping of that worker is in use: number + 1 */
};

struct offer {
	_Atomic int valid;
	int file;
	uintptr_t base;
	size_t first, pages; /* of the file */
};

struct word {
	_Atomic uint64_t last, next;
};

struct slot {
	_Atomic pid_t pid, child;
	_Atomic unsigned int critical; /* not to be killed now */
	_Atomic bool doomed; /* going to be killed */
	_Atomic uint64_t operations;
	_Atomic uint64_t accesses, signals;
	unsigned int incarnation;
	struct offer offer;
	struct word own; /* what its own file may contain: from last to next */
	uint64_t next_note;
	char notes[HISTORY][HISTORY_TEXT];
	uint32_t ended[MAX_OPERATIONS][MAX_ERRNO];
	double took[MAX_OPERATIONS]; /* seconds */
};

enum kind {
	MEMORY,
	HUGE,
	DISK,
	SYSV,
};

/*
 * A file. Only some ranges of a long one have contents: the slots. The model has
 * a row of words for each page of a slot.
 */
struct file {
	char name[16];
	enum kind kind;
	int fd, direct, shmid;
	size_t max_pages;
	unsigned int slots;
	int8_t slot_of[MAX_RANGES];
	uint16_t range_of[16];
	size_t words; /* where its words begin */
	_Atomic int writer; /* the lock is held for writing: worker + 1 */
	_Atomic size_t pages; /* the size; changes with the lock */
	_Atomic uint64_t generation;
};

struct control {
	uint64_t seed;
	unsigned int workers, files, seconds;
	int fd; /* its own */
	bool have_scome, have_keys;
	size_t size;
	_Atomic bool stop;
	_Atomic unsigned int failures[8];

	bool enabled[MAX_OPERATIONS];
	char cgroup[256];
	struct hold holds[2 * MAX_WORKERS];
	struct slot slot[MAX_WORKERS];
	struct file file[MAX_FILES];
	struct word word[];
};

extern struct control *control;

/* what a check is about, for the verdict */
enum property {
	CONTENTS,
	ACCESS,
	CALLS,
	PROCESSES,
};

void control_create(unsigned int workers);
void control_attach(int fd);
void control_detach(void);

/* files.c */
void files_create(struct control *c);
void files_destroy(void);
size_t files_words(unsigned int workers);
int file_page_slot(const struct file *file, size_t page);

/* lock.c */
void critical_enter(void);
void critical_leave(void);
void read_lock(unsigned int file);
void read_unlock(void);
void write_lock(unsigned int file);
void write_unlock(unsigned int file);
bool visit(unsigned int worker);
void visit_end(void);
void offer_withdraw(struct slot *slot, unsigned int worker);

/* random.c: the same choices for the same operation of the same worker */
void random_begin(uint64_t worker, uint64_t operation);
uint64_t random_below(uint64_t limit);
bool one_in(unsigned int n);

/* model.c: what is in the files */
struct view_of_page {
	uint64_t low[MAX_WORKERS];
};

struct word *model_word(unsigned int file, size_t page, unsigned int worker);
size_t word_at(unsigned int worker);
uint64_t model_new(unsigned int file, size_t page, unsigned int worker);
void model_before(struct view_of_page *view, unsigned int file, size_t page);
/* every word of a page that was read after model_before() */
void model_check(const struct view_of_page *view, unsigned int file,
		 size_t page, const char *contents, const char *how,
		 const void *address);
bool model_allows(uint64_t seen, uint64_t low, uint64_t high);
void model_clear(unsigned int file, size_t from, size_t to);
void model_collapse(unsigned int file, size_t from, size_t to);
/* a call that removes contents failed: what it did is in the file */
void model_relearn(unsigned int file, size_t from, size_t to);

/* access.c */
#define RAISED(signal, code) ((signal) | (code) << 8)
void access_setup(void);
int try_read_page(const char *address, char *copy);
int try_write(char *address, uint64_t value);

/* mapping.c: the mappings of this worker, and what may be done with each page */
enum {
	STATE_PROT = 7,
	STATE_KEY = 8,
	STATE_SEALED = 16,
	STATE_UNMAPPED = 32, /* perhaps somebody else's by now */
	STATE_RESERVED = 64, /* PROT_NONE of nothing */
	STATE_NO_FORK = 128, /* MADV_DONTFORK */
	STATE_GONE = STATE_UNMAPPED | STATE_RESERVED,
};

struct mapping {
	char *base;
	unsigned int file;
	size_t first, pages; /* of the file */
	uint8_t *state;
	bool locked; /* a part of it was, once */
};

struct worker {
	unsigned int number, slot;
	struct mapping mapping[MAPPINGS];
	int key;
	unsigned int key_rights;
	int uffd;
	pid_t child;
	int offered; /* a mapping, or -1 */
};

extern struct worker me;

struct mapping *any_mapping(void);
struct mapping *free_mapping(void);
/* pages of it that are mapped, near contents; false if there are none */
bool any_pages(struct mapping *m, size_t *at, size_t *count);
/* the same, so short that they can be populated, and near contents only */
bool few_pages(struct mapping *m, size_t *at, size_t *count);
/* one page with contents */
bool any_page(struct mapping *m, size_t *at);
bool all_are(struct mapping *m, size_t at, size_t count, uint8_t state);
bool any_is(struct mapping *m, size_t at, size_t count, uint8_t state);
bool is_giant(const struct mapping *m);
void mapping_made(struct mapping *m, char *base, unsigned int file,
		  size_t first, size_t pages, uint8_t state);
void mapping_gone(struct mapping *m);
/* before its address ends: nobody else may use it now */
void mapping_release(struct mapping *m);
/* flags to map in one of the ways this worker has */
int way_flags(void);
/* address space that is reserved: base + lead is aligned */
char *reserve(size_t size, size_t alignment, size_t lead);

/* check.c: accesses, and whether they do what they must */
int expected(struct mapping *m, size_t at, bool write);
void check_read(struct mapping *m, size_t at);
void check_write(struct mapping *m, size_t at);
/* some pages at the borders and inside */
void check_pages(struct mapping *m, size_t at, size_t count);
void check_unmapped(const char *address);

/* report.c */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fail(enum property property, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/* errno is one that the call may have; 0 for success */
int allow(const char *call, int64_t result, unsigned int count, ...);
#define ALLOW(call, result, ...)                                          \
	allow(call, result, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int), \
	      __VA_ARGS__)
void print_history(unsigned int worker);

/* operations: 0, an errno, or NOTHING if there was nothing to do it to */
#define NOTHING (-1)

struct operation {
	const char *name;
	unsigned int weight;
	int (*run)(void);
};

extern const struct operation operations_access[], operations_map[],
	operations_remap[], operations_protect[], operations_advise[],
	operations_unit[], operations_file[], operations_direct[],
	operations_process[], operations_peer[], operations_system[];

/* operations-unit.c */
void own_files_remove(void);

/* worker.c */
extern struct operation operation[MAX_OPERATIONS];
extern unsigned int operation_count;
void operations_collect(void);
void worker_run(unsigned int number, unsigned int incarnation)
	__attribute__((noreturn));
void worker_end(int status) __attribute__((noreturn));
void child_end(void);
int write_text(const char *path, const char *text);
int64_t read_number(const char *path);
double now(void);

/* supervise.c */
void supervise(void);
extern bool hung, died;
extern int64_t most_links, most_views, most_tables, kills, restarts;

/* verdict.c */
struct baseline {
	int64_t units, links, tables, views, shmem;
};

void baseline_take(struct baseline *baseline);
int verdict(const struct baseline *baseline, double seconds);

#endif
