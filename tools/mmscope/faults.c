// SPDX-License-Identifier: GPL-2.0
/*
 * mmscope faults: page faults by process and kind, live.
 *
 * The kernel side only ever adds (bpf/faults.bpf.c). A report is the difference
 * of two readings, the summary is the last reading.
 */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "counts.h"
#include "faults.skel.h"
#include "json.h"
#include "kernel.h"
#include "mmscope.h"
#include "percpu.h"
#include "watch.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

#define DEFAULT_PIN_DIR MMSCOPE_PIN_ROOT "/faults"
#define DEFAULT_ENTRIES 10240

struct options {
	struct watch_options watch;
	int pid;
	const char *comm;
	int kind;
	bool histogram;
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
	struct watch watch;
	struct faults_bpf *skel;
	bool scome; /* the kernel has the scome tracepoints */
	bool reap; /* kill() and the kernel mean the same PIDs */
	__u64 start_ns;
	struct fault_table gone; /* what was removed from the full map */
	struct reading then, now;
	struct fault_table rows;
};

#define OPT_NO_HISTOGRAM 0x200

static const struct argp_option option_table[] = {
	{ "pid", 'p', "PID", 0, "Only the process PID", 0 },
	{ "comm", 'c', "COMM", 0, "Only processes of this name", 0 },
	{ "kind", 'k', "KIND", 0,
	  "Only one kind: anon, file, shmem, hugetlb, linked or other", 0 },
	{ "no-histogram", OPT_NO_HISTOGRAM, NULL, 0,
	  "Neither collect nor show the latency histogram", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &opt->watch;
		break;
	case 'p':
		opt->pid = watch_number(state, "PID", arg, 1, 1 << 22);
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
	case OPT_NO_HISTOGRAM:
		opt->histogram = false;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child children[] = {
	{ &watch_argp, 0, NULL, 0 },
	{ NULL, 0, NULL, 0 },
};

static const struct argp parser = {
	.options = option_table,
	.parser = parse_option,
	.children = children,
	.args_doc = "[INTERVAL [COUNT]]",
	.doc = "Show which processes take page faults, of which kind, and how long they last."
	       "\v"
	       "A report every INTERVAL seconds (1), COUNT of them or until Ctrl-C; then a summary "
	       "of the whole run. Rates are per second, latencies in nanoseconds.\n\n"
	       "Exit status: 0 success, 1 failure, 2 wrong use, 3 no privilege, 4 the kernel lacks the feature.",
};

/* Reading the maps */

static bool push_row(const void *key, const void *sum, void *arg)
{
	struct fault_row row = { .key = *(const struct fault_key *)key,
				 .n = *(const struct fault_counts *)sum };

	return table_push(arg, &row);
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
	const struct bpf_map *map = s->skel->maps.processes;
	struct fault_row row;
	size_t i;

	if (!s->reap || t->count <= bpf_map__max_entries(map) / 2)
		return 0;
	for (i = 0; i < t->count; i++) {
		row = t->rows[i];
		if (!has_exited(row.key.pid) ||
		    percpu_lookup(map, &row.key, &row.n))
			continue;
		t->rows[i].n = row.n;
		row.key.pid = 0;
		row.key.start_ns = 0;
		if (!table_push(&s->gone, &row))
			break;
		bpf_map__delete_elem(map, &t->rows[i].key,
				     sizeof(t->rows[i].key), 0);
	}
	table_sort_keys(&s->gone);
	table_merge(&s->gone);
	return i < t->count ? -ENOMEM : 0;
}

static int take_reading(struct session *s, struct reading *r, bool reap)
{
	int err;

	r->now_ns = watch_clock_ns();
	r->processes.count = 0;
	err = percpu_hash(s->skel->maps.processes, push_row, &r->processes);
	table_sort_keys(&r->processes);
	if (!err)
		err = percpu_array(s->skel->maps.totals, &r->totals);
	if (!err && s->scome)
		err = percpu_array(s->skel->maps.scome, &r->scome);
	if (!err && reap)
		err = reap_exited(s, &r->processes);
	r->missed = watch_missed(s->skel->obj);
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
	size_t i, rows = watch_rows(&s->opt.watch, r->rows->count);
	const struct fault_row *row;
	struct fault_histogram *h;
	struct fault_totals t = r->totals;
	const char *comma = "";
	int kind;

	printf("{\"type\":\"%s\",\"time\":\"%s\",\"duration_ns\":%.0f,\"lost\":%llu,\"missed\":%llu,\"kinds\":{",
	       r->summary ? "summary" : "interval", watch_utc(),
	       r->seconds * 1e9, t.lost, r->missed);
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
	return watch_flush();
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
	screen_line(&s->watch.screen, true, "%s", line);
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
		bar = WATCH_WIDTH - used - 2;
		bar = (r->sum.slots[slot] * bar + most - 1) / most;
		snprintf(line + used, sizeof(line) - used, " |%.*s", bar,
			 stars);
		screen_line(&s->watch.screen, false, "%s", line);
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
	screen_line(&s->watch.screen, true,
		    "%7s %-15s %-7s %9s %8s %8s %8s %8s", "PID", "COMM", "KIND",
		    minor, major, retry, error, "MEAN_NS");
	for (i = 0; i < rows; i++) {
		row = &r->rows->rows[i];
		pad_text(comm, sizeof(comm), row->key.comm, 15);
		snprintf(pid, sizeof(pid), "%u", row->key.pid);
		format_number(mean, sizeof(mean),
			      (double)row->n.latency_ns / attempts(&row->n), 8,
			      false);
		screen_line(&s->watch.screen, false,
			    "%7s %s %-7s %9s %8s %8s %8s %8s",
			    row->key.pid ? pid : "exited", comm,
			    kind_names[row->key.kind],
			    number(r, row->n.minor, 9),
			    number(r, row->n.major, 8),
			    number(r, row->n.retry, 8),
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
	screen_line(&s->watch.screen, false,
		    "scome%s: links %s, unlinks %s, leaves %s, shootdowns %s%s",
		    r->summary ? "" : "/s", number(r, n->links, 8),
		    number(r, n->unlinks, 8), number(r, n->leaves, 8),
		    number(r, n->shootdowns, 8), cpus);
}

static bool print_text(struct session *s, struct report *r)
{
	const struct fault_counts *n = &r->sum.counts;
	struct screen *screen = &s->watch.screen;
	const char *when = watch_time(&s->opt.watch);
	int histogram, low, high;
	size_t rows;

	screen_begin(screen);
	if (r->summary)
		screen_line(screen, true, "%ssummary of %.1f s", when,
			    r->seconds);
	screen_line(
		screen, !r->summary,
		"%sfaults%s: minor %s, major %s, retry %s, error %s, lost %llu",
		r->summary ? "" : when, r->summary ? "" : "/s",
		number(r, n->minor, 9), number(r, n->major, 9),
		number(r, n->retry, 9), number(r, n->error, 9), r->totals.lost);
	if (r->totals.lost)
		screen_line(
			screen, false,
			"%llu attempts are in no row below: the map is full (--entries)",
			r->totals.lost);
	if (r->missed)
		screen_line(
			screen, false,
			"%llu events were not counted: the program was already running on that CPU",
			r->missed);
	text_scome(s, r);

	histogram = slot_bounds(&r->sum, &low, &high);
	rows = watch_screen_rows(&s->watch, r->rows->count,
				 histogram ? histogram + 1 : 0);
	if (r->rows->count)
		text_rows(s, r, rows);
	if (rows < r->rows->count)
		screen_line(screen, false, "%7s and %zu more", "...",
			    r->rows->count - rows);
	text_histogram(s, r);
	if (!screen->live)
		screen_line(screen, false, "%s", "");
	return screen_end(screen);
}

static bool print_report(struct session *s, struct report *r)
{
	totals_sum(&r->sum, &r->totals);
	if (s->opt.watch.json)
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

static int report_interval(struct watch *w, bool *written)
{
	struct session *s = w->arg;
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

static int report_summary(struct watch *w, bool *written)
{
	struct session *s = w->arg;
	struct report r = { .rows = &s->rows,
			    .summary = true,
			    .scome_known = s->scome };
	size_t i;
	int err;

	/* Nothing grows any more: rows and sums are of the same moment. */
	faults_bpf__detach(s->skel);
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
	r.seconds = (s->now.now_ns - s->start_ns) / 1e9;
	*written = print_report(s, &r);
	return EXIT_OK;
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
	bpf_map__set_max_entries(s->skel->maps.processes,
				 opt->watch.entries ? opt->watch.entries :
						      DEFAULT_ENTRIES);
	for (optional = optional_programs(s); *optional; optional++)
		bpf_program__set_autoload(*optional, s->scome);
	bpf_map__set_autocreate(s->skel->maps.scome, s->scome);
	return EXIT_OK;
}

static int pin(struct session *s)
{
	struct pins *pins = &s->watch.pins;
	int err;

	if (!s->opt.watch.pin)
		return EXIT_OK;
	err = pins_add(pins, s->skel->maps.processes);
	if (!err)
		err = pins_add(pins, s->skel->maps.totals);
	if (!err && s->scome)
		err = pins_add(pins, s->skel->maps.scome);
	return err;
}

static int dry_run(struct session *s)
{
	const struct options *opt = &s->opt;

	watch_dry_run(&opt->watch, s->skel->obj);
	if (opt->pid)
		printf("filter  pid %d\n", opt->pid);
	if (opt->comm)
		printf("filter  comm %s\n", opt->comm);
	if (opt->kind >= 0)
		printf("filter  kind %s\n", kind_names[opt->kind]);
	if (!watch_flush())
		return fail(EXIT_FAIL, "cannot write: %s", strerror(errno));
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
	const struct watch_options *opt = &s->opt.watch;
	int err;

	err = check_kernel(s);
	if (err)
		return err;
	if (opt->dry_run) {
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
	if (opt->pin) {
		err = pins_open(&s->watch.pins, opt->pin_dir, opt->keep);
		if (err)
			return err;
	}
	err = prepare(s);
	if (!err)
		err = watch_loaded(faults_bpf__load(s->skel));
	if (!err)
		err = pin(s);
	if (err)
		return err;
	err = faults_bpf__attach(s->skel);
	if (err)
		return fail(EXIT_FAIL, "cannot attach the program: %s",
			    strerror(-err));
	s->start_ns = watch_clock_ns();
	s->then.now_ns = s->start_ns;
	return watch_run(&s->watch);
}

int faults_main(int argc, char **argv)
{
	struct session s = {
		.opt = {
			.watch = WATCH_DEFAULTS,
			.kind = -1,
			.histogram = true,
		},
		.watch = {
			.opt = &s.opt.watch,
			.pins.fd = -1,
			.report = report_interval,
			.summary = report_summary,
			.arg = &s,
		},
	};
	int err;

	argp_parse(&parser, argc, argv, 0, NULL, &s.opt);
	if (!s.opt.watch.pin_dir)
		s.opt.watch.pin_dir = DEFAULT_PIN_DIR;
	watch_begin(&s.opt.watch);
	err = start(&s);
	/* The pins know the maps by names that belong to the skeleton. */
	pins_close(&s.watch.pins);
	faults_bpf__destroy(s.skel);
	table_free(&s.then.processes);
	table_free(&s.now.processes);
	table_free(&s.rows);
	table_free(&s.gone);
	return err;
}
