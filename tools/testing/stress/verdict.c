// SPDX-License-Identifier: GPL-2.0
/* What must hold in the end: one TAP line for each property, and what ran. */
#include <stdarg.h>
#include <sys/shm.h>

#include "stress.h"

#define SYSFS "/sys/kernel/mm/scome/"
/* how long memory may take to come back: workers of the kernel free some of it */
#define SOON_MS 30000
/* pages that others on this machine may have in memory files */
#define SHMEM_SLACK_KB 512
/* in so many seconds each operation is done, in fewer most are */
#define LONG_SECONDS 200
/* and most of them if there are so many of each: a busy machine comes to fewer */
#define MANY 4

static unsigned int tests;
static bool all_good = true;

static void tell(bool good, const char *format, ...)
{
	va_list arguments;

	all_good &= good;
	printf("%s %u - stress: ", good ? "ok" : "not ok", ++tests);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

static int64_t shmem_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	int64_t value = -1;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "Shmem: %ld", &value);
	if (file)
		fclose(file);
	return value;
}

void baseline_take(struct baseline *baseline)
{
	baseline->units = read_number(SYSFS "units");
	baseline->links = read_number(SYSFS "links");
	baseline->tables = read_number(SYSFS "tables");
	baseline->views = read_number(SYSFS "views");
	baseline->shmem = shmem_kb();
}

static char *map_again(const struct file *file)
{
	char *map;

	if (file->kind == SYSV)
		return shmat(file->shmid, NULL, SHM_RDONLY);
	map = mmap(NULL, file->max_pages * PAGE, PROT_READ, MAP_SHARED,
		   file->fd, 0);
	return map;
}

/* the words of a page that are not as the model has them */
static unsigned int wrong_words(unsigned int number, size_t page,
				const char *contents, const char *how)
{
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < control->workers; i++) {
		struct word *word = model_word(number, page, i);
		uint64_t seen;

		memcpy(&seen, contents + word_at(i), sizeof(seen));
		if (seen == word->last || seen == word->next)
			continue;
		wrong++;
		printf("# FAIL final: %s page %zu %s: the word of worker %u is %#lx, must be %#lx or %#lx\n",
		       control->file[number].name, page, how, i, seen,
		       word->last, word->next);
	}
	return wrong;
}

static unsigned int final_file(unsigned int number, uint64_t *stored)
{
	const struct file *file = &control->file[number];
	char *map = map_again(file), contents[PAGE];
	unsigned int wrong = 0;

	if (map == MAP_FAILED) {
		printf("# FAIL final: %s cannot be mapped: %s\n", file->name,
		       strerror(errno));
		return 1;
	}
	for (size_t page = 0; page < file->pages && wrong < 20; page++) {
		if (file_page_slot(file, page) < 0)
			continue;
		for (unsigned int i = 0; i < control->workers; i++)
			*stored += model_word(number, page, i)->last != 0;
		wrong += wrong_words(number, page, map + page * PAGE, "mapped");
		if (pread(file->fd, contents, PAGE, page * PAGE) !=
		    (ssize_t)PAGE) {
			printf("# FAIL final: %s page %zu cannot be read: %s\n",
			       file->name, page, strerror(errno));
			wrong++;
			continue;
		}
		wrong += wrong_words(number, page, contents, "read");
	}
	if (file->kind == SYSV)
		shmdt(map);
	else
		munmap(map, file->max_pages * PAGE);
	return wrong;
}

static void final_contents(void)
{
	unsigned int wrong = 0;
	uint64_t stored = 0;

	for (unsigned int i = 0; i < control->files; i++)
		wrong += final_file(i, &stored);
	tell(!wrong && stored,
	     "in the end mapping and read() show what was stored: %lu words",
	     stored);
}

static bool units_are_gone(const struct baseline *before)
{
	struct baseline after;

	for (unsigned int ms = 0; ms < SOON_MS; ms += 50) {
		baseline_take(&after);
		if (after.units <= before->units &&
		    after.links <= before->links &&
		    after.tables <= before->tables &&
		    after.views <= before->views)
			return true;
		usleep(50000);
	}
	printf("# FAIL final: before %ld units %ld links %ld tables %ld views, now %ld, %ld, %ld, %ld\n",
	       before->units, before->links, before->tables, before->views,
	       after.units, after.links, after.tables, after.views);
	return false;
}

static bool memory_is_back(const struct baseline *before)
{
	int64_t now = 0;

	for (unsigned int ms = 0; ms < SOON_MS; ms += 50) {
		now = shmem_kb();
		if (now <= before->shmem + SHMEM_SLACK_KB)
			return true;
		usleep(50000);
	}
	printf("# FAIL final: Shmem was %ld kB and is %ld kB\n", before->shmem,
	       now);
	return false;
}

/* does this kernel, on this processor, have what it takes? */
static bool is_possible(const char *name)
{
	if (!strncmp(name, "retire", 6))
		return control->have_scome;
	return strncmp(name, "pkey_", 5) || control->have_keys;
}

/*
 * What ran how often and ended how; the number of operations that never ran, with
 * `enough` of those that never succeeded.
 */
static unsigned int table(double seconds, bool enough, uint64_t *all)
{
	uint64_t accesses = 0, signals = 0;
	unsigned int missing = 0;

	printf("# %-22s %8s %9s  ended with\n", "operation", "ran", "seconds");
	for (unsigned int i = 0; i < operation_count; i++) {
		uint64_t ended[MAX_ERRNO] = { 0 }, ran = 0;
		double took = 0;

		if (!control->enabled[i])
			continue;
		for (unsigned int j = 0; j < MAX_ERRNO; j++) {
			for (unsigned int w = 0; w < control->workers; w++)
				ended[j] += control->slot[w].ended[i][j];
			ran += j == NOTHING_TO_DO ? 0 : ended[j];
		}
		for (unsigned int w = 0; w < control->workers; w++)
			took += control->slot[w].took[i];
		printf("# %-22s %8lu %9.1f ", operation[i].name, ran, took);
		for (unsigned int j = 0; j < NOTHING_TO_DO; j++)
			if (ended[j])
				printf(" %s %lu",
				       j ? strerrorname_np(j) : "success",
				       ended[j]);
		if (ended[NOTHING_TO_DO])
			printf(" (nothing to do %lu)", ended[NOTHING_TO_DO]);
		putchar('\n');
		/* in a long run one that only fails says nothing */
		if (is_possible(operation[i].name))
			missing += enough ? !ended[0] : !ran;
		*all += ran;
	}
	for (unsigned int w = 0; w < control->workers; w++) {
		accesses += control->slot[w].accesses;
		signals += control->slot[w].signals;
	}
	printf("# %lu operations in %.0f s (%.0f a second); %lu accesses, %lu of them raised a signal\n",
	       *all, seconds, *all / seconds, accesses, signals);
	printf("# %ld workers were killed, %ld started again; at most %ld links, %ld tables, %ld views\n",
	       kills, restarts, most_links, most_tables, most_views);
	return missing;
}

int verdict(const struct baseline *before, double seconds)
{
	bool scome = control->have_scome, unsaid;
	unsigned int missing, found = 0;
	/* what was asked for: workers that are slow to end do nothing more */
	bool enough = control->seconds >= LONG_SECONDS;
	uint64_t all = 0;

	missing = table(seconds, enough, &all);

	for (unsigned int i = 0; i < 8; i++)
		found += control->failures[i];
	/* a worker that could not say why */
	unsaid = died && !found;
	tell(!control->failures[CONTENTS],
	     "every word read was one that the model allows");
	tell(!control->failures[ACCESS],
	     "every access did what the permission of its page says");
	tell(!control->failures[CALLS], "every call ended as it may");
	tell(!control->failures[PROCESSES] && !unsaid,
	     "no process ended but as it was told to");
	tell(!hung, "no process stood still");
	tell(enough			   ? !missing :
	     all >= MANY * operation_count ? missing <= operation_count / 5 :
					     all > 0,
	     "%s operation was done", enough ? "every" : "nearly every");
	if (scome)
		tell(most_links && most_tables && (most_views || !enough),
		     "files were linked");
	final_contents();
	if (scome) {
		write_text(SYSFS "retire", "immediate");
		write_text(SYSFS "retire_delay_ms", "0");
		write_text(SYSFS "retire_kept", "1");
		tell(units_are_gone(before),
		     "no unit, link, table or view is left");
	}
	own_files_remove();
	files_destroy();
	control_detach();
	tell(memory_is_back(before), "the memory is back");
	printf("1..%u\n", tests);
	return all_good ? 0 : 1;
}
