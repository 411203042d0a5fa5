/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMSCOPE_PINS_H
#define MMSCOPE_PINS_H

#include <stdbool.h>

struct bpf_map;

/**
 * struct pins - maps made visible in a directory of the BPF file system
 * @dir: the directory; one process at a time holds it, by flock()
 * @fd: the lock, -1 when not held
 * @made: how many of the last components of @dir this process created
 * @keep: leave the maps there at the end
 */
struct pins {
	const char *dir;
	int fd;
	int made;
	bool keep;
	const char *names[8];
	unsigned int count;
};

/**
 * pins_open() - take the directory, which is created when it is missing
 *
 * Maps that a killed predecessor left behind are removed when they are pinned
 * again. Has said what was wrong when it fails.
 *
 * Return: enum mmscope_exit.
 */
int pins_open(struct pins *p, const char *dir, bool keep);

/** pins_add() - pin a map under its own name; returns enum mmscope_exit */
int pins_add(struct pins *p, struct bpf_map *map);

/** pins_close() - remove the pins, unless they are to be kept, and unlock */
void pins_close(struct pins *p);

#endif
