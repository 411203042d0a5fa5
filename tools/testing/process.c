// SPDX-License-Identifier: GPL-2.0
/* fork, exec, exit in any order, kill, coredump, and the prctl that programs inherit. */
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define SEGV_UNMAPPED RAISED(SIGSEGV, SEGV_MAPERR)

struct family {
	struct side *side;
	char *map;
	int fd;
};

static struct family touched(struct side *s)
{
	struct family family = { .side = s, .fd = stamped_file(SIZE) };

	family.map = map_side(s, SIZE, RW, family.fd, 0);
	sum_all(family.map, SIZE);
	links(s, "links_before", family.map, "1111");
	return family;
}

static int child_reads(void *context)
{
	struct family *family = context;
	struct side *s = family->side;

	must(s, "child_sum", sum_all(family->map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "child_links", family->map, "1111");
	return 0;
}

SCENARIO(fork_read, "SCM-2,SCM-6")
{
	struct family family = touched(s);

	must(s, "child", in_child(child_reads, &family), 0);
	must(s, "sum", sum_all(family.map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", family.map, "1111");
}

static int child_writes(void *context)
{
	struct family *family = context;

	set_word(family->map + MIB, 111);
	set_word(family->map + 7 * MIB, 222);
	return word(family->map + 5 * MIB) != 333;
}

SCENARIO(fork_write, "SCM-2")
{
	struct family family = touched(s);

	set_word(family.map + 5 * MIB, 333);
	must(s, "child", in_child(child_writes, &family), 0);
	must(s, "first", word(family.map + MIB), 111);
	must(s, "last", word(family.map + 7 * MIB), 222);
	relinks(s, "links", family.map, "1111");
}

static int child_unmaps(void *context)
{
	struct family *family = context;
	struct side *s = family->side;

	must(s, "child_munmap", err(munmap(family->map + 3 * MIB, PAGE)), 0);
	must(s, "child_gone", try_read(family->map + 3 * MIB), SEGV_UNMAPPED);
	set_word(family->map + 3 * MIB + PAGE, 9);
	relinks(s, "child_links", family->map, "1011");
	return 0;
}

SCENARIO(fork_child_unmaps, "SCM-6,SCM-16")
{
	struct family family = touched(s);

	must(s, "child", in_child(child_unmaps, &family), 0);
	links(s, "links", family.map, "1111");
	must(s, "still_there", word(family.map + 3 * MIB), 3 * MIB / PAGE + 1);
	must(s, "childs_write", word(family.map + 3 * MIB + PAGE), 9);
}

static int child_protects(void *context)
{
	struct family *family = context;
	struct side *s = family->side;

	must(s, "child_mprotect", err(mprotect(family->map, SIZE, PROT_READ)),
	     0);
	must(s, "child_write", try_write(family->map + MIB, 1), SEGV_DENIED);
	relinks(s, "child_links", family->map, "1111");
	return 0;
}

SCENARIO(fork_child_protects, "SCM-15,SCM-16")
{
	struct family family = touched(s);

	must(s, "child", in_child(child_protects, &family), 0);
	must(s, "write", try_write(family.map + MIB, 5), 0);
	links(s, "links", family.map, "1111");
}

SCENARIO(fork_read_only, "SCM-15")
{
	struct family family = touched(s);

	stamp_all(family.map, SIZE);
	NEED(!mprotect(family.map, SIZE, PROT_READ));
	must(s, "child", in_child(child_protects, &family), 0);
	must(s, "write", try_write(family.map + MIB, 5), SEGV_DENIED);
	relinks(s, "links", family.map, "1111");
}

static int child_touches_dontfork(void *context)
{
	struct family *family = context;

	return try_read(family->map) == SEGV_UNMAPPED ? 0 : 1;
}

SCENARIO(fork_dontfork, "SCM-6")
{
	struct family family = touched(s);

	must(s, "madvise", err(madvise(family.map, SIZE, MADV_DONTFORK)), 0);
	must(s, "child", in_child(child_touches_dontfork, &family), 0);
	must(s, "sum", sum_all(family.map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", family.map, "1111");
}

static int grandchild_of_gone_child(void *context)
{
	struct family *family = context;
	int ready[2];
	char byte;
	pid_t pid;

	NEED(!pipe(ready));
	pid = fork();
	NEED(pid >= 0);
	if (pid)
		_exit(0);
	/* its parent is gone when the other end is closed everywhere */
	close(ready[1]);
	NEED(read(ready[0], &byte, 1) == 0);
	if (sum_all(family->map, SIZE) == stamp_sum(0, SIZE))
		set_word(family->map + MIB, 4242);
	_exit(0);
}

SCENARIO(fork_grandchild, "SCM-5")
{
	struct family family = touched(s);

	must(s, "child", in_child(grandchild_of_gone_child, &family), 0);
	for (unsigned int i = 0; i < 1000 && word(family.map + MIB) != 4242;
	     i++)
		usleep(10000);
	must(s, "grandchild", word(family.map + MIB), 4242);
	relinks(s, "links", family.map, "1111");
}

static int child_execs(void *context)
{
	(void)context;
	execl("/bin/true", "true", NULL);
	return 1;
}

SCENARIO(exec_in_child, "SCM-5")
{
	struct family family = touched(s);

	must(s, "child", in_child(child_execs, &family), 0);
	links(s, "links", family.map, "1111");
	must(s, "sum", sum_all(family.map, SIZE), stamp_sum(0, SIZE));
}

SCENARIO(vfork_and_exec, "SCM-5")
{
	struct family family = touched(s);
	pid_t pid = vfork();

	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	must(s, "child", wait_status(pid), 0);
	links(s, "links", family.map, "1111");
	must(s, "sum", sum_all(family.map, SIZE), stamp_sum(0, SIZE));
}

static int maps_and_stamps(void *context)
{
	struct family *family = context;
	char *map = map_side(family->side, SIZE, RW, family->fd, 0);

	stamp_all(map, SIZE);
	return family->side->linked && !is_linked(map);
}

SCENARIO(creator_exits, "SCM-5")
{
	struct family family = { .side = s, .fd = memory_file(SIZE) };
	char *map;

	must(s, "creator", in_child(maps_and_stamps, &family), 0);
	map = map_side(s, SIZE, RW, family.fd, 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "1111");
	set_word(map + MIB, 5);
	must(s, "write", word(map + MIB), 5);
}

static int child_exits_by_signal(void *context)
{
	struct family *family = context;

	sum_all(family->map, SIZE);
	raise(SIGKILL);
	return 0;
}

SCENARIO(killed, "SCM-5")
{
	struct family family = touched(s);

	must(s, "child", in_child(child_exits_by_signal, &family),
	     128 + SIGKILL);
	links(s, "links", family.map, "1111");
	must(s, "sum", sum_all(family.map, SIZE), stamp_sum(0, SIZE));
}

#define MANY 16

SCENARIO(exit_in_any_order, "SCM-5")
{
	static const unsigned int order[MANY] = { 7,  0, 15, 3, 8, 1, 14, 2,
						  10, 5, 12, 4, 9, 6, 11, 13 };
	struct family family = touched(s);
	volatile unsigned int *ready;
	unsigned int good = 0;
	pid_t pids[MANY];

	ready = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(ready != MAP_FAILED);
	for (unsigned int i = 0; i < MANY; i++) {
		pids[i] = fork();
		NEED(pids[i] >= 0);
		if (!pids[i]) {
			char *own = map_side(s, SIZE, RW, family.fd, 0);

			set_word(own + i * PAGE + 8, i);
			ready[i] = sum_all(own, SIZE) == stamp_sum(0, SIZE);
			for (;;)
				pause();
		}
	}
	for (unsigned int i = 0; i < MANY; i++)
		for (unsigned int j = 0; j < 3000 && !ready[i]; j++)
			usleep(10000);
	for (unsigned int i = 0; i < MANY; i++) {
		good += ready[i];
		kill(pids[order[i]], i % 2 ? SIGKILL : SIGTERM);
		wait_status(pids[order[i]]);
		good += sum_all(family.map, SIZE) == stamp_sum(0, SIZE);
	}
	must(s, "good", good, 2 * MANY);
	must(s, "write", word(family.map + 9 * PAGE + 8), 9);
	links(s, "links", family.map, "1111");
}

SCENARIO(killed_while_touching, "SCM-5")
{
	struct family family = touched(s);
	volatile uint64_t *turns;
	unsigned int good = 0;

	turns = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(turns != MAP_FAILED);
	for (unsigned int i = 0; i < 20; i++) {
		pid_t pid;

		*turns = 0;
		pid = fork();
		NEED(pid >= 0);
		if (!pid) {
			for (;;) {
				char *own = map_side(s, SIZE, RW, family.fd, 0);

				sum_all(own, SIZE);
				munmap(own, SIZE);
				++*turns;
			}
		}
		while (*turns < 1 + i % 3)
			sched_yield();
		kill(pid, SIGKILL);
		good += wait_status(pid) == 128 + SIGKILL;
		good += sum_all(family.map, SIZE) == stamp_sum(0, SIZE);
	}
	must(s, "good", good, 40);
	links(s, "links", family.map, "1111");
}

static int thread_like(void *context)
{
	struct family *family = context;

	set_word(family->map + MIB, 77);
	return munmap(family->map + 3 * MIB, PAGE);
}

SCENARIO(shared_address_space, "SCM-6")
{
	struct family family = touched(s);
	static char stack[64 * KIB] __attribute__((aligned(16)));
	pid_t pid;

	pid = clone(thread_like, stack + sizeof(stack), CLONE_VM | SIGCHLD,
		    &family);
	NEED(pid > 0);
	must(s, "child", wait_status(pid), 0);
	must(s, "write", word(family.map + MIB), 77);
	must(s, "gone", try_read(family.map + 3 * MIB), SEGV_UNMAPPED);
	relinks(s, "links", family.map, "1011");
}

static int child_dumps(void *context)
{
	struct family *family = context;
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	NEED(!setrlimit(RLIMIT_CORE, &limit));
	/* anonymous, file-backed, shared: everything */
	NEED(!write_text("/proc/self/coredump_filter", "0xff"));
	set_word(family->map + MIB, 0x5c03e5c03e5c03eUL);
	abort();
}

SCENARIO(coredump, "SCM-6")
{
	struct family family = touched(s);
	uint64_t buffer[PAGE / sizeof(uint64_t)], found = 0;
	char directory[] = "/tmp/core-XXXXXX";
	struct stat status;
	int fd;

	NEED(mkdtemp(directory) && !chdir(directory));
	NEED(!write_text("/proc/sys/kernel/core_pattern", "core"));
	write_text("/proc/sys/kernel/core_uses_pid", "0");
	must(s, "child", in_child(child_dumps, &family), 128 + SIGABRT);
	fd = open("core", O_RDONLY | O_CLOEXEC);
	must(s, "core", fd >= 0, 1);
	if (fd < 0)
		return;
	fstat(fd, &status);
	must(s, "has_it_all", status.st_size > (off_t)SIZE, 1);
	while (read(fd, buffer, sizeof(buffer)) == sizeof(buffer))
		found += buffer[0] == 0x5c03e5c03e5c03eUL;
	must(s, "data", found, 1);
	close(fd);
	unlink("core");
	NEED(!chdir("/"));
	rmdir(directory);
	links(s, "links", family.map, "1111");
}

/*
 * With SCOME_SAY in its environment this program tells its own setting instead:
 * 0 off, 1 on, OTHER_MINIMUM on with another minimum than 4 MiB, 3 an error.
 */
#define OTHER_MINIMUM 5

__attribute__((constructor)) static void say_setting(void)
{
	uint64_t min_bytes = 0;
	int mode;

	if (!getenv("SCOME_SAY"))
		return;
	mode = scome_get(&min_bytes);
	if (mode < 0)
		_exit(3);
	_exit(mode == 1 && min_bytes != 4 * MIB ? OTHER_MINIMUM : mode);
}

static int exec_itself(void *context)
{
	setenv("SCOME_SAY", "1", 1);
	execl(context ? (const char *)context : "/proc/self/exe", "process",
	      NULL);
	return 9;
}

static int get_mode(void *context)
{
	(void)context;
	return scome_get(NULL);
}

SCENARIO_LINKED(prctl_set_and_get, "SCM-2")
{
	uint64_t min_bytes = 1;

	must(s, "default", scome_get(&min_bytes), SCOME_OFF);
	must(s, "set", err(scome_set(SCOME_ON, 4 * MIB)), 0);
	must(s, "get", scome_get(&min_bytes), SCOME_ON);
	must(s, "min_bytes", min_bytes, 4 * MIB);
	must(s, "without_pointer", scome_get(NULL), SCOME_ON);
	must(s, "off", err(scome_set(SCOME_OFF, 0)), 0);
	must(s, "get_off", scome_get(&min_bytes), SCOME_OFF);
}

SCENARIO_LINKED(prctl_bad_arguments, "SCM-2")
{
	must(s, "mode", err(scome_set(2, RANGE)), -EINVAL);
	must(s, "mode_large", err(scome_set(~0UL, RANGE)), -EINVAL);
	must(s, "fourth",
	     err(prctl(PR_SET_SHARED_PT, SCOME_ON, RANGE, 1UL, 0UL)), -EINVAL);
	must(s, "fifth",
	     err(prctl(PR_SET_SHARED_PT, SCOME_ON, RANGE, 0UL, 1UL)), -EINVAL);
	must(s, "get_third", err(prctl(PR_GET_SHARED_PT, 0UL, 1UL, 0UL, 0UL)),
	     -EINVAL);
	must(s, "get_fault", err(prctl(PR_GET_SHARED_PT, 8UL, 0UL, 0UL, 0UL)),
	     -EFAULT);
	must(s, "unchanged", scome_get(NULL), SCOME_OFF);
}

SCENARIO_LINKED(prctl_inherited, "SCM-2")
{
	NEED(!scome_set(SCOME_ON, 4 * MIB));
	must(s, "fork", in_child(get_mode, NULL), SCOME_ON);
	must(s, "exec", in_child(exec_itself, NULL), SCOME_ON);
	NEED(!scome_set(SCOME_OFF, 0));
	must(s, "fork_off", in_child(get_mode, NULL), SCOME_OFF);
	must(s, "exec_off", in_child(exec_itself, NULL), SCOME_OFF);
}

static int launch(void *context)
{
	char program[256], launcher[256], *end;
	ssize_t length =
		readlink("/proc/self/exe", program, sizeof(program) - 1);

	NEED(length > 0);
	program[length] = '\0';
	/* build/testing/process and build/tools/scome-run */
	strcpy(launcher, program);
	for (unsigned int i = 0; i < 2; i++) {
		end = strrchr(launcher, '/');
		NEED(end);
		*end = '\0';
	}
	NEED(strlen(launcher) + sizeof("/tools/scome-run") < sizeof(launcher));
	strcat(launcher, "/tools/scome-run");
	setenv("SCOME_SAY", "1", 1);
	execl(launcher, "scome-run", "--min-bytes", context, "--", program,
	      NULL);
	return 9;
}

SCENARIO_LINKED(scome_run, "SCM-2")
{
	must(s, "sets", in_child(launch, "4M"), SCOME_ON);
	must(s, "other_size", in_child(launch, "4097K"), OTHER_MINIMUM);
	must(s, "no_size", in_child(launch, "4X"), 2);
	must(s, "itself_unchanged", scome_get(NULL), SCOME_OFF);
}

static int child_switches_off(void *context)
{
	(void)context;
	return scome_set(SCOME_OFF, 0) ? 9 : scome_get(NULL);
}

SCENARIO_LINKED(prctl_of_child_is_its_own, "SCM-16")
{
	NEED(!scome_set(SCOME_ON, 4 * MIB));
	must(s, "child", in_child(child_switches_off, NULL), SCOME_OFF);
	must(s, "parent", scome_get(NULL), SCOME_ON);
}

static int exec_unprivileged(void *context)
{
	NEED(!setgid(65534) && !setuid(65534));
	NEED(!scome_set(SCOME_ON, 4 * MIB));
	return exec_itself(context);
}

SCENARIO_LINKED(prctl_and_setuid, "SCM-16")
{
	char directory[] = "/tmp/suid-XXXXXX", program[64], command[256];

	NEED(mkdtemp(directory) &&
	     !mount("none", directory, "tmpfs", 0, "mode=755"));
	NEED(!chmod(directory, 0755));
	snprintf(program, sizeof(program), "%s/process", directory);
	snprintf(command, sizeof(command), "cp /proc/%d/exe %s", getpid(),
		 program);
	NEED(!system(command) && !chmod(program, 0755));
	must(s, "plain_program", in_child(exec_unprivileged, program),
	     SCOME_ON);
	NEED(!chmod(program, 04755));
	must(s, "setuid_program", in_child(exec_unprivileged, program),
	     SCOME_OFF);
	NEED(!chown(program, 0, 65533) && !chmod(program, 02755));
	must(s, "setgid_program", in_child(exec_unprivileged, program),
	     SCOME_OFF);
	umount(directory);
	rmdir(directory);
}

SCENARIO_LINKED(prctl_links_by_itself, "SCM-2,SCM-6")
{
	int fd = stamped_file(SIZE), small = stamped_file(RANGE);
	char *map;

	NEED(!scome_set(SCOME_ON, 4 * MIB));
	map = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	must(s, "aligned", (uintptr_t)map % RANGE, 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "1111");
	map = mmap(free_space(RANGE), RANGE, RW, MAP_SHARED, small, 0);
	sum_all(map, RANGE);
	links(s, "links_too_small", map, "0");
	map = mmap(NULL, SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	stamp_all(map, SIZE);
	links(s, "links_anonymous", map, "1111");
	map = mmap(free_space(SIZE), SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	stamp_all(map, SIZE);
	links(s, "links_private_anonymous", map, "0000");
	map = mmap(free_space(SIZE), SIZE, RW, MAP_PRIVATE, fd, 0);
	sum_all(map, SIZE);
	links(s, "links_private", map, "0000");
	map = mmap(free_space(SIZE) + PAGE, SIZE, RW, MAP_SHARED | MAP_FIXED,
		   fd, 0);
	must(s, "misplaced",
	     map != MAP_FAILED && sum_all(map, SIZE) == stamp_sum(0, SIZE), 1);
	links(s, "links_misplaced", (char *)((uintptr_t)map & -RANGE), "0000");
	NEED(!scome_set(SCOME_OFF, 0));
	map = mmap(free_space(SIZE), SIZE, RW, MAP_SHARED, fd, 0);
	sum_all(map, SIZE);
	links(s, "links_off", map, "0000");
}

static int checks_inherited_links(void *context)
{
	char *map = context;

	sum_all(map, SIZE);
	return is_linked(map) && is_linked(map + 3 * RANGE);
}

SCENARIO_LINKED(prctl_off_keeps_links, "SCM-2")
{
	int fd = stamped_file(SIZE);
	char *map;

	NEED(!scome_set(SCOME_ON, 4 * MIB));
	map = mmap(NULL, SIZE, RW, MAP_SHARED, fd, 0);
	sum_all(map, SIZE);
	NEED(!scome_set(SCOME_OFF, 0));
	relinks(s, "links", map, "1111");
	must(s, "child", in_child(checks_inherited_links, map), 1);
}

TEST_HARNESS_MAIN
