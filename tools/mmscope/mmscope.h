/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMSCOPE_H
#define MMSCOPE_H

#define MMSCOPE_VERSION "mmscope 0.1"
#define MMSCOPE_PIN_ROOT "/sys/fs/bpf/mmscope"

/* What a verb returns and the process exits with. */
enum mmscope_exit {
	EXIT_OK = 0,
	EXIT_FAIL = 1,
	EXIT_USAGE = 2,
	EXIT_PRIVILEGE = 3,
	EXIT_FEATURE = 4,
};

/**
 * struct verb - one thing mmscope can do
 * @name: what the user types
 * @summary: one line for the list of verbs
 * @run: the verb itself; argv[0] is "mmscope NAME"; returns enum mmscope_exit
 */
struct verb {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

int faults_main(int argc, char **argv);
int units_main(int argc, char **argv);
int doctor_main(int argc, char **argv);

#endif
