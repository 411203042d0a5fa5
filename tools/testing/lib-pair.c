// SPDX-License-Identifier: GPL-2.0
/* Scenarios that run twice: the runner and its records. */
#include "pair.h"

#define MOST_RECORDS 400

enum kind {
	RECORD_VALUE,
	RECORD_LINKS,
	RECORD_SKIP,
};

struct record {
	enum kind kind;
	bool absolute;
	int64_t value;
	int64_t wanted;
	char name[64];
	char text[80];
	char wanted_text[80];
};

struct log {
	unsigned int count;
	bool broken;
	struct record records[MOST_RECORDS];
};

static struct record *record(struct side *side, enum kind kind,
			     const char *name)
{
	struct record *record;

	if (side->log->count == MOST_RECORDS)
		broken(__FILE__, __LINE__, "too many records");
	record = &side->log->records[side->log->count];
	memset(record, 0, sizeof(*record));
	record->kind = kind;
	snprintf(record->name, sizeof(record->name), "%s", name);
	/* children record too, one at a time; a record counts once it is whole */
	side->log->count++;
	return record;
}

void see(struct side *side, const char *name, int64_t value)
{
	record(side, RECORD_VALUE, name)->value = value;
}

void must(struct side *side, const char *name, int64_t value, int64_t wanted)
{
	struct record *made = record(side, RECORD_VALUE, name);

	made->value = value;
	made->wanted = wanted;
	made->absolute = true;
}

void must_in_memory(struct side *side, const char *name, int64_t value,
		    int64_t wanted)
{
	if (files_on_disk())
		see(side, name, value);
	else
		must(side, name, value, wanted);
}

void skip(struct side *side, const char *name, const char *reason)
{
	snprintf(record(side, RECORD_SKIP, name)->text, 80, "%s", reason);
}

/* '1' for every 2 MiB from base that this process has linked */
static void linked_now(const void *base, char *text, size_t ranges)
{
	FILE *self = fopen("/sys/kernel/debug/scome/self", "re");
	uintptr_t start, end;

	memset(text, '0', ranges);
	text[ranges] = '\0';
	if (!self) {
		memset(text, 'x', ranges);
		return;
	}
	while (fscanf(self, "%lx-%lx%*[^\n]", &start, &end) == 2) {
		for (size_t i = 0; i < ranges; i++) {
			uintptr_t at = (uintptr_t)base + i * RANGE;

			if (at >= start && at + RANGE <= end)
				text[i] = '1';
		}
	}
	fclose(self);
}

static bool links_agree(const char *have, const char *wanted)
{
	for (; *wanted; have++, wanted++)
		if (*wanted != '?' && *have != *wanted)
			return false;
	return true;
}

bool is_linked(const void *base)
{
	char text[2];

	linked_now(base, text, 1);
	return text[0] == '1';
}

bool links_are(struct side *side, const void *base, const char *wanted)
{
	char have[80];
	size_t ranges = strlen(wanted);

	NEED(ranges < sizeof(have));
	if (!side->linked)
		return true;
	linked_now(base, have, ranges);
	return links_agree(have, wanted);
}

void links(struct side *side, const char *name, const void *base,
	   const char *wanted)
{
	struct record *made = record(side, RECORD_LINKS, name);
	size_t ranges = strlen(wanted);

	NEED(ranges < sizeof(made->text));
	if (side->linked)
		linked_now(base, made->text, ranges);
	strcpy(made->wanted_text, wanted);
}

void relinks(struct side *side, const char *name, const void *base,
	     const char *wanted)
{
	size_t size = strlen(wanted) * RANGE;

	for (size_t at = 0; at < size; at += PAGE) {
		/* what raises a signal once raises it for the rest of its range, mostly */
		if (try_read((const char *)base + at) && at % RANGE == 0)
			at += RANGE / 2 - PAGE;
	}
	links(side, name, base, wanted);
}

void broken(const char *file, int line, const char *what)
{
	printf("# %s:%d: cannot be prepared: %s (%s)\n", file, line, what,
	       strerror(errno));
	fflush(stdout);
	_exit(99);
}

static void side_of(struct log *log, bool linked, scenario_fn *run)
{
	struct side side = { .linked = linked, .log = log };
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		broken(__FILE__, __LINE__, "fork");
	if (!pid) {
		run(&side);
		fflush(stdout);
		_exit(0);
	}
	status = wait_status(pid);
	/* a side that dies has shown something too */
	must(&side, "end", status, 0);
}

/* NULL when the records agree, or what is wrong with them */
static const char *judge(const struct record *ordinary,
			 const struct record *linked, char *text, size_t size)
{
	if (ordinary && strcmp(ordinary->name, linked->name)) {
		snprintf(text, size,
			 "the ordinary side recorded '%s' %lld here",
			 ordinary->name, (long long)ordinary->value);
		return text;
	}
	if (linked->kind == RECORD_LINKS) {
		if (links_agree(linked->text, linked->wanted_text))
			return NULL;
		snprintf(text, size, "linked %s, expected %s", linked->text,
			 linked->wanted_text);
		return text;
	}
	if (linked->absolute && linked->value != linked->wanted) {
		snprintf(text, size, "linked side saw %lld, expected %lld",
			 (long long)linked->value, (long long)linked->wanted);
		return text;
	}
	if (!ordinary)
		return NULL;
	if (ordinary->absolute && ordinary->value != ordinary->wanted) {
		snprintf(text, size, "ordinary side saw %lld, expected %lld",
			 (long long)ordinary->value,
			 (long long)ordinary->wanted);
		return text;
	}
	if (ordinary->value != linked->value) {
		snprintf(text, size, "ordinary %lld, linked %lld",
			 (long long)ordinary->value, (long long)linked->value);
		return text;
	}
	return NULL;
}

bool pair_run(const char *name, const char *ids, enum sides sides,
	      scenario_fn *run)
{
	struct log *logs = mmap(NULL, 2 * sizeof(*logs), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* to try the scenarios themselves on a kernel without the feature */
	bool rehearsal = getenv("SCOME_REHEARSAL");
	struct log *ordinary, *linked;
	unsigned int most;
	bool good = true;
	char text[160];

	NEED(logs != MAP_FAILED);
	ordinary = sides == BOTH_SIDES ? &logs[0] : NULL;
	linked = &logs[1];
	if (ordinary)
		side_of(ordinary, false, run);
	if (!rehearsal)
		side_of(linked, true, run);
	else if (ordinary)
		side_of(linked, false, run);
	most = linked->count;
	if (ordinary && ordinary->count > most)
		most = ordinary->count;
	for (unsigned int i = 0; i < most; i++) {
		const struct record *left = NULL, *right = NULL;
		const char *wrong;

		if (ordinary && i < ordinary->count)
			left = &ordinary->records[i];
		if (i < linked->count)
			right = &linked->records[i];
		if (ordinary && (!left || !right)) {
			wrong = right ? "the ordinary side ended before this" :
					"the linked side ended before this";
		} else if (right->kind == RECORD_SKIP) {
			printf("# check %s.%s %s SKIP %s\n", name, right->name,
			       ids, right->text);
			continue;
		} else if (rehearsal && right->kind == RECORD_LINKS) {
			wrong = NULL;
		} else {
			wrong = judge(left, right, text, sizeof(text));
		}
		printf("# check %s.%s %s %s%s%s\n", name,
		       (right ? right : left)->name, ids, wrong ? "FAIL" : "ok",
		       wrong ? " " : "", wrong ? wrong : "");
		good &= !wrong;
	}
	fflush(stdout);
	munmap(logs, 2 * sizeof(*logs));
	return good;
}
