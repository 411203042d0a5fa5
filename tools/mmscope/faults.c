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

#include "counters.h"
#include "counts.h"
#include "faults.skel.h"
#include "format.h"
#include "json.h"
#include "kernel.h"
#include "message.h"
#include "percpu.h"
#include "watch.h"

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
};

/* What a report shows: the difference of two readings, or the whole run. */
struct shown {
	struct fault_table rows; /* most attempts first */
	struct fault_totals totals;
	struct fault_histogram sum;
	struct scome_totals scome;
};

struct session {
	struct options opt;
	struct faults_bpf *skel;
	bool scome; /* the kernel has the scome tracepoints */
	bool reap; /* kill() and the kernel mean the same PIDs */
	struct fault_table gone; /* what was removed from the full map */
	struct reading then, now;
	struct shown shown;
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

static const struct argp parser = {
	.options = option_table,
	.parser = parse_option,
	.children = watch_children,
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
	struct fault_table *table = arg;

	return table_push(table, &row);
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

static int read_counters(void *session, bool last)
{
	struct session *s = session;
	struct reading *r = &s->now;
	int err;

	r->processes.count = 0;
	err = percpu_hash(s->skel->maps.processes, push_row, &r->processes);
	table_sort_keys(&r->processes);
	if (!err)
		err = percpu_array(s->skel->maps.totals, &r->totals);
	if (!err && s->scome)
		err = percpu_array(s->skel->maps.scome, &r->scome);
	if (!err && !last)
		err = reap_exited(s, &r->processes);
	if (err)
		return fail(EXIT_FAIL, "cannot read the counters: %s",
			    strerror(-err));
	return EXIT_OK;
}

static bool collect_interval(struct session *s)
{
	struct shown *shown = &s->shown;

	counters_sub(&shown->totals, &s->then.totals, sizeof(shown->totals));
	counters_sub(&shown->scome, &s->then.scome, sizeof(shown->scome));
	return table_diff(&shown->rows, &s->now.processes, &s->then.processes);
}

/* All there is, and what had to be removed. */
static bool collect_whole(struct session *s)
{
	const struct fault_table *tables[] = { &s->now.processes, &s->gone };
	struct fault_table *rows = &s->shown.rows;
	size_t i, j;

	rows->count = 0;
	for (i = 0; i < 2; i++)
		for (j = 0; j < tables[i]->count; j++)
			if (!table_push(rows, &tables[i]->rows[j]))
				return false;
	return true;
}

static bool collect(void *session, bool whole)
{
	struct session *s = session;
	struct shown *shown = &s->shown;

	shown->totals = s->now.totals;
	shown->scome = s->now.scome;
	if (!(whole ? collect_whole(s) : collect_interval(s)))
		return false;
	table_sort_top(&shown->rows);
	totals_sum(&shown->sum, &shown->totals);
	return true;
}

static void keep(void *session)
{
	struct session *s = session;
	struct reading old = s->then;

	s->then = s->now;
	s->now = old;
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

static void print_json(const void *session, const struct report *r)
{
	const struct session *s = session;
	struct fault_totals totals = s->shown.totals;
	const struct scome_totals *scome = &s->shown.scome;
	const struct fault_table *table = &s->shown.rows;
	size_t i, rows = report_json_rows(r, table->count);
	const struct fault_row *row;
	struct fault_histogram *h;
	const char *comma = "";
	int kind;

	report_json_begin(r, totals.lost);
	printf("\"kinds\":{");
	for (kind = 0; kind < FAULT_KINDS; kind++) {
		h = fault_histogram_of(&totals, kind);
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
		row = &table->rows[i];
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
	printf("],\"rows_left_out\":%zu", table->count - rows);
	if (s->scome)
		printf(",\"scome\":{\"links\":%llu,\"unlinks\":%llu,\"leaves\":%llu,\"shootdowns\":%llu,\"shootdown_cpus\":%llu}",
		       scome->links, scome->unlinks, scome->leaves,
		       scome->shootdowns, scome->shootdown_cpus);
	puts("}");
}

/* Text */

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

static void text_histogram(const struct session *s, const struct report *r)
{
	static const char stars[] =
		"****************************************************************";
	const struct fault_histogram *sum = &s->shown.sum;
	struct fault_totals totals = s->shown.totals;
	struct fault_histogram *h[FAULT_KINDS];
	int kind, kinds = 0, slot, low, high, bar, used;
	char line[256], label[32], number[32];
	__u64 most = 1;

	if (!slot_bounds(sum, &low, &high))
		return;
	used = snprintf(line, sizeof(line), "%12s", "latency_ns");
	for (kind = 0; kind < FAULT_KINDS; kind++) {
		h[kinds] = fault_histogram_of(&totals, kind);
		if (!attempts(&h[kinds]->counts))
			continue;
		kinds++;
		used += snprintf(line + used, sizeof(line) - used, " %8s",
				 kind_names[kind]);
	}
	screen_line(r->screen, true, "%s", line);
	for (slot = low; slot <= high; slot++)
		if (sum->slots[slot] > most)
			most = sum->slots[slot];
	for (slot = low; slot <= high; slot++) {
		format_range(label, sizeof(label), slot, FAULT_SLOTS - 1);
		used = snprintf(line, sizeof(line), "%12s", label);
		for (kind = 0; kind < kinds; kind++) {
			format_number(number, sizeof(number),
				      h[kind]->slots[slot], 8, false);
			used += snprintf(line + used, sizeof(line) - used,
					 " %8s", number);
		}
		bar = REPORT_WIDTH - used - 2;
		bar = (sum->slots[slot] * bar + most - 1) / most;
		snprintf(line + used, sizeof(line) - used, " |%.*s", bar,
			 stars);
		screen_line(r->screen, false, "%s", line);
	}
}

static void text_rows(const struct session *s, const struct report *r,
		      size_t rows)
{
	const char *per = report_per(r);
	char minor[16], major[16], retry[16], error[16];
	const struct fault_row *row;
	char comm[80], pid[16], mean[32];
	size_t i;

	snprintf(minor, sizeof(minor), "MINOR%s", per);
	snprintf(major, sizeof(major), "MAJOR%s", per);
	snprintf(retry, sizeof(retry), "RETRY%s", per);
	snprintf(error, sizeof(error), "ERROR%s", per);
	screen_line(r->screen, true, "%7s %-15s %-7s %9s %8s %8s %8s %8s",
		    "PID", "COMM", "KIND", minor, major, retry, error,
		    "MEAN_NS");
	for (i = 0; i < rows; i++) {
		row = &s->shown.rows.rows[i];
		pad_text(comm, sizeof(comm), row->key.comm, 15);
		snprintf(pid, sizeof(pid), "%u", row->key.pid);
		format_number(mean, sizeof(mean),
			      (double)row->n.latency_ns / attempts(&row->n), 8,
			      false);
		screen_line(r->screen, false, "%7s %s %-7s %9s %8s %8s %8s %8s",
			    row->key.pid ? pid : "exited", comm,
			    kind_names[row->key.kind],
			    report_number(r, row->n.minor, 9),
			    report_number(r, row->n.major, 8),
			    report_number(r, row->n.retry, 8),
			    report_number(r, row->n.error, 8), mean);
	}
}

static void text_scome(const struct session *s, const struct report *r)
{
	const struct scome_totals *n = &s->shown.scome;
	char cpus[32] = "";

	if (!s->scome)
		return;
	if (n->shootdowns)
		snprintf(cpus, sizeof(cpus), " (%.1f CPUs each)",
			 (double)n->shootdown_cpus / n->shootdowns);
	screen_line(r->screen, false,
		    "scome%s: links %s, unlinks %s, leaves %s, shootdowns %s%s",
		    report_per(r), report_number(r, n->links, 8),
		    report_number(r, n->unlinks, 8),
		    report_number(r, n->leaves, 8),
		    report_number(r, n->shootdowns, 8), cpus);
}

static void print_text(const void *session, const struct report *r)
{
	const struct session *s = session;
	const struct fault_counts *n = &s->shown.sum.counts;
	size_t rows, count = s->shown.rows.count;
	__u64 lost = s->shown.totals.lost;
	int histogram, low, high;

	screen_line(
		r->screen, !r->summary,
		"%sfaults%s: minor %s, major %s, retry %s, error %s, lost %llu",
		report_time(r), report_per(r), report_number(r, n->minor, 9),
		report_number(r, n->major, 9), report_number(r, n->retry, 9),
		report_number(r, n->error, 9), lost);
	if (lost)
		screen_line(
			r->screen, false,
			"%llu attempts are in no row below: the map is full (--entries)",
			lost);
	report_missed(r);
	text_scome(s, r);

	histogram = slot_bounds(&s->shown.sum, &low, &high);
	rows = report_rows(r, count, histogram ? histogram + 1 : 0);
	if (count)
		text_rows(s, r, rows);
	report_left_out(r, 7, count - rows);
	text_histogram(s, r);
}

/* Loading */

static int check_kernel(void *session, const struct btf *btf)
{
	struct session *s = session;

	if (!kernel_has_tracepoint(btf, "mm_fault_done"))
		return fail(
			EXIT_FEATURE,
			"kernel %s has no tracepoint mm_fault_done: it needs the first patch of the series",
			kernel_release());
	s->scome = !kernel_lacks_scome(btf);
	return EXIT_OK;
}

static int check_pid(struct session *s)
{
	s->reap = initial_pid_namespace();
	if (s->opt.pid && !s->reap)
		return fail(EXIT_FAIL,
			    "--pid works in the initial PID namespace only");
	if (s->opt.pid && has_exited(s->opt.pid))
		return fail(EXIT_FAIL, "there is no process %d", s->opt.pid);
	return EXIT_OK;
}

static void set_filters(const struct session *s)
{
	const struct options *opt = &s->opt;

	s->skel->rodata->filter_pid = opt->pid;
	s->skel->rodata->filter_kind = opt->kind;
	s->skel->rodata->histogram_on = opt->histogram;
	if (!opt->comm)
		return;
	s->skel->rodata->filter_comm_on = true;
	strncpy((char *)s->skel->rodata->filter_comm, opt->comm,
		FAULT_COMM_LEN - 1);
}

static int open_program(void *session, const struct watch_options *opt,
			struct bpf_object_skeleton **skeleton)
{
	struct session *s = session;
	struct bpf_program *prog;
	int err = opt->dry_run ? EXIT_OK : check_pid(s);

	if (err)
		return err;
	s->skel = faults_bpf__open();
	if (!s->skel)
		return fail(EXIT_FAIL, "cannot open the program: %s",
			    strerror(errno));
	*skeleton = s->skel->skeleton;
	set_filters(s);
	bpf_map__set_max_entries(s->skel->maps.processes, opt->entries);
	bpf_object__for_each_program(prog, s->skel->obj)
		if (prog != s->skel->progs.mm_fault_done)
			bpf_program__set_autoload(prog, s->scome);
	bpf_map__set_autocreate(s->skel->maps.scome, s->scome);
	return EXIT_OK;
}

static void print_filters(const void *session)
{
	const struct options *opt = &((const struct session *)session)->opt;

	if (opt->pid)
		printf("filter  pid %d\n", opt->pid);
	if (opt->comm)
		printf("filter  comm %s\n", opt->comm);
	if (opt->kind >= 0)
		printf("filter  kind %s\n", kind_names[opt->kind]);
}

static void close_session(void *session)
{
	struct session *s = session;

	faults_bpf__destroy(s->skel);
	table_free(&s->then.processes);
	table_free(&s->now.processes);
	table_free(&s->shown.rows);
	table_free(&s->gone);
}

static const struct watch_verb verb = {
	.pin_dir = MMSCOPE_PIN_ROOT "/faults",
	.check = check_kernel,
	.open = open_program,
	.dry_run = print_filters,
	.read = read_counters,
	.collect = collect,
	.json = print_json,
	.text = print_text,
	.keep = keep,
	.close = close_session,
};

int faults_main(int argc, char **argv)
{
	struct session s = {
		.opt = {
			.watch = WATCH_DEFAULTS,
			.kind = -1,
			.histogram = true,
		},
	};

	argp_parse(&parser, argc, argv, 0, NULL, &s.opt);
	return watch_main(&verb, &s, &s.opt.watch);
}
