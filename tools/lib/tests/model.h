/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changes of a heap, to be cut off anywhere, and what a heap is worth afterwards:
 * the state before the change or the state after it, and nothing between.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "heap.h"

#define NEED(condition)                                                     \
	do {                                                                \
		if (!(condition)) {                                         \
			printf("Bail out! %s:%d: %s\n", __FILE__, __LINE__, \
			       #condition);                                 \
			exit(1);                                            \
		}                                                           \
	} while (0)

/* how far the data of the changes reaches; nothing is written behind it */
#define MODEL_DATA (512UL << 10)

enum change_kind {
	PLAIN,
	/* whoever opens the file does it, too */
	RECOVERS,
	/* an instruction a byte: more than one would wait for */
	COPIES_MUCH,
};

struct change {
	const char *name;
	/* objects for it, found by the roots */
	void (*prepare)(struct scome_heap *heap);
	void (*run)(struct scome_heap *heap);
	enum change_kind kind;
};

extern const struct change changes[];
extern const unsigned int change_count;

/* a file with a heap in it, at the same address always; open and prepared */
struct scome_heap *model_prepare(const struct change *change, int *fd);
struct scome_heap *model_open(int fd);
/* of all objects, what is in them, and the roots */
uint64_t model_digest(struct scome_heap *heap);
/* 0 and a sentence when the check finds something */
bool model_in_order(struct scome_heap *heap);
/* before and after the change when nothing comes between */
void model_learn(const struct change *change, uint64_t *before,
		 uint64_t *after);
/* fork(), with nothing in the buffers of standard output */
int model_fork(void);

/* one line of the report; and the end of it */
void tell(bool good, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int tell_end(void);

#endif
