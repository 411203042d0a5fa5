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

#include "counters.h"
#include "format.h"
#include "json.h"
#include "kernel.h"
#include "message.h"
#include "percpu.h"
#include "unitlist.h"
#include "units.skel.h"
#include "watch.h"

#define UNIT_LIST "/sys/kernel/debug/scome/units"
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
	bool listed; /* the kernel's list was there */
};

/* What a report shows: the difference of two readings, or the whole run. */
struct shown {
	struct unit_table rows; /* busiest first */
	struct unit_totals totals;
	__u64 units, tables, views, links; /* what there is */
	bool listed;
};

/* What the kernel calls the causes of something. */
struct cause_names {
	char name[UNIT_CAUSES][CAUSE_LEN];
};

struct session {
	struct options opt;
	struct units_bpf *skel;
	struct reading then, now;
	struct shown shown;
	struct cause_names leave, retire;
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

static const struct argp parser = {
	.options = option_table,
	.parser = parse_option,
	.children = watch_children,
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
	return table_push(m->units, &fresh);
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

static int read_counters(void *session, bool last)
{
	struct session *s = session;
	struct reading *r = &s->now;
	struct merge merge = { .units = &r->units };
	int err;

	(void)last;
	r->units.count = 0;
	err = read_list(s, r);
	if (err == -EPROTO)
		return fail(EXIT_FAIL, "cannot make sense of " UNIT_LIST);
	if (err)
		return fail(EXIT_FAIL, "cannot read " UNIT_LIST ": %s",
			    strerror(-err));
	merge.listed = r->units.count;
	err = percpu_hash(s->skel->maps.units, merge_row, &merge);
	unit_table_sort(&r->units);
	if (!err)
		err = percpu_array(s->skel->maps.totals, &r->totals);
	if (err)
		return fail(EXIT_FAIL, "cannot read the counters: %s",
			    strerror(-err));
	return EXIT_OK;
}

static void count_listed(struct shown *shown, const struct reading *now)
{
	size_t i;

	shown->listed = now->listed;
	shown->units = 0;
	shown->tables = 0;
	shown->views = 0;
	shown->links = 0;
	for (i = 0; i < now->units.count; i++) {
		if (!now->units.rows[i].listed)
			continue;
		shown->units++;
		shown->tables += now->units.rows[i].tables;
		shown->views += now->units.rows[i].views;
		shown->links += now->units.rows[i].links;
	}
}

/* Every unit there is, and every one that something happened to. */
static bool collect(void *session, bool whole)
{
	struct session *s = session;
	struct shown *shown = &s->shown;
	const struct unit_row *old = NULL;
	struct unit_row row;
	size_t i;

	shown->rows.count = 0;
	for (i = 0; i < s->now.units.count; i++) {
		row = s->now.units.rows[i];
		if (!whole)
			old = unit_table_find(&s->then.units, row.unit);
		if (old && unit_events(&old->n) <= unit_events(&row.n))
			counters_sub(&row.n, &old->n, sizeof(row.n));
		if ((row.listed || unit_events(&row.n)) &&
		    !table_push(&shown->rows, &row))
			return false;
	}
	unit_table_top(&shown->rows);
	shown->totals = s->now.totals;
	if (!whole)
		counters_sub(&shown->totals, &s->then.totals,
			     sizeof(shown->totals));
	count_listed(shown, &s->now);
	return true;
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

static void keep(void *session)
{
	struct session *s = session;
	struct reading old = s->then;

	remove_retired(s);
	s->then = s->now;
	s->now = old;
}

/* JSON */

static void json_counts(const struct unit_counts *n)
{
	printf("\"created\":%llu,\"retired\":%llu,\"linked\":%llu,\"linked_parents\":%llu,"
	       "\"unlinked\":%llu,\"left\":%llu,"
	       "\"faults\":%llu,\"retries\":%llu,\"errors\":%llu,\"fault_ns\":%llu,"
	       "\"shootdowns\":%llu,\"shootdown_cpus\":%llu,\"shootdown_mms\":%llu",
	       n->created, n->retired, n->links, n->parents, n->unlinks,
	       n->leaves, n->faults, n->retries, n->errors, n->fault_ns,
	       n->shootdowns, n->shootdown_cpus, n->shootdown_mms);
}

static void json_row(const struct unit_row *row)
{
	printf("{\"unit\":%llu,", row->unit);
	if (row->listed) {
		printf("\"tables\":%llu,\"views\":%llu,\"links\":%llu,\"inode\":%llu,\"file\":",
		       row->tables, row->views, row->links, row->inode);
		json_string(stdout, row->file);
		putchar(',');
	}
	json_counts(&row->n);
	putchar('}');
}

static void json_causes(const char *key, const struct cause_names *names,
			const __u64 *by_cause)
{
	const char *comma = "";
	int cause;

	printf(",\"%s\":{", key);
	for (cause = 0; cause < UNIT_CAUSES; cause++) {
		if (!by_cause[cause])
			continue;
		printf("%s\"%s\":%llu", comma, names->name[cause],
		       by_cause[cause]);
		comma = ",";
	}
	putchar('}');
}

static void print_json(const void *session, const struct report *r)
{
	const struct session *s = session;
	const struct shown *shown = &s->shown;
	size_t i, rows = report_json_rows(r, shown->rows.count);

	report_json_begin(r, shown->totals.lost);
	if (shown->listed)
		printf("\"units\":%llu,\"tables\":%llu,\"views\":%llu,\"links\":%llu,",
		       shown->units, shown->tables, shown->views, shown->links);
	printf("\"totals\":{");
	json_counts(&shown->totals.all);
	printf(",\"shootdown_batches\":%llu", shown->totals.batches);
	json_causes("left_by_cause", &s->leave, shown->totals.leaves_by_cause);
	json_causes("retired_by_cause", &s->retire,
		    shown->totals.retired_by_cause);
	printf("},\"rows\":[");
	for (i = 0; i < rows; i++) {
		if (i)
			putchar(',');
		json_row(&shown->rows.rows[i]);
	}
	printf("],\"rows_left_out\":%zu}\n", shown->rows.count - rows);
}

/* Text */

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

static void text_rows(const struct session *s, const struct report *r,
		      size_t rows)
{
	struct screen *screen = r->screen;
	const char *per = report_per(r);
	char faults[16], links[16], unlinks[16], shoot[16];
	int width = REPORT_WIDTH - FILE_COLUMN;
	const struct unit_row *row;
	char file[512], cpus[32];
	size_t i;

	if (screen->live && screen->width > REPORT_WIDTH)
		width = screen->width - FILE_COLUMN;
	if (width > (int)sizeof(file) / 4)
		width = sizeof(file) / 4;
	snprintf(faults, sizeof(faults), "FAULTS%s", per);
	snprintf(links, sizeof(links), "LINK%s", per);
	snprintf(unlinks, sizeof(unlinks), "UNLINK%s", per);
	snprintf(shoot, sizeof(shoot), "SHOOT%s", per);
	screen_line(screen, true, "%6s %7s %8s %9s %8s %8s %8s %5s %s", "UNIT",
		    "TABLES", "LINKS", faults, links, unlinks, shoot, "CPUS",
		    "FILE");
	for (i = 0; i < rows; i++) {
		row = &s->shown.rows.rows[i];
		short_name(file, sizeof(file), row, s->shown.listed, width);
		mean_cpus(cpus, sizeof(cpus), &row->n);
		screen_line(screen, false,
			    "%6llu %7s %8s %9s %8s %8s %8s %5s %s", row->unit,
			    amount(row->listed, row->tables, 7),
			    amount(row->listed, row->links, 8),
			    report_number(r, row->n.faults, 9),
			    report_number(r, row->n.links, 8),
			    report_number(r, row->n.unlinks, 8),
			    report_number(r, row->n.shootdowns, 8), cpus, file);
	}
}

static void text_causes(const struct report *r, const char *what,
			const struct cause_names *names, const __u64 *by_cause)
{
	char line[256];
	int cause, start, used;

	start = used =
		snprintf(line, sizeof(line), "%s%s:", what, report_per(r));
	for (cause = 0; cause < UNIT_CAUSES; cause++)
		if (by_cause[cause] && used < REPORT_WIDTH - CAUSE_LEN - 10)
			used += snprintf(line + used, sizeof(line) - used,
					 " %s %s", names->name[cause],
					 report_number(r, by_cause[cause], 8));
	if (used > start)
		screen_line(r->screen, false, "%s", line);
}

static void print_text(const void *session, const struct report *r)
{
	const struct session *s = session;
	const struct shown *shown = &s->shown;
	const struct unit_counts *n = &shown->totals.all;
	struct screen *screen = r->screen;
	const char *per = report_per(r);
	char cpus[32];
	size_t rows;

	mean_cpus(cpus, sizeof(cpus), n);
	screen_line(screen, !r->summary,
		    "%sunits %s, tables %s, views %s, links %s; lost %llu",
		    report_time(r), amount(shown->listed, shown->units, 9),
		    amount(shown->listed, shown->tables, 9),
		    amount(shown->listed, shown->views, 9),
		    amount(shown->listed, shown->links, 9), shown->totals.lost);
	screen_line(
		screen, false,
		"faults%s %s, link %s, unlink %s, leave %s, shootdown %s of %s CPUs",
		per, report_number(r, n->faults, 6),
		report_number(r, n->links, 6), report_number(r, n->unlinks, 6),
		report_number(r, n->leaves, 6),
		report_number(r, n->shootdowns, 6), cpus);
	if (shown->totals.batches)
		screen_line(screen, false,
			    "shootdowns that concerned several units: %s%s",
			    report_number(r, shown->totals.batches, 9), per);
	report_missed(r);
	if (n->parents)
		screen_line(screen, false, "links of a GiB%s %s", per,
			    report_number(r, n->parents, 6));
	text_causes(r, "left", &s->leave, shown->totals.leaves_by_cause);
	text_causes(r, "retired", &s->retire, shown->totals.retired_by_cause);
	rows = report_rows(r, shown->rows.count, 0);
	if (shown->rows.count)
		text_rows(s, r, rows);
	report_left_out(r, 6, shown->rows.count - rows);
}

/* Loading */

/* The kernel's own words for the causes, from its type data. */
static void name_causes(struct cause_names *names, const struct btf *btf,
			const char *enumeration, const char *prefix)
{
	const struct btf_type *type;
	const struct btf_enum *value;
	const char *name;
	int i, id, n;
	char *c;

	for (i = 0; i < UNIT_CAUSES; i++)
		snprintf(names->name[i], CAUSE_LEN, "cause_%d", i);
	id = btf__find_by_name_kind(btf, enumeration, BTF_KIND_ENUM);
	if (id < 0)
		return;
	type = btf__type_by_id(btf, id);
	value = btf_enum(type);
	for (i = 0, n = btf_vlen(type); i < n; i++, value++) {
		name = btf__name_by_offset(btf, value->name_off);
		if (value->val < 0 || value->val >= UNIT_CAUSES || !name ||
		    strncmp(name, prefix, strlen(prefix)))
			continue;
		snprintf(names->name[value->val], CAUSE_LEN, "%s",
			 name + strlen(prefix));
		for (c = names->name[value->val]; *c; c++)
			*c = tolower((unsigned char)*c);
	}
}

static int check_kernel(void *session, const struct btf *btf)
{
	struct session *s = session;
	const char *missing = kernel_lacks_scome(btf);

	if (missing)
		return fail(
			EXIT_FEATURE,
			"kernel %s has no tracepoint %s: it needs CONFIG_SCOME and the patches of the series",
			kernel_release(), missing);
	name_causes(&s->leave, btf, "scome_cause", "SCOME_LEAVE_");
	name_causes(&s->retire, btf, "scome_retire_cause", "SCOME_RETIRED_");
	return EXIT_OK;
}

static int open_program(void *session, const struct watch_options *opt,
			struct bpf_object_skeleton **skeleton)
{
	struct session *s = session;

	s->skel = units_bpf__open();
	if (!s->skel)
		return fail(EXIT_FAIL, "cannot open the program: %s",
			    strerror(errno));
	*skeleton = s->skel->skeleton;
	s->skel->rodata->filter_on = s->opt.one;
	s->skel->rodata->filter_unit = s->opt.unit;
	bpf_map__set_max_entries(s->skel->maps.units, opt->entries);
	return EXIT_OK;
}

static void print_filters(const void *session)
{
	const struct options *opt = &((const struct session *)session)->opt;

	if (opt->one)
		printf("filter  unit %llu\n", opt->unit);
}

static void close_session(void *session)
{
	struct session *s = session;

	units_bpf__destroy(s->skel);
	table_free(&s->then.units);
	table_free(&s->now.units);
	table_free(&s->shown.rows);
}

static const struct watch_verb verb = {
	.pin_dir = MMSCOPE_PIN_ROOT "/units",
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

int units_main(int argc, char **argv)
{
	struct session s = { .opt.watch = WATCH_DEFAULTS };

	argp_parse(&parser, argc, argv, 0, NULL, &s.opt);
	return watch_main(&verb, &s, &s.opt.watch);
}
