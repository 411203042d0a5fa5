// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "mmscope.h"
#include "ticker.h"
#include "watch.h"

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

const struct argp watch_argp = {
	.options = option_table,
	.parser = parse_option,
};

static int print_libbpf(enum libbpf_print_level level, const char *fmt,
			va_list args)
{
	if (level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, args);
}

void watch_begin(const struct watch_options *opt)
{
	if (opt->json)
		report_json();
	libbpf_set_print(opt->verbose ? print_libbpf : NULL);
	ticker_block();
}

int watch_loaded(int err)
{
	if (!err)
		return EXIT_OK;
	/* EACCES comes from the verifier: that is no matter of privilege. */
	if (err == -EPERM)
		return fail(
			EXIT_PRIVILEGE,
			"the kernel refuses to load the program (%s): run it as root, or with CAP_BPF and CAP_PERFMON; --verbose tells more",
			strerror(-err));
	return fail(EXIT_FAIL,
		    "cannot load the program: %s; --verbose tells more",
		    strerror(-err));
}

static int output_error(void)
{
	/* `mmscope faults | head` is a way to end it. */
	if (errno == EPIPE)
		return EXIT_OK;
	return fail(EXIT_FAIL, "cannot write the report: %s", strerror(errno));
}

/* Ctrl-Z: the terminal is the shell's until we are continued. */
static void suspend(struct screen *screen)
{
	bool live = screen->live;

	screen_close(screen);
	raise(SIGSTOP);
	if (live)
		screen_open(screen);
}

/* Reports until there is a reason to stop; clears *written when output fails. */
static int reports(struct watch *w, struct ticker *ticker, bool *written)
{
	long count = 0;
	int err;

	for (;;) {
		switch (ticker_wait(ticker)) {
		case TICK_RESIZE:
			if (w->screen.live)
				screen_resized(&w->screen);
			break;
		case TICK_SUSPEND:
			suspend(&w->screen);
			break;
		case TICK_INTERVAL:
			err = w->report(w, written);
			if (err || !*written)
				return err;
			if (w->opt->count && ++count == w->opt->count)
				return EXIT_OK;
			break;
		case TICK_STOP:
			return EXIT_OK;
		case TICK_ERROR:
			return fail(EXIT_FAIL, "cannot wait: %s",
				    strerror(errno));
		}
	}
}

int watch_run(struct watch *w)
{
	struct ticker ticker;
	bool written = true;
	int err, why;

	if (!w->opt->json)
		screen_open(&w->screen);
	if (!ticker_open(&ticker, w->opt->interval,
			 screen_keyboard(&w->screen))) {
		screen_close(&w->screen);
		return fail(EXIT_FAIL, "cannot start the clock: %s",
			    strerror(errno));
	}
	err = reports(w, &ticker, &written);
	why = errno;
	screen_close(&w->screen);
	ticker_close(&ticker);
	if (!err && written) {
		err = w->summary(w, &written);
		why = errno;
	}
	errno = why;
	return err || written ? err : output_error();
}

void watch_dry_run(const struct watch_options *opt, struct bpf_object *obj)
{
	struct bpf_program *prog;
	struct bpf_map *map;

	bpf_object__for_each_program(prog, obj)
		printf("program %-18s %-25s %s\n", bpf_program__name(prog),
		       bpf_program__section_name(prog),
		       bpf_program__autoload(prog) ?
			       "would be loaded" :
			       "left out: not in this kernel");
	bpf_object__for_each_map(map, obj) {
		if (bpf_map__is_internal(map) || !bpf_map__autocreate(map))
			continue;
		printf("map     %-18s %-25s %u entries", bpf_map__name(map),
		       libbpf_bpf_map_type_str(bpf_map__type(map)),
		       bpf_map__max_entries(map));
		if (opt->pin)
			printf(", pinned as %s/%s", opt->pin_dir,
			       bpf_map__name(map));
		putchar('\n');
	}
	printf("report  every %g s, ", opt->interval);
	if (opt->count)
		printf("%ld times\n", opt->count);
	else
		printf("until Ctrl-C\n");
}

size_t watch_rows(const struct watch_options *opt, size_t count)
{
	return opt->rows > 0 && (size_t)opt->rows < count ? (size_t)opt->rows :
							    count;
}

size_t watch_screen_rows(struct watch *w, size_t count, int others)
{
	size_t limit = w->opt->rows < 0 ? WATCH_ROWS : w->opt->rows;
	int room;

	if (limit && count > limit)
		count = limit;
	if (!w->screen.live)
		return count;
	/* The heading and the line that tells what is left out. */
	room = screen_room(&w->screen) - 2;
	if ((int)count <= room - others)
		return count;
	/* A few rows come first, then what follows them. */
	if (room - others > 5)
		return room - others;
	if (room > 5)
		room = 5;
	return room > 0 ? room : 0;
}

const char *watch_time(const struct watch_options *opt)
{
	static char text[32];
	time_t now = time(NULL);
	struct tm tm;

	if (!opt->timestamp)
		return "";
	strftime(text, sizeof(text), "%H:%M:%S ", localtime_r(&now, &tm));
	return text;
}

const char *watch_utc(void)
{
	static char text[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	return text;
}

bool watch_flush(void)
{
	return !fflush(stdout) && !ferror(stdout);
}

__u64 watch_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

__u64 watch_missed(struct bpf_object *obj)
{
	struct bpf_program *prog;
	__u64 missed = 0;

	bpf_object__for_each_program(prog, obj) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (bpf_program__fd(prog) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info,
					    &size))
			missed += info.recursion_misses;
	}
	return missed;
}
