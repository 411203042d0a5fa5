// SPDX-License-Identifier: GPL-2.0
/*
 * mmscope units: the units of shared leaf tables, live.
 *
 * What happens is counted by bpf/units.bpf.c, which only ever adds; what there
 * is comes from the kernel's list in debugfs.
 */
#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "counts.h"
#include "json.h"
#include "kernel.h"
#include "mmscope.h"
#include "percpu.h"
#include "unitlist.h"
#include "units.skel.h"
#include "watch.h"

#define DEFAULT_PIN_DIR MMSCOPE_PIN_ROOT "/units"
#define DEFAULT_ENTRIES 10240
#define UNIT_LIST "/sys/kernel/debug/scome/units"
#define CAUSE_PREFIX "SCOME_LEAVE_"
#define CAUSE_LEN 24

/* Columns before the name of the file. */
#define FILE_COLUMN 67

struct options {
	struct watch_options watch;
	bool one;
	__u64 unit;
};

struct reading {
	struct unit_table units; /* sorted by id */
	struct unit_totals totals;
	__u64 missed;
	__u64 now_ns;
	bool listed; /* the kernel's list was there */
};

struct session {
	struct options opt;
	struct watch watch;
	struct units_bpf *skel;
	__u64 start_ns;
	struct reading then, now;
	struct unit_table rows;
	char causes[UNIT_CAUSES][CAUSE_LEN];
	bool told; /* that the list is missing */
};

static const struct argp_option option_table[] = {
	{ "unit", 'u', "UNIT", 0, "Only the unit of this number", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &opt->watch;
		break;
	case 'u':
		opt->unit =
			watch_number(state, "UNIT", arg, 0, 0x7fffffffffffffff);
		opt->one = true;
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
	.doc = "Show the units of shared leaf tables: how many tables and links each has, and its faults, links, unlinks and shootdowns."
	       "\v"
	       "A report every INTERVAL seconds (1), COUNT of them or until Ctrl-C; then a summary "
	       "of the whole run. Rates are per second. CPUS is the mean number of CPUs that a shootdown concerned.\n\n"
	       "Exit status: 0 success, 1 failure, 2 wrong use, 3 no privilege, 4 the kernel lacks the feature.",
};

/* Reading */

struct merge {
	struct unit_table *units;
	size_t listed; /* so many rows come from the list, sorted */
};

static bool merge_row(const void *key, const void *sum, void *arg)
{
	struct merge *m = arg;
	struct unit_table known = { .rows = m->units->rows,
				    .count = m->listed };
	struct unit_row *row, fresh = { .unit = *(const __u64 *)key };

	row = unit_table_find(&known, fresh.unit);
	if (row) {
		row->n = *(const struct unit_counts *)sum;
		return true;
	}
	fresh.n = *(const struct unit_counts *)sum;
	return unit_table_push(m->units, &fresh);
}

static int read_list(struct session *s, struct reading *r)
{
	FILE *list = fopen(UNIT_LIST, "re");
	size_t i, kept = 0;
	int err;

	r->listed = list;
	if (!list) {
		if (!s->told)
			note("cannot read " UNIT_LIST
			     " (%s): only what happens is shown; mount -t debugfs debugfs /sys/kernel/debug",
			     strerror(errno));
		s->told = true;
		return 0;
	}
	err = unit_list_read(list, &r->units);
	fclose(list);
	if (s->opt.one) {
		for (i = 0; i < r->units.count; i++)
			if (r->units.rows[i].unit == s->opt.unit)
				r->units.rows[kept++] = r->units.rows[i];
		r->units.count = kept;
	}
	unit_table_sort(&r->units);
	return err;
}

static int take_reading(struct session *s, struct reading *r)
{
	struct merge merge = { .units = &r->units };
	int err;

	r->now_ns = watch_clock_ns();
	r->units.count = 0;
	err = read_list(s, r);
	merge.listed = r->units.count;
	if (!err)
		err = percpu_hash(s->skel->maps.units, merge_row, &merge);
	unit_table_sort(&r->units);
	if (!err)
		err = percpu_array(s->skel->maps.totals, &r->totals);
	r->missed = watch_missed(s->skel->obj);
	if (err)
		return fail(EXIT_FAIL, "cannot read the units: %s",
			    strerror(-err));
	return EXIT_OK;
}

/*
 * Make room in a map that is half full: a unit that was retired before the
 * last report is never heard of again. Its counts stay in the totals.
 */
static void remove_retired(struct session *s)
{
	const struct bpf_map *map = s->skel->maps.units;
	struct unit_row *row;
	size_t i;

	if (s->then.units.count <= bpf_map__max_entries(map) / 2)
		return;
	for (i = 0; i < s->then.units.count; i++) {
		row = &s->then.units.rows[i];
		if (row->n.retired && !row->listed)
			bpf_map__delete_elem(map, &row->unit, sizeof(row->unit),
					     0);
	}
}

struct report {
	const struct unit_table *rows; /* busiest first */
	struct unit_totals totals;
	__u64 units, tables, links; /* what there is */
	__u64 missed;
	double seconds;
	bool listed;
	bool summary;
};

static void count_listed(struct report *r, const struct reading *now)
{
	size_t i;

	r->listed = now->listed;
	for (i = 0; i < now->units.count; i++) {
		if (!now->units.rows[i].listed)
			continue;
		r->units++;
		r->tables += now->units.rows[i].tables;
		r->links += now->units.rows[i].links;
	}
}

/* JSON */

static void json_counts(const struct unit_counts *n)
{
	printf("\"created\":%llu,\"retired\":%llu,\"linked\":%llu,\"unlinked\":%llu,\"left\":%llu,"
	       "\"faults\":%llu,\"retries\":%llu,\"errors\":%llu,\"fault_ns\":%llu,"
	       "\"shootdowns\":%llu,\"shootdown_cpus\":%llu,\"shootdown_mms\":%llu",
	       n->created, n->retired, n->links, n->unlinks, n->leaves,
	       n->faults, n->retries, n->errors, n->fault_ns, n->shootdowns,
	       n->shootdown_cpus, n->shootdown_mms);
}

static void json_row(const struct unit_row *row)
{
	printf("{\"unit\":%llu,", row->unit);
	if (row->listed) {
		printf("\"tables\":%llu,\"links\":%llu,\"inode\":%llu,\"file\":",
		       row->tables, row->links, row->inode);
		json_string(stdout, row->file);
		putchar(',');
	}
	json_counts(&row->n);
	putchar('}');
}

static bool print_json(const struct session *s, const struct report *r)
{
	size_t i, rows = watch_rows(&s->opt.watch, r->rows->count);
	const char *comma = "";
	int cause;

	printf("{\"type\":\"%s\",\"time\":\"%s\",\"duration_ns\":%.0f,\"lost\":%llu,\"missed\":%llu,",
	       r->summary ? "summary" : "interval", watch_utc(),
	       r->seconds * 1e9, r->totals.lost, r->missed);
	if (r->listed)
		printf("\"units\":%llu,\"tables\":%llu,\"links\":%llu,",
		       r->units, r->tables, r->links);
	printf("\"totals\":{");
	json_counts(&r->totals.all);
	printf(",\"shootdown_batches\":%llu,\"left_by_cause\":{",
	       r->totals.batches);
	for (cause = 0; cause < UNIT_CAUSES; cause++) {
		if (!r->totals.leaves_by_cause[cause])
			continue;
		printf("%s\"%s\":%llu", comma, s->causes[cause],
		       r->totals.leaves_by_cause[cause]);
		comma = ",";
	}
	printf("}},\"rows\":[");
	for (i = 0; i < rows; i++) {
		if (i)
			putchar(',');
		json_row(&r->rows->rows[i]);
	}
	printf("],\"rows_left_out\":%zu}\n", r->rows->count - rows);
	return watch_flush();
}

/* Text */

static const char *number(const struct report *r, __u64 n, int width)
{
	static char buf[8][32];
	static unsigned int next;
	char *text = buf[next++ % 8];

	if (r->summary)
		format_number(text, sizeof(buf[0]), n, width, false);
	else
		format_number(text, sizeof(buf[0]), n / r->seconds, width,
			      true);
	return text;
}

static const char *amount(bool known, __u64 n, int width)
{
	static char buf[4][32];
	static unsigned int next;
	char *text = buf[next++ % 4];

	if (!known)
		return "-";
	format_number(text, sizeof(buf[0]), n, width, false);
	return text;
}

static void mean_cpus(char *text, size_t size, const struct unit_counts *n)
{
	if (n->shootdowns)
		snprintf(text, size, "%.1f",
			 (double)n->shootdown_cpus / n->shootdowns);
	else
		snprintf(text, size, "-");
}

/* What one looks for in a name: without the slash and the remark behind it. */
static void short_name(char *text, size_t size, const struct unit_row *row,
		       bool list, int width)
{
	static const char gone[] = " (deleted)";
	char name[UNIT_FILE_LEN];
	size_t length;

	if (row->listed)
		snprintf(name, sizeof(name), "%s",
			 row->file + (*row->file == '/'));
	else
		snprintf(name, sizeof(name), "%s", list ? "(retired)" : "-");
	length = strlen(name);
	if (length > strlen(gone) &&
	    !strcmp(name + length - strlen(gone), gone))
		name[length - strlen(gone)] = '\0';
	pad_text(text, size, name, width);
	length = strlen(text);
	while (length && text[length - 1] == ' ')
		text[--length] = '\0';
}

static void text_rows(struct session *s, const struct report *r, size_t rows)
{
	struct screen *screen = &s->watch.screen;
	const char *per = r->summary ? "" : "/s";
	char faults[16], links[16], unlinks[16], shoot[16];
	int width = WATCH_WIDTH - FILE_COLUMN;
	const struct unit_row *row;
	char file[512], cpus[32];
	size_t i;

	if (screen->live && screen->columns > WATCH_WIDTH)
		width = screen->columns - FILE_COLUMN;
	snprintf(faults, sizeof(faults), "FAULTS%s", per);
	snprintf(links, sizeof(links), "LINK%s", per);
	snprintf(unlinks, sizeof(unlinks), "UNLINK%s", per);
	snprintf(shoot, sizeof(shoot), "SHOOT%s", per);
	screen_line(screen, true, "%6s %7s %8s %9s %8s %8s %8s %5s %s", "UNIT",
		    "TABLES", "LINKS", faults, links, unlinks, shoot, "CPUS",
		    "FILE");
	for (i = 0; i < rows; i++) {
		row = &r->rows->rows[i];
		short_name(file, sizeof(file), row, r->listed,
			   width < (int)sizeof(file) / 4 ?
				   width :
				   (int)sizeof(file) / 4);
		mean_cpus(cpus, sizeof(cpus), &row->n);
		screen_line(screen, false,
			    "%6llu %7s %8s %9s %8s %8s %8s %5s %s", row->unit,
			    amount(row->listed, row->tables, 7),
			    amount(row->listed, row->links, 8),
			    number(r, row->n.faults, 9),
			    number(r, row->n.links, 8),
			    number(r, row->n.unlinks, 8),
			    number(r, row->n.shootdowns, 8), cpus, file);
	}
}

static void text_causes(struct session *s, const struct report *r)
{
	char line[256];
	int cause, used;

	if (!r->totals.all.leaves)
		return;
	used = snprintf(line, sizeof(line), "left%s:", r->summary ? "" : "/s");
	for (cause = 0; cause < UNIT_CAUSES; cause++)
		if (r->totals.leaves_by_cause[cause] &&
		    used < WATCH_WIDTH - CAUSE_LEN - 10)
			used += snprintf(
				line + used, sizeof(line) - used, " %s %s",
				s->causes[cause],
				number(r, r->totals.leaves_by_cause[cause], 8));
	screen_line(&s->watch.screen, false, "%s", line);
}

static bool print_text(struct session *s, struct report *r)
{
	const struct unit_counts *n = &r->totals.all;
	struct screen *screen = &s->watch.screen;
	const char *when = watch_time(&s->opt.watch);
	char cpus[32];
	size_t rows;

	mean_cpus(cpus, sizeof(cpus), n);
	screen_begin(screen);
	if (r->summary)
		screen_line(screen, true, "%ssummary of %.1f s", when,
			    r->seconds);
	screen_line(screen, !r->summary,
		    "%sunits %s, tables %s, links %s; lost %llu",
		    r->summary ? "" : when, amount(r->listed, r->units, 9),
		    amount(r->listed, r->tables, 9),
		    amount(r->listed, r->links, 9), r->totals.lost);
	screen_line(
		screen, false,
		"faults%s %s, link %s, unlink %s, leave %s, shootdown %s of %s CPUs",
		r->summary ? "" : "/s", number(r, n->faults, 6),
		number(r, n->links, 6), number(r, n->unlinks, 6),
		number(r, n->leaves, 6), number(r, n->shootdowns, 6), cpus);
	if (r->totals.batches)
		screen_line(screen, false,
			    "shootdowns that concerned several units: %s%s",
			    number(r, r->totals.batches, 9),
			    r->summary ? "" : "/s");
	if (r->missed)
		screen_line(
			screen, false,
			"%llu events were not counted: the program was already running on that CPU",
			r->missed);
	text_causes(s, r);
	rows = watch_screen_rows(&s->watch, r->rows->count, 0);
	if (r->rows->count)
		text_rows(s, r, rows);
	if (rows < r->rows->count)
		screen_line(screen, false, "%6s and %zu more", "...",
			    r->rows->count - rows);
	if (!screen->live)
		screen_line(screen, false, "%s", "");
	return screen_end(screen);
}

static bool print_report(struct session *s, struct report *r)
{
	unit_table_top(&s->rows);
	if (s->opt.watch.json)
		return print_json(s, r);
	return print_text(s, r);
}

/* The run */

static void totals_sub(struct unit_totals *from, const struct unit_totals *t)
{
	int cause;

	unit_counts_sub(&from->all, &t->all);
	for (cause = 0; cause < UNIT_CAUSES; cause++)
		from->leaves_by_cause[cause] -= t->leaves_by_cause[cause];
	from->batches -= t->batches;
	from->lost -= t->lost;
}

/* Every unit there is, and every one that something happened to. */
static bool collect(struct session *s, const struct reading *then)
{
	const struct unit_row *old;
	struct unit_row row;
	size_t i;

	s->rows.count = 0;
	for (i = 0; i < s->now.units.count; i++) {
		row = s->now.units.rows[i];
		old = then ? unit_table_find(&then->units, row.unit) : NULL;
		if (old && unit_events(&old->n) <= unit_events(&row.n))
			unit_counts_sub(&row.n, &old->n);
		if ((row.listed || unit_events(&row.n)) &&
		    !unit_table_push(&s->rows, &row))
			return false;
	}
	return true;
}

static int report_interval(struct watch *w, bool *written)
{
	struct session *s = w->arg;
	struct report r = { .rows = &s->rows };
	struct reading old;
	int err;

	err = take_reading(s, &s->now);
	if (err)
		return err;
	if (!collect(s, &s->then))
		return fail(EXIT_FAIL, "cannot compare: %s", strerror(ENOMEM));
	r.totals = s->now.totals;
	totals_sub(&r.totals, &s->then.totals);
	r.missed = s->now.missed - s->then.missed;
	r.seconds = (s->now.now_ns - s->then.now_ns) / 1e9;
	count_listed(&r, &s->now);
	*written = print_report(s, &r);
	remove_retired(s);
	old = s->then;
	s->then = s->now;
	s->now = old;
	return EXIT_OK;
}

static int report_summary(struct watch *w, bool *written)
{
	struct session *s = w->arg;
	struct report r = { .rows = &s->rows, .summary = true };
	int err;

	/* Nothing grows any more: rows and sums are of the same moment. */
	units_bpf__detach(s->skel);
	err = take_reading(s, &s->now);
	if (err)
		return err;
	if (!collect(s, NULL))
		return fail(EXIT_FAIL, "no memory for the summary");
	r.totals = s->now.totals;
	r.missed = s->now.missed;
	r.seconds = (s->now.now_ns - s->start_ns) / 1e9;
	count_listed(&r, &s->now);
	*written = print_report(s, &r);
	return EXIT_OK;
}

/* Loading */

/* The kernel's own words for the causes, from its type data. */
static void name_causes(struct session *s, const struct btf *btf)
{
	const struct btf_type *type;
	const struct btf_enum *value;
	const char *name;
	int i, id, n;
	char *c;

	for (i = 0; i < UNIT_CAUSES; i++)
		snprintf(s->causes[i], CAUSE_LEN, "cause_%d", i);
	id = btf__find_by_name_kind(btf, "scome_cause", BTF_KIND_ENUM);
	if (id < 0)
		return;
	type = btf__type_by_id(btf, id);
	value = btf_enum(type);
	for (i = 0, n = btf_vlen(type); i < n; i++, value++) {
		name = btf__name_by_offset(btf, value->name_off);
		if (value->val < 0 || value->val >= UNIT_CAUSES || !name ||
		    strncmp(name, CAUSE_PREFIX, strlen(CAUSE_PREFIX)))
			continue;
		snprintf(s->causes[value->val], CAUSE_LEN, "%s",
			 name + strlen(CAUSE_PREFIX));
		for (c = s->causes[value->val]; *c; c++)
			*c = tolower((unsigned char)*c);
	}
}

static int check_kernel(struct session *s)
{
	static const char *const names[] = {
		"scome_unit_create", "scome_unit_retire", "scome_link",
		"scome_unlink",	     "scome_leave",	  "scome_fault",
		"scome_shootdown",
	};
	struct btf *btf = kernel_btf();
	int err = EXIT_OK;
	size_t i;

	if (!btf)
		return fail(
			EXIT_FEATURE,
			"kernel %s offers no type information: it needs CONFIG_DEBUG_INFO_BTF",
			kernel_release());
	for (i = 0; i < sizeof(names) / sizeof(*names) && !err; i++)
		if (!kernel_has_tracepoint(btf, names[i]))
			err = fail(
				EXIT_FEATURE,
				"kernel %s has no tracepoint %s: it needs CONFIG_SCOME and the patches of the series",
				kernel_release(), names[i]);
	if (!err)
		name_causes(s, btf);
	btf__free(btf);
	return err;
}

static int start(struct session *s)
{
	const struct watch_options *opt = &s->opt.watch;
	struct pins *pins = &s->watch.pins;
	int err;

	err = check_kernel(s);
	if (err)
		return err;
	if (!opt->dry_run && !may_trace())
		return fail(
			EXIT_PRIVILEGE,
			"no privilege to trace: run it as root, or with CAP_BPF and CAP_PERFMON");
	s->skel = units_bpf__open();
	if (!s->skel)
		return fail(EXIT_FAIL, "cannot open the program: %s",
			    strerror(errno));
	s->skel->rodata->filter_on = s->opt.one;
	s->skel->rodata->filter_unit = s->opt.unit;
	bpf_map__set_max_entries(s->skel->maps.units,
				 opt->entries ? opt->entries : DEFAULT_ENTRIES);
	if (opt->dry_run) {
		watch_dry_run(opt, s->skel->obj);
		if (s->opt.one)
			printf("filter  unit %llu\n", s->opt.unit);
		if (!watch_flush())
			return fail(EXIT_FAIL, "cannot write: %s",
				    strerror(errno));
		return EXIT_OK;
	}
	if (opt->pin) {
		err = pins_open(pins, opt->pin_dir, opt->keep);
		if (err)
			return err;
	}
	err = watch_loaded(units_bpf__load(s->skel));
	if (!err && opt->pin)
		err = pins_add(pins, s->skel->maps.units);
	if (!err && opt->pin)
		err = pins_add(pins, s->skel->maps.totals);
	if (err)
		return err;
	err = units_bpf__attach(s->skel);
	if (err)
		return fail(EXIT_FAIL, "cannot attach the programs: %s",
			    strerror(-err));
	s->start_ns = watch_clock_ns();
	s->then.now_ns = s->start_ns;
	return watch_run(&s->watch);
}

int units_main(int argc, char **argv)
{
	struct session s = {
		.opt.watch = WATCH_DEFAULTS,
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
	units_bpf__destroy(s.skel);
	unit_table_free(&s.then.units);
	unit_table_free(&s.now.units);
	unit_table_free(&s.rows);
	return err;
}
