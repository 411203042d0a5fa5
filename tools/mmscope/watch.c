// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kernel.h"
#include "loop.h"
#include "message.h"
#include "pins.h"
#include "ticker.h"
#include "watch.h"

/**
 * struct watch - a verb while it runs
 * @skeleton: NULL until it is open
 * @start_ns: when the programs were attached
 * @then_ns: when the reading before this one was taken
 * @then_missed: and how many events had been missed
 */
struct watch {
	const struct watch_verb *verb;
	const struct watch_options *opt;
	void *session;
	struct bpf_object_skeleton *skeleton;
	struct pins pins;
	struct loop loop;
	struct report report;
	__u64 start_ns;
	__u64 then_ns;
	__u64 then_missed;
};

static __u64 clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static struct bpf_object *object(const struct watch *w)
{
	return *w->skeleton->obj;
}

/* Reports */

/* Events that met a program already running. */
static __u64 missed_events(struct bpf_object *obj)
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

static int show(void *arg)
{
	struct watch *w = arg;
	bool shown;

	if (w->opt->json) {
		w->verb->json(w->session, &w->report);
		shown = report_flush();
	} else {
		report_begin(&w->report);
		w->verb->text(w->session, &w->report);
		shown = report_end(&w->report);
	}
	return shown ? EXIT_OK : LOOP_BROKEN;
}

static int take_report(struct watch *w, bool whole)
{
	__u64 now_ns = clock_ns(), missed;
	int err = w->verb->read(w->session, whole);

	if (err)
		return err;
	missed = missed_events(object(w));
	w->report.summary = whole;
	w->report.seconds = (now_ns - (whole ? w->start_ns : w->then_ns)) / 1e9;
	w->report.missed = missed - (whole ? 0 : w->then_missed);
	w->then_ns = now_ns;
	w->then_missed = missed;
	if (!w->verb->collect(w->session, whole))
		return fail(EXIT_FAIL, "no memory for the report");
	return show(w);
}

static int report_interval(void *arg)
{
	struct watch *w = arg;
	int err = take_report(w, false);

	if (!err)
		w->verb->keep(w->session);
	return err;
}

static int report_whole(void *arg)
{
	struct watch *w = arg;

	/* Nothing grows any more: rows and sums are of the same moment. */
	bpf_object__detach_skeleton(w->skeleton);
	return take_report(w, true);
}

/* Loading */

static int print_libbpf(enum libbpf_print_level level, const char *fmt,
			va_list args)
{
	if (level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, args);
}

static int check_kernel(struct watch *w)
{
	struct btf *btf = kernel_btf();
	int err;

	if (!btf)
		return fail(
			EXIT_FEATURE,
			"kernel %s offers no type information: it needs CONFIG_DEBUG_INFO_BTF",
			kernel_release());
	err = w->verb->check(w->session, btf);
	btf__free(btf);
	return err;
}

/* A map that comes to be, and is not libbpf's own. */
static bool is_ours(const struct bpf_map *map)
{
	return bpf_map__autocreate(map) && !bpf_map__is_internal(map);
}

static int dry_run(const struct watch *w)
{
	const struct watch_options *opt = w->opt;
	struct bpf_program *prog;
	struct bpf_map *map;

	bpf_object__for_each_program(prog, object(w))
		printf("program %-18s %-25s %s\n", bpf_program__name(prog),
		       bpf_program__section_name(prog),
		       bpf_program__autoload(prog) ?
			       "would be loaded" :
			       "left out: not in this kernel");
	bpf_object__for_each_map(map, object(w)) {
		if (!is_ours(map))
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
	w->verb->dry_run(w->session);
	if (!report_flush())
		return fail(EXIT_FAIL, "cannot write: %s", strerror(errno));
	return EXIT_OK;
}

static int load(struct watch *w)
{
	int err = bpf_object__load_skeleton(w->skeleton);

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

static int pin(struct watch *w)
{
	struct bpf_map *map;
	int err = EXIT_OK;

	if (!w->opt->pin)
		return EXIT_OK;
	bpf_object__for_each_map(map, object(w))
		if (!err && is_ours(map))
			err = pins_add(&w->pins, map);
	return err;
}

static int attach(struct watch *w)
{
	int err = bpf_object__attach_skeleton(w->skeleton);

	if (err)
		return fail(EXIT_FAIL, "cannot attach the program: %s",
			    strerror(-err));
	w->start_ns = clock_ns();
	w->then_ns = w->start_ns;
	return EXIT_OK;
}

static int run(struct watch *w)
{
	const struct watch_options *opt = w->opt;
	int err = check_kernel(w);

	if (!err && !opt->dry_run && !may_trace())
		err = fail(
			EXIT_PRIVILEGE,
			"no privilege to trace: run it as root, or with CAP_BPF and CAP_PERFMON");
	if (!err)
		err = w->verb->open(w->session, opt, &w->skeleton);
	if (!err && opt->dry_run)
		return dry_run(w);
	if (!err && opt->pin)
		err = pins_open(&w->pins, opt->pin_dir, opt->keep);
	if (!err)
		err = load(w);
	if (!err)
		err = pin(w);
	if (!err)
		err = attach(w);
	return err ? err : loop_run(&w->loop);
}

int watch_main(const struct watch_verb *verb, void *session,
	       struct watch_options *opt)
{
	struct watch w = {
		.verb = verb,
		.opt = opt,
		.session = session,
		.pins.fd = -1,
		.loop = {
			.interval = opt->interval,
			.count = opt->count,
			.lines = opt->json,
			.report = report_interval,
			.redraw = show,
			.summary = report_whole,
			.arg = &w,
		},
		.report = {
			.opt = opt,
			.screen = &w.loop.screen,
		},
	};
	int err;

	if (!opt->pin_dir)
		opt->pin_dir = verb->pin_dir;
	if (opt->json)
		message_json();
	libbpf_set_print(opt->verbose ? print_libbpf : NULL);
	ticker_block();
	err = run(&w);
	/* The pins know the maps by names that belong to the skeleton. */
	pins_close(&w.pins);
	verb->close(session);
	return err;
}
