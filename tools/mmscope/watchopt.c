// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>

#include "mmscope.h"
#include "watchopt.h"

#define MIN_INTERVAL 0.01
#define MAX_INTERVAL 86400.0
#define MAX_ENTRIES (1 << 20)

enum long_options {
	OPT_PIN_DIR = 0x100,
	OPT_NO_PIN,
	OPT_KEEP,
	OPT_ENTRIES,
	OPT_DRY_RUN,
};

static const struct argp_option option_table[] = {
	{ "rows", 'n', "ROWS", 0,
	  "Show at most ROWS rows, 0 for all (20; with --json all)", 0 },
	{ "timestamp", 'T', NULL, 0, "Put the time before each report", 0 },
	{ "json", 'j', NULL, 0, "One JSON object a line", 0 },
	{ "pin-dir", OPT_PIN_DIR, "DIR", 0,
	  "Pin the maps in DIR (" MMSCOPE_PIN_ROOT "/VERB)", 0 },
	{ "no-pin", OPT_NO_PIN, NULL, 0, "Do not pin the maps", 0 },
	{ "keep", OPT_KEEP, NULL, 0, "Leave the maps pinned at the end", 0 },
	{ "entries", OPT_ENTRIES, "N", 0,
	  "Room for N rows in the kernel (10240)", 0 },
	{ "dry-run", OPT_DRY_RUN, NULL, 0,
	  "Tell what would be loaded, and load nothing", 0 },
	{ "verbose", 'v', NULL, 0, "Show what libbpf has to say", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

long watch_number(struct argp_state *state, const char *what, const char *text,
		  long low, long high)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < low || n > high)
		argp_error(state,
			   "%s must be a number from %ld to %ld, not '%s'",
			   what, low, high, text);
	return n;
}

static void parse_argument(struct argp_state *state, struct watch_options *opt,
			   const char *text)
{
	char *end;
	double s;

	switch (opt->arguments++) {
	case 0:
		s = strtod(text, &end);
		if (end == text || *end ||
		    !(s >= MIN_INTERVAL && s <= MAX_INTERVAL))
			argp_error(
				state,
				"the interval must be a number of seconds from %g to %g, not '%s'",
				MIN_INTERVAL, MAX_INTERVAL, text);
		opt->interval = s;
		break;
	case 1:
		opt->count =
			watch_number(state, "the count", text, 1, 1000000000);
		break;
	default:
		argp_error(state, "too many arguments at '%s'", text);
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct watch_options *opt = state->input;

	switch (key) {
	case 'n':
		opt->rows = watch_number(state, "ROWS", arg, 0, MAX_ENTRIES);
		break;
	case 'T':
		opt->timestamp = true;
		break;
	case 'j':
		opt->json = true;
		break;
	case 'v':
		opt->verbose = true;
		break;
	case OPT_PIN_DIR:
		opt->pin_dir = arg;
		break;
	case OPT_NO_PIN:
		opt->pin = false;
		break;
	case OPT_KEEP:
		opt->keep = true;
		break;
	case OPT_ENTRIES:
		opt->entries = watch_number(state, "N", arg, 1, MAX_ENTRIES);
		break;
	case OPT_DRY_RUN:
		opt->dry_run = true;
		break;
	case ARGP_KEY_ARG:
		parse_argument(state, opt, arg);
		break;
	case ARGP_KEY_END:
		if (!opt->pin && (opt->keep || opt->pin_dir))
			argp_error(state,
				   "--no-pin contradicts --keep and --pin-dir");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp watch_argp = {
	.options = option_table,
	.parser = parse_option,
};

const struct argp_child watch_children[] = {
	{ &watch_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};
