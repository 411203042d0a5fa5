// SPDX-License-Identifier: GPL-2.0
/*
 * mmscope doctor: everything that must be there for the other verbs, each with
 * what to do when it is not.
 */
#include <argp.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "faults.skel.h"
#include "json.h"
#include "kernel.h"
#include "message.h"

struct check {
	const char *name;
	const char *remedy;
	enum mmscope_exit severity; /* EXIT_OK: nice to have */
	bool ok;
	char found[160];
};

static bool as_json;

static const struct argp_option option_table[] = {
	{ "json", 'j', NULL, 0, "One JSON object a line", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'j':
		as_json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "too many arguments at '%s'", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = {
	.options = option_table,
	.parser = parse_option,
	.doc = "Look for everything that the other verbs need, and tell what to do where it is missing."
	       "\v"
	       "Exit status: 0 all there, 1 something is missing, 2 wrong use, 3 no privilege, 4 the kernel lacks a feature.",
};

static void check_btf(struct check *c, const struct btf *btf)
{
	c->ok = btf;
	snprintf(c->found, sizeof(c->found), "kernel %s, %s", kernel_release(),
		 btf ? "/sys/kernel/btf/vmlinux" : "none");
}

static void check_tracepoint(struct check *c, const struct btf *btf)
{
	c->ok = btf && kernel_has_tracepoint(btf, "mm_fault_done");
	snprintf(c->found, sizeof(c->found), "mm_fault_done %s",
		 c->ok ? "present" : "absent");
}

static void check_scome(struct check *c, const struct btf *btf)
{
	size_t i, n = 0;

	for (i = 0; scome_tracepoints[i]; i++)
		n += btf && kernel_has_tracepoint(btf, scome_tracepoints[i]);
	c->ok = n == i;
	snprintf(c->found, sizeof(c->found), "%zu of %zu present", n, i);
}

static void check_privilege(struct check *c)
{
	c->ok = may_trace();
	snprintf(c->found, sizeof(c->found),
		 "uid %u, CAP_BPF %s, CAP_PERFMON %s, CAP_SYS_ADMIN %s",
		 geteuid(), have_capability(CAP_BPF) ? "yes" : "no",
		 have_capability(CAP_PERFMON) ? "yes" : "no",
		 have_capability(CAP_SYS_ADMIN) ? "yes" : "no");
}

/* The real program where it can be loaded, otherwise a trivial one. */
static void check_load(struct check *c, const struct btf *btf)
{
	struct bpf_program *prog;
	struct faults_bpf *skel;
	int err;

	if (!btf || !kernel_has_tracepoint(btf, "mm_fault_done")) {
		err = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_RAW_TRACEPOINT,
						 NULL);
		c->ok = err == 1;
		snprintf(c->found, sizeof(c->found), "a trivial one %s",
			 c->ok ? "was accepted" : "was refused");
		return;
	}
	skel = faults_bpf__open();
	err = skel ? 0 : -errno;
	if (skel) {
		bpf_object__for_each_program(prog, skel->obj)
			bpf_program__set_autoload(
				prog, prog == skel->progs.mm_fault_done);
		err = faults_bpf__load(skel);
	}
	faults_bpf__destroy(skel);
	c->ok = !err;
	snprintf(c->found, sizeof(c->found), "that of faults: %s",
		 err ? strerror(-err) : "accepted");
}

static void check_bpffs(struct check *c)
{
	c->ok = is_bpffs("/sys/fs/bpf") && !access("/sys/fs/bpf", W_OK);
	snprintf(c->found, sizeof(c->found), "/sys/fs/bpf %s",
		 !is_bpffs("/sys/fs/bpf") ? "is not mounted" :
		 c->ok			  ? "is mounted and writable" :
					    "is mounted, not writable");
}

static void check_unit_list(struct check *c)
{
	const char *list = "/sys/kernel/debug/scome/units";

	c->ok = !access(list, R_OK);
	snprintf(c->found, sizeof(c->found), "%s %s", list,
		 c->ok ? "is readable" : strerror(errno));
}

static void check_jit(struct check *c)
{
	char text[16] = "";
	FILE *f = fopen("/proc/sys/net/core/bpf_jit_enable", "re");

	if (f) {
		if (!fgets(text, sizeof(text), f))
			*text = '\0';
		fclose(f);
	}
	text[strcspn(text, "\n")] = '\0';
	/* A kernel that always compiles may hide the switch. */
	c->ok = strcmp(text, "0");
	snprintf(c->found, sizeof(c->found), "bpf_jit_enable is %s",
		 *text ? text : "not readable");
}

static void check_namespace(struct check *c)
{
	c->ok = initial_pid_namespace();
	snprintf(c->found, sizeof(c->found), "%s",
		 c->ok ? "the initial one" : "another one");
}

static bool print_check(const struct check *c)
{
	const char *word = c->ok ? "ok" : c->severity ? "missing" : "note";

	if (as_json) {
		printf("{\"check\":");
		json_string(stdout, c->name);
		printf(",\"status\":\"%s\",\"found\":", word);
		json_string(stdout, c->found);
		if (!c->ok) {
			printf(",\"remedy\":");
			json_string(stdout, c->remedy);
		}
		puts("}");
	} else {
		printf("%-8s%-16s %s\n", word, c->name, c->found);
		if (!c->ok)
			printf("%-8s%-16s %s\n", "", "what to do:", c->remedy);
	}
	return !fflush(stdout) && !ferror(stdout);
}

int doctor_main(int argc, char **argv)
{
	struct check checks[] = {
		{ "type data",
		  "build the kernel with CONFIG_DEBUG_INFO_BTF=y (make kernel)",
		  EXIT_FEATURE, false, "" },
		{ "tracepoint", "boot a kernel built with the series (make vm)",
		  EXIT_FEATURE, false, "" },
		{ "scome",
		  "optional: boot a kernel with CONFIG_SCOME=y (make vm)",
		  EXIT_OK, false, "" },
		{ "privilege", "run as root, or with CAP_BPF and CAP_PERFMON",
		  EXIT_PRIVILEGE, false, "" },
		{ "tracing program",
		  "with the privilege above: CONFIG_BPF_SYSCALL=y, CONFIG_BPF_EVENTS=y, no lockdown=confidentiality",
		  EXIT_FAIL, false, "" },
		{ "pinning", "mount -t bpf bpf /sys/fs/bpf, or use --no-pin",
		  EXIT_FAIL, false, "" },
		{ "list of units",
		  "optional: mount -t debugfs debugfs /sys/kernel/debug",
		  EXIT_OK, false, "" },
		{ "compiler",
		  "sysctl net.core.bpf_jit_enable=1 makes counting cheaper",
		  EXIT_OK, false, "" },
		{ "PID namespace",
		  "run it on the host: PIDs shown are those of the initial namespace",
		  EXIT_OK, false, "" },
	};
	enum mmscope_exit result = EXIT_OK;
	struct btf *btf;
	size_t i;

	argp_parse(&parser, argc, argv, 0, NULL, NULL);
	if (as_json)
		message_json();
	libbpf_set_print(NULL);
	btf = kernel_btf();
	check_btf(&checks[0], btf);
	check_tracepoint(&checks[1], btf);
	check_scome(&checks[2], btf);
	check_privilege(&checks[3]);
	check_load(&checks[4], btf);
	check_bpffs(&checks[5]);
	check_unit_list(&checks[6]);
	check_jit(&checks[7]);
	check_namespace(&checks[8]);
	btf__free(btf);
	for (i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		/* The privilege explains what fails after it. */
		if (!checks[i].ok && !result)
			result = checks[i].severity;
		if (!print_check(&checks[i]))
			return errno == EPIPE ?
				       EXIT_OK :
				       fail(EXIT_FAIL, "cannot write: %s",
					    strerror(errno));
	}
	return result;
}
