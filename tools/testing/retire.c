// SPDX-License-Identifier: GPL-2.0
/* How long the leaf tables of a file that nobody maps any more are kept. */
#include <dirent.h>
#include <sys/mount.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define SIZE_KIB ((int64_t)(SIZE / KIB))
#define TABLES (SIZE / RANGE)
#define SYSFS "/sys/kernel/mm/scome/"
/* far longer than a scenario takes, and the most one waits for what comes soon */
#define LONG_MS "600000"
#define SOON_MS 20000

static int64_t set(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), SYSFS "%s", name);
	return write_text(path, text);
}

/* the policy of the system; what was kept under another one is gone */
static void policy(const char *when, const char *delay_ms)
{
	NEED(!set("retire", "immediate") && !set("retire_delay_ms", "0"));
	NEED(!set("retire_kept", "1"));
	NEED(!scome_counter("kept"));
	NEED(!set("retire", when) && !set("retire_delay_ms", delay_ms));
}

static void say(char *text, size_t size, const char *name)
{
	char path[256];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), SYSFS "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	NEED(fd >= 0);
	got = read(fd, text, size - 1);
	NEED(got > 0);
	text[got - 1] = '\0';
	close(fd);
}

static bool says(const char *name, const char *wanted)
{
	char text[128];

	say(text, sizeof(text), name);
	return !strcmp(text, wanted);
}

/* whether so many units are kept before long */
static bool kept_becomes(int64_t wanted, unsigned int ms)
{
	for (; ms && scome_counter("kept") != wanted; ms -= 20)
		usleep(20000);
	return scome_counter("kept") == wanted;
}

static int maps_and_reads(void *context)
{
	struct side linked = { .linked = true };
	char *map = map_side(&linked, SIZE, RW, *(int *)context, 0);
	bool good = sum_all(map, SIZE) == stamp_sum(0, SIZE) && is_linked(map);

	munmap(map, SIZE);
	return good ? 0 : 1;
}

/* another process has mapped the file, read all of it, and gone */
static void used(int fd)
{
	NEED(in_child(maps_and_reads, &fd) == 0);
}

/* the only unit there is: the name of its directory */
static char *only_unit(void)
{
	static char name[64];
	DIR *directory = opendir(SYSFS "unit");
	struct dirent *entry;
	unsigned int units = 0;

	NEED(directory);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "unit/%.40s", entry->d_name);
		units++;
	}
	closedir(directory);
	NEED(units == 1);
	return name;
}

static const char *in_unit(const char *unit, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", unit, name);
	return path;
}

static bool has_units(void)
{
	DIR *directory = opendir(SYSFS "unit");
	struct dirent *entry;
	bool any = false;

	NEED(directory);
	while ((entry = readdir(directory)))
		any |= entry->d_name[0] != '.';
	closedir(directory);
	return any;
}

SCENARIO_LINKED(at_once_unless_asked, "SCM-8")
{
	int fd = stamped_file(SIZE);

	policy("immediate", "0");
	must(s, "retire", says("retire", "[immediate] idle pressure"), 1);
	must(s, "delay", says("retire_delay_ms", "0"), 1);
	used(fd);
	must(s, "units", scome_counter("units"), 0);
	must(s, "kept", scome_counter("kept"), 0);
	must(s, "directory", has_units(), 0);
}

SCENARIO_LINKED(bad_values, "SCM-8")
{
	policy("idle", "5000");
	must(s, "name", set("retire", "never"), -EINVAL);
	must(s, "system", set("retire", "system"), -EINVAL);
	must(s, "empty", set("retire", "\n"), -EINVAL);
	must(s, "negative", set("retire_delay_ms", "-1"), -EINVAL);
	must(s, "text", set("retire_delay_ms", "soon"), -EINVAL);
	must(s, "too_long", set("retire_delay_ms", "604800001"), -ERANGE);
	must(s, "overflow", set("retire_delay_ms", "99999999999"), -ERANGE);
	must(s, "faults", set("retire_idle_faults", "x"), -EINVAL);
	must(s, "kept_zero", set("retire_kept", "0"), -EINVAL);
	must(s, "unchanged", says("retire", "immediate [idle] pressure"), 1);
	must(s, "delay", says("retire_delay_ms", "5000"), 1);
	must(s, "longest", set("retire_delay_ms", "604800000"), 0);
	policy("immediate", "0");
}

static int nobody_writes(void *context)
{
	static const char *const names[] = { "retire", "retire_delay_ms",
					     "retire_idle_faults",
					     "retire_kept" };
	int refused = 0;

	(void)context;
	NEED(!setresuid(65534, 65534, 65534));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		refused += set(names[i], "1") == -EACCES;
	return refused;
}

SCENARIO_LINKED(only_root_decides, "SCM-8")
{
	must(s, "refused", in_child(nobody_writes, NULL), 4);
}

/* a file that is mapped again within the delay finds every table and entry */
SCENARIO_LINKED(kept_is_warm, "SCM-8")
{
	int fd = stamped_file(SIZE);
	int64_t faults, before;
	char *unit, *map;

	policy("immediate", LONG_MS);
	used(fd);
	must(s, "kept", scome_counter("kept"), 1);
	must(s, "units", scome_counter("units"), 1);
	must(s, "links", scome_counter("links"), 0);
	must(s, "tables", scome_counter("tables"), TABLES);
	unit = strdup(only_unit());
	NEED(unit);
	faults = scome_counter(in_unit(unit, "faults"));
	map = map_side(s, SIZE, RW, fd, 0);
	must(s, "kept_now", scome_counter("kept"), 0);
	must(s, "same_unit", !strcmp(only_unit(), unit), 1);
	before = minor_faults();
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	/* one fault links all that lies around; by itself it would take 128 */
	must(s, "few_faults", minor_faults() - before <= 16, 1);
	must(s, "none_passed_on", scome_counter(in_unit(unit, "faults")),
	     faults);
	must(s, "tables_now", scome_counter("tables"), TABLES);
	links(s, "ranges", map, "1111");
	munmap(map, SIZE);
	must(s, "kept_again", scome_counter("kept"), 1);
	policy("immediate", "0");
	must(s, "gone", scome_counter("units"), 0);
	must(s, "tables_gone", scome_counter("tables"), 0);
}

SCENARIO_LINKED(delay_ends, "SCM-8")
{
	int fd = stamped_file(SIZE);

	policy("immediate", "1500");
	used(fd);
	must(s, "kept", scome_counter("kept"), 1);
	must(s, "gone", kept_becomes(0, SOON_MS), 1);
	must(s, "units", scome_counter("units"), 0);
	policy("immediate", "0");
}

/* as long as it is kept it keeps the mount busy; whoever unmounts says so */
SCENARIO_LINKED(mount_is_busy, "SCM-8")
{
	char *directory = mounted("size=64m");
	int fd = file_in(directory, 0, SIZE);

	stamp_file(fd, SIZE);
	policy("pressure", "0");
	used(fd);
	close(fd);
	must(s, "kept", scome_counter("kept"), 1);
	must(s, "busy", err(umount(directory)), -EBUSY);
	must(s, "retire", set("retire_kept", "1"), 0);
	must(s, "umount", err(umount(directory)), 0);
	rmdir(directory);
	policy("immediate", "0");
}

/* nobody can map it again: it is not kept, and its memory comes back */
SCENARIO_LINKED(closed_is_not_kept, "SCM-8")
{
	/* the counter lags by some pages of each processor */
	int64_t most = SIZE_KIB - MIB / KIB;
	int fd = stamped_file(SIZE);
	int64_t shmem;

	policy("pressure", LONG_MS);
	used(fd);
	must(s, "kept_while_open", kept_becomes(0, 3000), 0);
	shmem = meminfo_kb("Shmem");
	close(fd);
	must(s, "gone", kept_becomes(0, SOON_MS), 1);
	for (int i = 0; i < 200 && shmem - meminfo_kb("Shmem") < most; i++)
		usleep(20000);
	must_in_memory(s, "memory", shmem - meminfo_kb("Shmem") >= most, 1);
	policy("immediate", "0");
}

/* its memory is back when munmap() returns, as it always was */
SCENARIO_LINKED(nameless_memory_is_not_kept, "SCM-8")
{
	int64_t shmem = meminfo_kb("Shmem");
	char *map;

	policy("pressure", LONG_MS);
	map = mmap(NULL, SIZE, RW, MAP_PT | MAP_ANONYMOUS, -1, 0);
	NEED(map != MAP_FAILED);
	stamp_all(map, SIZE);
	must(s, "linked", is_linked(map), 1);
	munmap(map, SIZE);
	must(s, "units", scome_counter("units"), 0);
	must(s, "memory", meminfo_kb("Shmem") - shmem < SIZE_KIB / 8, 1);
	policy("immediate", "0");
}

SCENARIO_LINKED(detached_mount_is_let_go, "SCM-8")
{
	char *directory = mounted("size=64m");
	int fd = file_in(directory, 0, SIZE);

	stamp_file(fd, SIZE);
	policy("pressure", LONG_MS);
	used(fd);
	close(fd);
	must(s, "kept", kept_becomes(0, 2500), 0);
	must(s, "detach", err(umount2(directory, MNT_DETACH)), 0);
	must(s, "gone", kept_becomes(0, SOON_MS), 1);
	rmdir(directory);
	policy("immediate", "0");
}

SCENARIO_LINKED(unlinked_is_not_kept, "SCM-8")
{
	char path[] = "/dev/shm/retireXXXXXX";
	int fd = mkstemp(path);

	NEED(fd >= 0 && !ftruncate(fd, SIZE));
	stamp_file(fd, SIZE);
	policy("pressure", LONG_MS);
	used(fd);
	close(fd);
	must(s, "kept_while_named", kept_becomes(0, 3000), 0);
	must(s, "unlink", err(unlink(path)), 0);
	must(s, "gone", kept_becomes(0, SOON_MS), 1);
	policy("immediate", "0");
}

SCENARIO_LINKED(pressure_takes_them, "SCM-8")
{
	int fds[4];

	policy("pressure", LONG_MS);
	for (int i = 0; i < 4; i++) {
		fds[i] = stamped_file(SIZE);
		used(fds[i]);
	}
	must(s, "kept", scome_counter("kept"), 4);
	must(s, "waits", kept_becomes(0, 2500), 0);
	must(s, "all_wait", scome_counter("kept"), 4);
	/* calls every shrinker; ours gives way to whoever makes a unit just then */
	for (int i = 0; i < 10 && !kept_becomes(0, 1000); i++)
		NEED(!write_text("/proc/sys/vm/drop_caches", "2"));
	must(s, "gone", scome_counter("kept"), 0);
	must(s, "tables", scome_counter("tables"), 0);
	used(fds[0]);
	must(s, "again", scome_counter("kept"), 1);
	policy("immediate", "0");
}

static void make_faults(void)
{
	struct side linked = { .linked = true };
	int fd = stamped_file(SIZE);
	char *map = map_side(&linked, SIZE, RW, fd, 0);

	for (;;) {
		sum_all(map, SIZE);
		NEED(!punch_hole(fd, 0, SIZE));
	}
}

SCENARIO_LINKED(idle_waits_for_it, "SCM-8")
{
	int fd = stamped_file(SIZE);
	pid_t busy;

	policy("idle", "0");
	NEED(!set("retire_idle_faults", "50"));
	busy = fork();
	NEED(busy >= 0);
	if (!busy)
		make_faults();
	sleep(2);
	used(fd);
	must(s, "busy", kept_becomes(0, 3000), 0);
	kill(busy, SIGKILL);
	NEED(wait_status(busy) == 128 + SIGKILL);
	must(s, "idle", kept_becomes(0, SOON_MS), 1);
	NEED(!set("retire_idle_faults", "100"));
	policy("immediate", "0");
}

SCENARIO_LINKED(a_units_own_policy, "SCM-8")
{
	int fd = stamped_file(SIZE);
	char *map, *unit;

	policy("immediate", "0");
	map = map_touched(s, SIZE, RW, fd);
	unit = only_unit();
	must(s, "retire",
	     says(in_unit(unit, "retire"), "[system] immediate idle pressure"),
	     1);
	must(s, "delay", says(in_unit(unit, "retire_delay_ms"), "system"), 1);
	must(s, "links", says(in_unit(unit, "links"), "1"), 1);
	must(s, "tables", says(in_unit(unit, "tables"), "4"), 1);
	must(s, "bad", set(in_unit(unit, "retire"), "never"), -EINVAL);
	must(s, "set", set(in_unit(unit, "retire_delay_ms"), LONG_MS), 0);
	munmap(map, SIZE);
	must(s, "kept", scome_counter("kept"), 1);
	must(s, "links_now", says(in_unit(unit, "links"), "0"), 1);
	must(s, "pressure", set(in_unit(unit, "retire"), "pressure"), 0);
	must(s, "as_system", set(in_unit(unit, "retire_delay_ms"), "system"),
	     0);
	must(s, "still_kept", kept_becomes(0, 2500), 0);
	must(s, "both_as_system", set(in_unit(unit, "retire"), "system"), 0);
	must(s, "gone", kept_becomes(0, SOON_MS), 1);
	must(s, "directory", has_units(), 0);
}

/* what happens to the file meanwhile is there when it is mapped again */
SCENARIO_LINKED(file_changes_while_kept, "SCM-8")
{
	int fd = stamped_file(SIZE);
	char *map;

	policy("pressure", LONG_MS);
	used(fd);
	NEED(!punch_hole(fd, 0, MIB) && !ftruncate(fd, 5 * MIB));
	must(s, "kept", scome_counter("kept"), 1);
	map = map_side(s, SIZE, RW, fd, 0);
	must(s, "hole", sum_all(map, MIB), 0);
	must(s, "rest", sum_all(map + MIB, 4 * MIB), stamp_sum(MIB, 5 * MIB));
	must(s, "past_the_end", try_read(map + 5 * MIB),
	     RAISED(SIGBUS, BUS_ADRERR));
	relinks(s, "links", map, "111?");
	munmap(map, SIZE);
	policy("immediate", "0");
}

SCENARIO_LINKED(reclaimed_while_kept, "SCM-8")
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/memory.reclaim", own_cgroup());
	fd = stamped_file(SIZE);
	policy("pressure", LONG_MS);
	used(fd);
	must(s, "reclaim", write_text(path, "4M"), 0);
	must(s, "still_kept", scome_counter("kept"), 1);
	used(fd);
	must(s, "kept_again", scome_counter("kept"), 1);
	policy("immediate", "0");
}

SCENARIO_LINKED(sealed_while_kept, "SCM-8")
{
	int fd = memfd_create("retire", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *map;

	NEED(fd >= 0 && !ftruncate(fd, SIZE));
	stamp_file(fd, SIZE);
	policy("pressure", LONG_MS);
	used(fd);
	must(s, "seal", err(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), 0);
	must(s, "writable", err((int64_t)mmap(NULL, SIZE, RW, MAP_PT, fd, 0)),
	     -EPERM);
	map = mmap(NULL, SIZE, PROT_READ, MAP_PT, fd, 0);
	must(s, "readable", map != MAP_FAILED, 1);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "write", try_write(map, 1), RAISED(SIGSEGV, SEGV_ACCERR));
	relinks(s, "links", map, "1111");
	munmap(map, SIZE);
	policy("immediate", "0");
}

static int comes_and_goes(void *context)
{
	int bad = 0;

	for (int i = 0; i < 60; i++)
		bad += maps_and_reads(context);
	return bad ? 1 : 0;
}

/* processes come back while units are told to go, by everything that tells them */
SCENARIO_LINKED(race_of_all_ends, "SCM-8")
{
	int fd = stamped_file(SIZE), good = 0, running = 4;
	pid_t pids[4];

	policy("immediate", "1");
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		NEED(pids[i] >= 0);
		if (!pids[i]) {
			int status = 0;

			for (int j = 0; j < 15 && !status; j++)
				status = in_child(comes_and_goes, &fd);
			_exit(status);
		}
	}
	for (unsigned int i = 0; running; i++) {
		int status;

		switch (i % 4) {
		case 0:
			set("retire_kept", "1");
			break;
		case 1:
			write_text("/proc/sys/vm/drop_caches", "2");
			break;
		case 2:
			set("retire_delay_ms", "1");
			break;
		case 3:
			set("retire_delay_ms", "0");
			break;
		}
		while (running && waitpid(-1, &status, WNOHANG) > 0) {
			good += !status;
			running--;
		}
	}
	must(s, "good", good, 4);
	policy("immediate", "0");
	must(s, "units", scome_counter("units"), 0);
	must(s, "tables", scome_counter("tables"), 0);
}

SCENARIO_LINKED(nothing_left, "SCM-8")
{
	policy("immediate", "0");
	must(s, "units", scome_counter("units"), 0);
	must(s, "kept", scome_counter("kept"), 0);
	must(s, "links", scome_counter("links"), 0);
	must(s, "tables", scome_counter("tables"), 0);
}

TEST_HARNESS_MAIN
