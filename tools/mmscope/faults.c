// SPDX-License-Identifier: GPL-2.0
/*
 * mmscope faults: page faults by process and kind, live.
 *
 * The kernel side only ever adds (bpf/faults.bpf.c). A report is the difference
 * of two readings, the summary is the last reading.
 */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "counts.h"
#include "faults.skel.h"
#include "json.h"
#include "kernel.h"
#include "mmscope.h"
#include "pins.h"
#include "screen.h"
#include "ticker.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

#define DEFAULT_PIN_DIR MMSCOPE_PIN_ROOT "/faults"
#define DEFAULT_ROWS 20
#define DEFAULT_ENTRIES 10240
#define MAX_ENTRIES (1 << 20)
#define MIN_INTERVAL 0.01
#define MAX_INTERVAL 86400.0
#define WIDTH 78

struct options {
	double interval;
	long count; /* 0: without end */
	int pid;
	const char *comm;
	int kind;
	long rows; /* -1: not given; 0: all */
	bool timestamp;
	bool json;
	bool histogram;
	bool pin;
	bool keep;
	const char *pin_dir;
	long entries;
	bool dry_run;
	bool verbose;
	int arguments;
};

/* One look at the counters. */
struct reading {
	struct fault_table processes; /* sorted by keys */
	struct fault_totals totals;
	struct scome_totals scome;
	__u64 missed; /* events that met the program already running */
	__u64 now_ns;
};

struct session {
	struct options opt;
	struct faults_bpf *skel;
	struct pins pins;
	struct screen screen;
	bool scome; /* the kernel has the scome tracepoints */
	bool reap; /* kill() and the kernel mean the same PIDs */
	int cpus;
	struct fault_table gone; /* what was removed from the full map */
	struct reading then, now;
	struct fault_table rows;
};

enum long_options {
	OPT_NO_HISTOGRAM = 0x100,
	OPT_PIN_DIR,
	OPT_NO_PIN,
	OPT_KEEP,
	OPT_ENTRIES,
	OPT_DRY_RUN,
};

static const struct argp_option option_table[] = {
	{ "pid", 'p', "PID", 0, "Only the process PID", 0 },
	{ "comm", 'c', "COMM", 0, "Only processes of this name", 0 },
	{ "kind", 'k', "KIND", 0,
	  "Only one kind: anon, file, shmem, hugetlb, linked or other", 0 },
	{ "rows", 'n', "ROWS", 0,
	  "Show at most ROWS processes, 0 for all (20; with --json all)", 0 },
	{ "timestamp", 'T', NULL, 0, "Put the time before each report", 0 },
	{ "json", 'j', NULL, 0, "One JSON object a line", 0 },
	{ "no-histogram", OPT_NO_HISTOGRAM, NULL, 0,
	  "Neither collect nor show the latency histogram", 0 },
	{ "pin-dir", OPT_PIN_DIR, "DIR", 0,
	  "Pin the maps in DIR (" DEFAULT_PIN_DIR ")", 0 },
	{ "no-pin", OPT_NO_PIN, NULL, 0, "Do not pin the maps", 0 },
	{ "keep", OPT_KEEP, NULL, 0, "Leave the maps pinned at the end", 0 },
	{ "entries", OPT_ENTRIES, "N", 0,
	  "Room for N pairs of process and kind (10240)", 0 },
	{ "dry-run", OPT_DRY_RUN, NULL, 0,
	  "Tell what would be loaded, and load nothing", 0 },
	{ "verbose", 'v', NULL, 0, "Show what libbpf has to say", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static long parse_number(struct argp_state *state, const char *what,
			 const char *text, long low, long high)
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

static void parse_interval(struct argp_state *state, struct options *opt,
			   const char *text)
{
	char *end;
	double s;

	s = strtod(text, &end);
	if (end == text || *end || !(s >= MIN_INTERVAL && s <= MAX_INTERVAL))
		argp_error(
			state,
			"the interval must be a number of seconds from %g to %g, not '%s'",
			MIN_INTERVAL, MAX_INTERVAL, text);
	opt->interval = s;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case 'p':
		opt->pid = parse_number(state, "PID", arg, 1, 1 << 22);
		break;
	case 'c':
		if (!*arg || strlen(arg) >= FAULT_COMM_LEN)
			argp_error(state, "a process name has 1 to %d bytes",
				   FAULT_COMM_LEN - 1);
		opt->comm = arg;
		break;
	case 'k':
		opt->kind = kind_by_name(arg);
		if (opt->kind < 0)
			argp_error(
				state,
				"there is no kind '%s': anon, file, shmem, hugetlb, linked or other",
				arg);
		break;
	case 'n':
		opt->rows = parse_number(state, "ROWS", arg, 0, MAX_ENTRIES);
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
	case OPT_NO_HISTOGRAM:
		opt->histogram = false;
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
		opt->entries = parse_number(state, "N", arg, 1, MAX_ENTRIES);
		break;
	case OPT_DRY_RUN:
		opt->dry_run = true;
		break;
	case ARGP_KEY_ARG:
		if (opt->arguments == 0)
			parse_interval(state, opt, arg);
		else if (opt->arguments == 1)
			opt->count = parse_number(state, "the count", arg, 1,
						  1000000000);
		else
			argp_error(state, "too many arguments at '%s'", arg);
		opt->arguments++;
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

static const struct argp parser = {
	.options = option_table,
	.parser = parse_option,
	.args_doc = "[INTERVAL [COUNT]]",
	.doc = "Show which processes take page faults, of which kind, and how long they last."
	       "\v"
	       "A report every INTERVAL seconds (1), COUNT of them or until Ctrl-C; then a summary "
	       "of the whole run. Rates are per second, latencies in nanoseconds.\n\n"
	       "Exit status: 0 success, 1 failure, 2 wrong use, 3 no privilege, 4 the kernel lacks the feature.",
};

static int print_libbpf(enum libbpf_print_level level, const char *fmt,
			va_list args)
{
	if (level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, args);
}

static __u64 clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Reading the maps */

static int read_array(const struct bpf_map *map, void *values, size_t size)
{
	__u32 index = 0;

	return bpf_map__lookup_elem(map, &index, sizeof(index), values, size,
				    0);
}

static int read_totals(struct session *s, struct reading *r)
{
	struct scome_totals *scome;
	struct fault_totals *t;
	int cpu, err;

	t = calloc(s->cpus, sizeof(*t));
	scome = calloc(s->cpus, sizeof(*scome));
	err = t && scome ? 0 : -ENOMEM;
	if (!err)
		err = read_array(s->skel->maps.totals, t, s->cpus * sizeof(*t));
	if (!err && s->scome)
		err = read_array(s->skel->maps.scome, scome,
				 s->cpus * sizeof(*scome));
	memset(&r->totals, 0, sizeof(r->totals));
	memset(&r->scome, 0, sizeof(r->scome));
	for (cpu = 0; !err && cpu < s->cpus; cpu++) {
		totals_add(&r->totals, &t[cpu]);
		r->scome.links += scome[cpu].links;
		r->scome.unlinks += scome[cpu].unlinks;
		r->scome.leaves += scome[cpu].leaves;
		r->scome.shootdowns += scome[cpu].shootdowns;
		r->scome.shootdown_cpus += scome[cpu].shootdown_cpus;
	}
	free(scome);
	free(t);
	return err;
}

static void sum_cpus(struct fault_counts *sum, const struct fault_counts *n,
		     int cpus)
{
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for (cpu = 0; cpu < cpus; cpu++)
		counts_add(sum, &n[cpu]);
}

static int read_processes(struct session *s, struct fault_table *t)
{
	int fd = bpf_map__fd(s->skel->maps.processes);
	__u32 chunk = 1024, token, n, i;
	struct fault_counts *values = NULL;
	struct fault_key *keys = NULL;
	struct fault_row row = {};
	bool first = true;
	int err = 0;

	t->count = 0;
	while (!err) {
		if (!keys) {
			keys = calloc(chunk, sizeof(*keys));
			values = calloc((size_t)chunk * s->cpus,
					sizeof(*values));
			if (!keys || !values) {
				err = -ENOMEM;
				break;
			}
		}
		n = chunk;
		err = bpf_map_lookup_batch(fd, first ? NULL : &token, &token,
					   keys, values, &n, NULL);
		if (err == -ENOSPC) {
			/* One bucket is larger than the chunk. */
			free(keys);
			free(values);
			keys = NULL;
			values = NULL;
			chunk *= 2;
			err = 0;
			continue;
		}
		if (err && err != -ENOENT)
			break;
		first = false;
		for (i = 0; i < n; i++) {
			row.key = keys[i];
			sum_cpus(&row.n, &values[(size_t)i * s->cpus], s->cpus);
			if (!table_push(t, &row)) {
				err = -ENOMEM;
				break;
			}
		}
	}
	free(keys);
	free(values);
	table_sort_keys(t);
	return err == -ENOENT ? 0 : err;
}

static bool has_exited(__u32 pid)
{
	return kill(pid, 0) && errno == ESRCH;
}

/*
 * Make room in a map that is half full: what an exited process counted is kept
 * here and its key removed. Looked up again after the process is known to be
 * gone, so that nothing can be added between the reading and the removal.
 */
static int reap_exited(struct session *s, struct fault_table *t)
{
	struct fault_counts *values;
	struct fault_row row;
	size_t i;

	if (!s->reap || t->count <= (size_t)s->opt.entries / 2)
		return 0;
	values = calloc(s->cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (i = 0; i < t->count; i++) {
		row = t->rows[i];
		if (!has_exited(row.key.pid))
			continue;
		if (bpf_map__lookup_elem(s->skel->maps.processes, &row.key,
					 sizeof(row.key), values,
					 s->cpus * sizeof(*values), 0))
			continue;
		sum_cpus(&row.n, values, s->cpus);
		t->rows[i].n = row.n;
		row.key.pid = 0;
		row.key.start_ns = 0;
		if (!table_push(&s->gone, &row))
			break;
		bpf_map__delete_elem(s->skel->maps.processes, &t->rows[i].key,
				     sizeof(t->rows[i].key), 0);
	}
	free(values);
	table_sort_keys(&s->gone);
	table_merge(&s->gone);
	return i < t->count ? -ENOMEM : 0;
}

static __u64 read_missed(struct session *s)
{
	struct bpf_program *prog;
	__u64 missed = 0;

	bpf_object__for_each_program(prog, s->skel->obj) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);

		if (bpf_program__fd(prog) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info,
					    &size))
			missed += info.recursion_misses;
	}
	return missed;
}

static int take_reading(struct session *s, struct reading *r, bool reap)
{
	int err;

	r->now_ns = clock_ns();
	err = read_processes(s, &r->processes);
	if (!err)
		err = read_totals(s, r);
	if (!err && reap)
		err = reap_exited(s, &r->processes);
	r->missed = read_missed(s);
	if (err)
		return fail(EXIT_FAIL, "cannot read the maps: %s",
			    strerror(-err));
	return EXIT_OK;
}

/* What a report shows: the difference of two readings, or the whole run. */
struct report {
	const struct fault_table *rows; /* most attempts first */
	struct fault_totals totals;
	struct fault_histogram sum;
	struct scome_totals scome;
	__u64 missed;
	double seconds;
	bool summary;
	bool scome_known;
};

static void time_of_day(char *buf, size_t size, bool utc)
{
	time_t now = time(NULL);
	struct tm tm;

	if (utc)
		strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	else
		strftime(buf, size, "%H:%M:%S", localtime_r(&now, &tm));
}

/* JSON */

static void json_counts(const struct fault_counts *n)
{
	printf("\"minor\":%llu,\"major\":%llu,\"retry\":%llu,\"error\":%llu,\"latency_ns\":%llu",
	       n->minor, n->major, n->retry, n->error, n->latency_ns);
}

static void json_histogram(const struct fault_histogram *h)
{
	const char *comma = "";
	int slot;

	printf(",\"histogram\":[");
	for (slot = 0; slot < FAULT_SLOTS; slot++) {
		if (!h->slots[slot])
			continue;
		printf("%s{\"ge_ns\":%llu", comma, slot ? 1ULL << slot : 0ULL);
		if (slot < FAULT_SLOTS - 1)
			printf(",\"lt_ns\":%llu", 1ULL << (slot + 1));
		printf(",\"count\":%llu}", h->slots[slot]);
		comma = ",";
	}
	putchar(']');
}

static bool print_json(const struct session *s, const struct report *r)
{
	size_t i, rows = r->rows->count;
	const struct fault_row *row;
	struct fault_histogram *h;
	struct fault_totals t = r->totals;
	const char *comma = "";
	char when[32];
	int kind;

	if (s->opt.rows > 0 && (size_t)s->opt.rows < rows)
		rows = s->opt.rows;
	time_of_day(when, sizeof(when), true);
	printf("{\"type\":\"%s\",\"time\":\"%s\",\"duration_ns\":%.0f,\"lost\":%llu,\"missed\":%llu,\"kinds\":{",
	       r->summary ? "summary" : "interval", when, r->seconds * 1e9,
	       t.lost, r->missed);
	for (kind = 0; kind < FAULT_KINDS; kind++) {
		h = kind_histogram(&t, kind);
		if (kind == FAULT_OTHER && !attempts(&h->counts))
			continue;
		printf("%s\"%s\":{", comma, kind_names[kind]);
		json_counts(&h->counts);
		if (s->opt.histogram)
			json_histogram(h);
		putchar('}');
		comma = ",";
	}
	printf("},\"processes\":[");
	for (i = 0; i < rows; i++) {
		row = &r->rows->rows[i];
		printf("%s{\"pid\":", i ? "," : "");
		if (row->key.pid)
			printf("%u", row->key.pid);
		else
			printf("null");
		printf(",\"comm\":");
		json_string(stdout, row->key.comm);
		printf(",\"kind\":\"%s\",", kind_names[row->key.kind]);
		json_counts(&row->n);
		putchar('}');
	}
	printf("],\"rows_left_out\":%zu", r->rows->count - rows);
	if (r->scome_known)
		printf(",\"scome\":{\"links\":%llu,\"unlinks\":%llu,\"leaves\":%llu,\"shootdowns\":%llu,\"shootdown_cpus\":%llu}",
		       r->scome.links, r->scome.unlinks, r->scome.leaves,
		       r->scome.shootdowns, r->scome.shootdown_cpus);
	puts("}");
	return !fflush(stdout) && !ferror(stdout);
}

/* Text */

/* A count in the summary, a rate in a report. */
static const char *number(const struct report *r, __u64 n, int width)
{
	static char buf[8][32];
	static int next;
	char *text = buf[next++ % ARRAY_SIZE(buf)];

	if (r->summary)
		format_number(text, sizeof(buf[0]), n, width, false);
	else
		format_number(text, sizeof(buf[0]), n / r->seconds, width,
			      true);
	return text;
}

static int slot_bounds(const struct fault_histogram *h, int *low, int *high)
{
	int slot;

	*low = -1;
	*high = -1;
	for (slot = 0; slot < FAULT_SLOTS; slot++) {
		if (!h->slots[slot])
			continue;
		if (*low < 0)
			*low = slot;
		*high = slot;
	}
	return *low < 0 ? 0 : *high - *low + 1;
}

static void text_histogram(struct session *s, struct report *r)
{
	static const char stars[] =
		"****************************************************************";
	struct fault_histogram *h[FAULT_KINDS];
	int kind, kinds = 0, slot, low, high, bar, used;
	char line[256], label[32], number_text[32];
	__u64 most = 1;

	if (!slot_bounds(&r->sum, &low, &high))
		return;
	used = snprintf(line, sizeof(line), "%12s", "latency_ns");
	for (kind = 0; kind < FAULT_KINDS; kind++) {
		if (!attempts(&kind_histogram(&r->totals, kind)->counts))
			continue;
		h[kinds++] = kind_histogram(&r->totals, kind);
		used += snprintf(line + used, sizeof(line) - used, " %8s",
				 kind_names[kind]);
	}
	screen_line(&s->screen, true, "%s", line);
	for (slot = low; slot <= high; slot++)
		if (r->sum.slots[slot] > most)
			most = r->sum.slots[slot];
	for (slot = low; slot <= high; slot++) {
		format_slot(label, sizeof(label), slot);
		used = snprintf(line, sizeof(line), "%12s", label);
		for (kind = 0; kind < kinds; kind++) {
			format_number(number_text, sizeof(number_text),
				      h[kind]->slots[slot], 8, false);
			used += snprintf(line + used, sizeof(line) - used,
					 " %8s", number_text);
		}
		bar = WIDTH - used - 2;
		bar = (r->sum.slots[slot] * bar + most - 1) / most;
		snprintf(line + used, sizeof(line) - used, " |%.*s", bar,
			 stars);
		screen_line(&s->screen, false, "%s", line);
	}
}

static void text_rows(struct session *s, const struct report *r, size_t rows)
{
	const char *per = r->summary ? "" : "/s";
	char minor[16], major[16], retry[16], error[16];
	const struct fault_row *row;
	char comm[80], pid[16], mean[32];
	size_t i;

	snprintf(minor, sizeof(minor), "MINOR%s", per);
	snprintf(major, sizeof(major), "MAJOR%s", per);
	snprintf(retry, sizeof(retry), "RETRY%s", per);
	snprintf(error, sizeof(error), "ERROR%s", per);
	screen_line(&s->screen, true, "%7s %-15s %-7s %9s %8s %8s %8s %8s",
		    "PID", "COMM", "KIND", minor, major, retry, error,
		    "MEAN_NS");
	for (i = 0; i < rows; i++) {
		row = &r->rows->rows[i];
		pad_text(comm, sizeof(comm), row->key.comm, 15);
		snprintf(pid, sizeof(pid), "%u", row->key.pid);
		format_number(mean, sizeof(mean),
			      (double)row->n.latency_ns / attempts(&row->n), 8,
			      false);
		screen_line(
			&s->screen, false, "%7s %s %-7s %9s %8s %8s %8s %8s",
			row->key.pid ? pid : "exited", comm,
			kind_names[row->key.kind], number(r, row->n.minor, 9),
			number(r, row->n.major, 8), number(r, row->n.retry, 8),
			number(r, row->n.error, 8), mean);
	}
}

static void text_scome(struct session *s, const struct report *r)
{
	const struct scome_totals *n = &r->scome;
	char cpus[32] = "";

	if (!r->scome_known)
		return;
	if (n->shootdowns)
		snprintf(cpus, sizeof(cpus), " (%.1f CPUs each)",
			 (double)n->shootdown_cpus / n->shootdowns);
	screen_line(&s->screen, false,
		    "scome%s: links %s, unlinks %s, leaves %s, shootdowns %s%s",
		    r->summary ? "" : "/s", number(r, n->links, 8),
		    number(r, n->unlinks, 8), number(r, n->leaves, 8),
		    number(r, n->shootdowns, 8), cpus);
}

static bool print_text(struct session *s, struct report *r)
{
	const struct fault_counts *n = &r->sum.counts;
	size_t rows = r->rows->count, limit, left;
	int histogram, low, high, room;
	char when[32] = "";

	if (s->opt.timestamp) {
		time_of_day(when, sizeof(when), false);
		strcat(when, " ");
	}
	screen_begin(&s->screen);
	if (r->summary)
		screen_line(&s->screen, true, "%ssummary of %.1f s", when,
			    r->seconds);
	screen_line(
		&s->screen, !r->summary,
		"%sfaults%s: minor %s, major %s, retry %s, error %s, lost %llu",
		r->summary ? "" : when, r->summary ? "" : "/s",
		number(r, n->minor, 9), number(r, n->major, 9),
		number(r, n->retry, 9), number(r, n->error, 9), r->totals.lost);
	if (r->totals.lost)
		screen_line(
			&s->screen, false,
			"%llu attempts are in no row below: the map is full (--entries)",
			r->totals.lost);
	if (r->missed)
		screen_line(
			&s->screen, false,
			"%llu events were not counted: the program was already running on that CPU",
			r->missed);
	text_scome(s, r);

	limit = s->opt.rows < 0 ? DEFAULT_ROWS : s->opt.rows;
	if (limit && rows > limit)
		rows = limit;
	histogram = slot_bounds(&r->sum, &low, &high);
	if (histogram)
		histogram++;
	/* On a terminal a few rows come first, then the histogram. */
	room = screen_room(&s->screen) - 2;
	if (s->screen.live && (int)rows > room - histogram)
		rows = room - histogram > 5 ? room - histogram :
		       room > 5		    ? 5 :
		       room > 0		    ? room :
					      0;
	left = r->rows->count < rows ? 0 : r->rows->count - rows;
	if (r->rows->count)
		text_rows(s, r, left ? rows : r->rows->count);
	if (left)
		screen_line(&s->screen, false, "%7s and %zu more", "...", left);
	text_histogram(s, r);
	if (!s->screen.live)
		screen_line(&s->screen, false, "%s", "");
	return screen_end(&s->screen);
}

static int output_error(void)
{
	/* `mmscope faults | head` is a way to end it. */
	if (errno == EPIPE)
		return EXIT_OK;
	return fail(EXIT_FAIL, "cannot write the report: %s", strerror(errno));
}

static bool print_report(struct session *s, struct report *r)
{
	totals_sum(&r->sum, &r->totals);
	if (s->opt.json)
		return print_json(s, r);
	return print_text(s, r);
}

/* The run */

static void scome_diff(struct scome_totals *out, const struct scome_totals *now,
		       const struct scome_totals *then)
{
	out->links = now->links - then->links;
	out->unlinks = now->unlinks - then->unlinks;
	out->leaves = now->leaves - then->leaves;
	out->shootdowns = now->shootdowns - then->shootdowns;
	out->shootdown_cpus = now->shootdown_cpus - then->shootdown_cpus;
}

static int report_interval(struct session *s, bool *written)
{
	struct report r = { .rows = &s->rows, .scome_known = s->scome };
	struct reading old;
	int err;

	err = take_reading(s, &s->now, true);
	if (err)
		return err;
	if (!table_diff(&s->rows, &s->now.processes, &s->then.processes))
		return fail(EXIT_FAIL, "cannot compare: %s", strerror(ENOMEM));
	table_sort_top(&s->rows);
	totals_diff(&r.totals, &s->now.totals, &s->then.totals);
	scome_diff(&r.scome, &s->now.scome, &s->then.scome);
	r.missed = s->now.missed - s->then.missed;
	r.seconds = (s->now.now_ns - s->then.now_ns) / 1e9;
	*written = print_report(s, &r);
	old = s->then;
	s->then = s->now;
	s->now = old;
	return EXIT_OK;
}

static int report_summary(struct session *s, __u64 start_ns)
{
	struct report r = { .rows = &s->rows,
			    .summary = true,
			    .scome_known = s->scome };
	size_t i;
	int err;

	err = take_reading(s, &s->now, false);
	if (err)
		return err;
	s->rows.count = 0;
	for (i = 0; i < s->now.processes.count; i++)
		if (!table_push(&s->rows, &s->now.processes.rows[i]))
			return fail(EXIT_FAIL, "no memory for the summary");
	for (i = 0; i < s->gone.count; i++)
		if (!table_push(&s->rows, &s->gone.rows[i]))
			return fail(EXIT_FAIL, "no memory for the summary");
	table_sort_top(&s->rows);
	r.totals = s->now.totals;
	r.scome = s->now.scome;
	r.missed = s->now.missed;
	r.seconds = (s->now.now_ns - start_ns) / 1e9;
	if (!print_report(s, &r))
		return output_error();
	return EXIT_OK;
}

static int run(struct session *s)
{
	struct ticker ticker;
	bool written = true;
	__u64 start_ns;
	long count = 0;
	int err = EXIT_OK;

	if (!s->opt.json)
		screen_open(&s->screen);
	if (!ticker_open(&ticker, s->opt.interval,
			 screen_keyboard(&s->screen))) {
		screen_close(&s->screen);
		return fail(EXIT_FAIL, "cannot start the clock: %s",
			    strerror(errno));
	}
	start_ns = clock_ns();
	s->then.now_ns = start_ns;
	while (!err && written) {
		switch (ticker_wait(&ticker)) {
		case TICK_RESIZE:
			if (s->screen.live)
				screen_resized(&s->screen);
			continue;
		case TICK_INTERVAL:
			err = report_interval(s, &written);
			if (!written && !err) {
				err = output_error();
				goto out;
			}
			if (s->opt.count && ++count == s->opt.count)
				goto out;
			continue;
		case TICK_STOP:
			goto out;
		case TICK_ERROR:
			err = fail(EXIT_FAIL, "cannot wait: %s",
				   strerror(errno));
			goto out;
		}
	}
out:
	screen_close(&s->screen);
	ticker_close(&ticker);
	if (err || !written)
		return err;
	return report_summary(s, start_ns);
}

/* Loading */

static struct bpf_program *const *optional_programs(struct session *s)
{
	static struct bpf_program *programs[5];

	programs[0] = s->skel->progs.scome_link;
	programs[1] = s->skel->progs.scome_unlink;
	programs[2] = s->skel->progs.scome_leave;
	programs[3] = s->skel->progs.scome_shootdown;
	return programs;
}

static bool all_scome_tracepoints(const struct btf *btf)
{
	return kernel_has_tracepoint(btf, "scome_link") &&
	       kernel_has_tracepoint(btf, "scome_unlink") &&
	       kernel_has_tracepoint(btf, "scome_leave") &&
	       kernel_has_tracepoint(btf, "scome_shootdown");
}

static int prepare(struct session *s)
{
	struct bpf_program *const *optional;
	const struct options *opt = &s->opt;

	s->skel = faults_bpf__open();
	if (!s->skel)
		return fail(EXIT_FAIL, "cannot open the program: %s",
			    strerror(errno));
	s->skel->rodata->filter_pid = opt->pid;
	s->skel->rodata->filter_kind = opt->kind;
	s->skel->rodata->histogram_on = opt->histogram;
	if (opt->comm) {
		s->skel->rodata->filter_comm_on = true;
		strncpy((char *)s->skel->rodata->filter_comm, opt->comm,
			FAULT_COMM_LEN - 1);
	}
	bpf_map__set_max_entries(s->skel->maps.processes, opt->entries);
	for (optional = optional_programs(s); *optional; optional++)
		bpf_program__set_autoload(*optional, s->scome);
	bpf_map__set_autocreate(s->skel->maps.scome, s->scome);
	return EXIT_OK;
}

static int load(struct session *s)
{
	int err;

	err = faults_bpf__load(s->skel);
	if (err == -EPERM || err == -EACCES)
		return fail(
			EXIT_PRIVILEGE,
			"the kernel refuses to load the program (%s): run it as root, or with CAP_BPF and CAP_PERFMON; --verbose tells more",
			strerror(-err));
	if (err)
		return fail(EXIT_FAIL,
			    "cannot load the program: %s; --verbose tells more",
			    strerror(-err));
	s->cpus = libbpf_num_possible_cpus();
	if (s->cpus < 1)
		return fail(EXIT_FAIL, "cannot count the CPUs: %s",
			    strerror(-s->cpus));
	return EXIT_OK;
}

static int pin(struct session *s)
{
	int err;

	if (!s->opt.pin)
		return EXIT_OK;
	err = pins_add(&s->pins, s->skel->maps.processes);
	if (!err)
		err = pins_add(&s->pins, s->skel->maps.totals);
	if (!err && s->scome)
		err = pins_add(&s->pins, s->skel->maps.scome);
	return err;
}

static int dry_run(struct session *s)
{
	const struct options *opt = &s->opt;
	struct bpf_program *prog;
	struct bpf_map *map;

	bpf_object__for_each_program(prog, s->skel->obj)
		printf("program %-16s %-24s %s\n", bpf_program__name(prog),
		       bpf_program__section_name(prog),
		       bpf_program__autoload(prog) ?
			       "would be loaded" :
			       "left out: not in this kernel");
	bpf_object__for_each_map(map, s->skel->obj) {
		if (bpf_map__is_internal(map) || !bpf_map__autocreate(map))
			continue;
		printf("map     %-16s %-24s %u entries", bpf_map__name(map),
		       libbpf_bpf_map_type_str(bpf_map__type(map)),
		       bpf_map__max_entries(map));
		if (opt->pin)
			printf(", pinned as %s/%s", opt->pin_dir,
			       bpf_map__name(map));
		putchar('\n');
	}
	if (opt->pid)
		printf("filter  pid %d\n", opt->pid);
	if (opt->comm)
		printf("filter  comm %s\n", opt->comm);
	if (opt->kind >= 0)
		printf("filter  kind %s\n", kind_names[opt->kind]);
	printf("report  every %g s, ", opt->interval);
	if (opt->count)
		printf("%ld times\n", opt->count);
	else
		printf("until Ctrl-C\n");
	if (fflush(stdout) || ferror(stdout))
		return output_error();
	return EXIT_OK;
}

static int check_kernel(struct session *s)
{
	struct btf *btf = kernel_btf();
	int err = EXIT_OK;

	if (!btf)
		return fail(
			EXIT_FEATURE,
			"kernel %s offers no type information: it needs CONFIG_DEBUG_INFO_BTF",
			kernel_release());
	if (!kernel_has_tracepoint(btf, "mm_fault_done"))
		err = fail(
			EXIT_FEATURE,
			"kernel %s has no tracepoint mm_fault_done: it needs the first patch of the series",
			kernel_release());
	s->scome = all_scome_tracepoints(btf);
	btf__free(btf);
	return err;
}

static int start(struct session *s)
{
	int err;

	err = check_kernel(s);
	if (err)
		return err;
	if (s->opt.dry_run) {
		err = prepare(s);
		return err ? err : dry_run(s);
	}
	if (!may_trace())
		return fail(
			EXIT_PRIVILEGE,
			"no privilege to trace: run it as root, or with CAP_BPF and CAP_PERFMON");
	s->reap = initial_pid_namespace();
	if (s->opt.pid && !s->reap)
		return fail(EXIT_FAIL,
			    "--pid works in the initial PID namespace only");
	if (s->opt.pid && has_exited(s->opt.pid))
		return fail(EXIT_FAIL, "there is no process %d", s->opt.pid);
	if (s->opt.pin) {
		err = pins_open(&s->pins, s->opt.pin_dir, s->opt.keep);
		if (err)
			return err;
	}
	err = prepare(s);
	if (!err)
		err = load(s);
	if (!err)
		err = pin(s);
	if (err)
		return err;
	err = faults_bpf__attach(s->skel);
	if (err)
		return fail(EXIT_FAIL, "cannot attach the program: %s",
			    strerror(-err));
	return run(s);
}

int faults_main(int argc, char **argv)
{
	struct session s = {
		.opt = {
			.interval = 1,
			.kind = -1,
			.rows = -1,
			.histogram = true,
			.pin = true,
			.entries = DEFAULT_ENTRIES,
		},
		.pins.fd = -1,
	};
	int err;

	argp_parse(&parser, argc, argv, 0, NULL, &s.opt);
	if (!s.opt.pin_dir)
		s.opt.pin_dir = DEFAULT_PIN_DIR;
	if (s.opt.json)
		report_json();
	libbpf_set_print(s.opt.verbose ? print_libbpf : NULL);
	ticker_block();
	err = start(&s);
	/* The pins know the maps by names that belong to the skeleton. */
	pins_close(&s.pins);
	faults_bpf__destroy(s.skel);
	table_free(&s.then.processes);
	table_free(&s.now.processes);
	table_free(&s.rows);
	table_free(&s.gone);
	return err;
}
