// SPDX-License-Identifier: GPL-2.0
#include <argp.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mmscope.h"

const char *argp_program_version = MMSCOPE_VERSION;

static const struct verb verbs[] = {
	{ "faults", "page faults by process and kind, live", faults_main },
	{ "units", "units of shared leaf tables: links, faults, shootdowns",
	  units_main },
	{ "doctor", "what mmscope needs here, and what to do about it",
	  doctor_main },
};

static void list_verbs(FILE *out)
{
	size_t i;

	fputs("The verbs are:\n", out);
	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
}

static char *help_filter(int key, const char *text, void *input)
{
	(void)input;
	if (key == ARGP_KEY_HELP_POST_DOC) {
		char *list = NULL;
		size_t size;
		FILE *out = open_memstream(&list, &size);

		if (!out)
			return (char *)text;
		list_verbs(out);
		fputs("\n`mmscope VERB --help' tells more about a verb.", out);
		fclose(out);
		return list;
	}
	return (char *)text;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	int *verb = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG:
		*verb = state->next - 1;
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = {
	.parser = parse_option,
	.args_doc = "VERB [OPTION...]",
	.doc = "Watch what the memory management does, through its tracepoints.\v ",
	.help_filter = help_filter,
};

int main(int argc, char **argv)
{
	char name[64];
	int verb = 0;
	size_t i;

	setlocale(LC_CTYPE, "");
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &verb);
	if (!verb) {
		fprintf(stderr, "mmscope: a verb is missing\n");
		list_verbs(stderr);
		return EXIT_USAGE;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(argv[verb], verbs[i].name))
			continue;
		/* getopt and argp take the name from argv[0]. */
		snprintf(name, sizeof(name), "mmscope %s", verbs[i].name);
		argv[verb] = name;
		program_invocation_name = name;
		program_invocation_short_name = name;
		return verbs[i].run(argc - verb, argv + verb);
	}
	fprintf(stderr, "mmscope: there is no verb '%s'\n", argv[verb]);
	list_verbs(stderr);
	return EXIT_USAGE;
}
