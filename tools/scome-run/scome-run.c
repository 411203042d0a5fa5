// SPDX-License-Identifier: GPL-2.0
/* scome-run: start a program whose shared mappings link leaf page tables. */
#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/scome.h"

enum {
	EXIT_USAGE = 2,
	EXIT_NO_FEATURE = 4,
	EXIT_CANNOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
};

const char *argp_program_version = "scome-run 1";

struct request {
	uint64_t min_bytes;
	unsigned long mode;
	char **command;
};

/* a size with an optional K, M or G; false when it is not one */
static bool parse_size(const char *text, uint64_t *size)
{
	unsigned int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*size = strtoull(text, &end, 0);
	if (errno || end == text)
		return false;
	switch (*end) {
	case 'K':
	case 'k':
		shift = 10;
		break;
	case 'M':
	case 'm':
		shift = 20;
		break;
	case 'G':
	case 'g':
		shift = 30;
		break;
	}
	if (shift)
		end++;
	if (*end || *size > UINT64_MAX >> shift)
		return false;
	*size <<= shift;
	return true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct request *request = state->input;

	switch (key) {
	case 'm':
		if (!parse_size(arg, &request->min_bytes))
			argp_error(state, "'%s' is not a size", arg);
		return 0;
	case 'x':
		request->mode = SCOME_OFF;
		return 0;
	case ARGP_KEY_ARGS:
		request->command = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no command given");
		return EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "min-bytes", 'm', "SIZE", 0,
		  "link mappings of at least SIZE bytes (K, M, G; default 2M)",
		  0 },
		{ "off", 'x', NULL, 0, "run the command with linking off", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[--] COMMAND [ARGUMENT...]",
		.doc = "Run COMMAND so that its large shared mappings of memory files link the "
		       "files' own leaf page tables.",
	};
	struct request request = { .min_bytes = SCOME_RANGE_SIZE,
				   .mode = SCOME_ON };
	int error;

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &request);

	if (scome_set(request.mode,
		      request.mode == SCOME_ON ? request.min_bytes : 0)) {
		if (errno == EINVAL && scome_get(NULL) < 0) {
			fprintf(stderr,
				"scome-run: this kernel cannot link leaf page tables; "
				"boot one built with CONFIG_SCOME\n");
			return EXIT_NO_FEATURE;
		}
		fprintf(stderr, "scome-run: prctl: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	execvp(request.command[0], request.command);
	error = errno;
	fprintf(stderr, "scome-run: %s: %s\n", request.command[0],
		strerror(error));
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
