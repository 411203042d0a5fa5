/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MMSCOPE_H
#define MMSCOPE_H

#include <stdbool.h>
#include <stddef.h>

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

/**
 * report_json() - let fail() print {"error": ...} on standard output as well
 */
void report_json(void);

/**
 * fail() - say in one sentence on standard error what went wrong
 * @code: what to exit with
 *
 * Return: @code, so that it can stand in a return statement.
 */
int fail(enum mmscope_exit code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * note() - a remark on standard error that does not end the run
 */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
