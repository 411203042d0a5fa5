/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of a verb that watches: the kernel is asked, the programs are loaded,
 * maps are pinned, programs attached, and reports made of two readings each.
 */
#ifndef MMSCOPE_WATCH_H
#define MMSCOPE_WATCH_H

#include "report.h"

struct bpf_object_skeleton;
struct btf;

/**
 * struct watch_verb - what is a verb's own
 * @pin_dir: where its maps are pinned unless the user says otherwise
 * @check: does the kernel have what it needs?
 * @open: open the skeleton and prepare it for loading
 * @dry_run: print which filters are set
 * @read: read the counters; after the @last reading nothing grows
 * @collect: make what is shown of the last two readings, or of the @whole run;
 *	     false when there is no memory
 * @json: print it; @text: the same on the screen
 * @keep: the reading is now the one before
 * @close: free everything; what @open made is NULL when it was not called
 *
 * @check, @open and @read return enum mmscope_exit and have said what was wrong.
 */
struct watch_verb {
	const char *pin_dir;
	int (*check)(void *session, const struct btf *btf);
	int (*open)(void *session, const struct watch_options *opt,
		    struct bpf_object_skeleton **skeleton);
	void (*dry_run)(const void *session);
	int (*read)(void *session, bool last);
	bool (*collect)(void *session, bool whole);
	void (*json)(const void *session, const struct report *r);
	void (*text)(const void *session, const struct report *r);
	void (*keep)(void *session);
	void (*close)(void *session);
};

/** watch_main() - from options to exit status */
int watch_main(const struct watch_verb *verb, void *session,
	       struct watch_options *opt);

#endif
