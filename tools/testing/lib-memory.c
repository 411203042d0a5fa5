// SPDX-License-Identifier: GPL-2.0
/* What the scenarios share: mappings, accesses that may fail, small files. */
#include <linux/magic.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "pair.h"

static __thread sigjmp_buf access_failed;
static __thread volatile sig_atomic_t accessing;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	struct sigaction fatal = { .sa_handler = SIG_DFL };

	(void)context;
	if (!accessing) {
		/* not ours: again, and this time it kills */
		sigaction(signal, &fatal, NULL);
		return;
	}
	siglongjmp(access_failed, RAISED(signal, info->si_code));
}

int try_call(void (*run)(void *context), void *context)
{
	static const struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};
	struct sigaction old_bus, old_segv;
	int raised;

	sigaction(SIGBUS, &action, &old_bus);
	sigaction(SIGSEGV, &action, &old_segv);
	accessing = 1;
	raised = sigsetjmp(access_failed, 0);
	if (!raised)
		run(context);
	accessing = 0;
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return raised;
}

struct access {
	volatile uint64_t *address;
	uint64_t value;
};

static void do_read(void *context)
{
	(void)*((struct access *)context)->address;
}

static void do_write(void *context)
{
	struct access *access = context;

	*access->address = access->value;
}

int try_read(const volatile void *address)
{
	struct access access = {
		.address = (volatile uint64_t *)(uintptr_t)address
	};

	return try_call(do_read, &access);
}

int try_write(volatile void *address, uint64_t value)
{
	struct access access = { .address = address, .value = value };

	return try_call(do_write, &access);
}

int64_t err(int64_t result)
{
	return result == -1 ? -errno : result;
}

bool files_huge(void)
{
	const char *directory = getenv("SCOME_FILES");
	struct statfs status;

	if (!directory)
		return false;
	NEED(!statfs(directory, &status));
	return status.f_type == TMPFS_MAGIC;
}

bool files_on_disk(void)
{
	return getenv("SCOME_FILES") && !files_huge();
}

int memory_file(size_t size)
{
	const char *directory = getenv("SCOME_FILES");
	int fd;

	if (directory)
		fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	else
		fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	NEED(fd >= 0 && !ftruncate(fd, size));
	return fd;
}

void stamp_file(int fd, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE) {
		uint64_t value = at / PAGE + 1;

		NEED(pwrite(fd, &value, sizeof(value), at) == sizeof(value));
	}
}

int stamped_file(size_t size)
{
	int fd = memory_file(size);

	stamp_file(fd, size);
	return fd;
}

int reopen(int fd, int flags)
{
	char path[64];
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, flags | O_CLOEXEC);
	NEED(other >= 0);
	return other;
}

int direct_file(size_t size, uint64_t start)
{
	char path[] = EXT4_DIR "/direct-XXXXXX";
	char *buffer = aligned_alloc(PAGE, PAGE);
	int fd = mkostemp(path, O_DIRECT | O_CLOEXEC);

	NEED(buffer && fd >= 0);
	unlink(path);
	memset(buffer, 0, PAGE);
	for (size_t at = 0; at < size; at += PAGE) {
		set_word(buffer, start + at / PAGE + 1);
		NEED(pwrite(fd, buffer, PAGE, at) == (ssize_t)PAGE);
	}
	free(buffer);
	return fd;
}

int64_t punch_hole(int fd, off_t from, off_t length)
{
	return err(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     from, length));
}

/* a place that no other thread gets: to be mapped over */
static char *reserved_space(size_t size, size_t lead)
{
	size_t all = size + 2 * RANGE;
	char *place = mmap(NULL, all, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start, *end;

	NEED(place != MAP_FAILED);
	start = (char *)(((uintptr_t)place + RANGE - 1) & -RANGE) + lead;
	end = (char *)(((uintptr_t)start + size + PAGE - 1) & -PAGE);
	NEED(start == place || !munmap(place, start - place));
	NEED(!munmap(end, place + all - end));
	return start;
}

char *free_space(size_t size)
{
	char *place = reserved_space(size, 0);

	NEED(!munmap(place, size));
	return place;
}

int side_flags(const struct side *side)
{
	return side->linked ? MAP_PT : MAP_SHARED;
}

char *map_side_flags(struct side *side, size_t size, int prot, int flags,
		     int fd, off_t offset)
{
	char *place = NULL, *map;

	if (!side->linked) {
		place = reserved_space(size, offset % RANGE);
		flags |= MAP_FIXED;
	}
	map = mmap(place, size, prot, flags | side_flags(side), fd, offset);
	if (map == MAP_FAILED)
		broken(__FILE__, __LINE__,
		       side->linked ? "linked mmap" : "ordinary mmap");
	return map;
}

char *map_side(struct side *side, size_t size, int prot, int fd, off_t offset)
{
	return map_side_flags(side, size, prot, 0, fd, offset);
}

char *map_touched(struct side *side, size_t size, int prot, int fd)
{
	char *map = map_side(side, size, prot, fd, 0), wanted[80] = "";

	NEED(size / RANGE < sizeof(wanted));
	memset(wanted, '1', size / RANGE);
	sum_all(map, size);
	links(side, "links_before", map, wanted);
	return map;
}

char *map_ordinary(size_t size, int prot, int fd, off_t offset)
{
	char *map = mmap(free_space(size + RANGE) + offset % RANGE, size, prot,
			 MAP_SHARED, fd, offset);

	NEED(map != MAP_FAILED);
	return map;
}

bool have_scome(void)
{
	return !access("/sys/kernel/mm/scome/units", R_OK);
}

uint64_t word(const void *address)
{
	return *(const volatile uint64_t *)address;
}

void set_word(void *address, uint64_t value)
{
	*(volatile uint64_t *)address = value;
}

void stamp_all(char *base, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE)
		set_word(base + at, at / PAGE + 1);
}

uint64_t sum_all(const char *base, size_t size)
{
	uint64_t sum = 0;

	for (size_t at = 0; at < size; at += PAGE)
		sum += word(base + at);
	return sum;
}

uint64_t stamp_sum(size_t from, size_t to)
{
	uint64_t sum = 0;

	for (size_t at = from; at < to; at += PAGE)
		sum += at / PAGE + 1;
	return sum;
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	NEED(!sched_setaffinity(0, sizeof(set), &set));
}

int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		NEED(errno == EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int in_child(int (*run)(void *context), void *context)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	NEED(pid >= 0);
	if (!pid)
		_exit(run(context));
	return wait_status(pid);
}

/* mov $42, %eax; ret */
static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };

void put_code(void *at)
{
	memcpy(at, code, sizeof(code));
}

int call_code(void *at)
{
	int (*function)(void);

	memcpy(&function, &at, sizeof(function));
	return function();
}

char *mounted(const char *options)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/mount-%d", getpid());
	NEED(!mkdir(path, 0755));
	NEED(!mount("none", path, "tmpfs", 0, options));
	return path;
}

int file_in(const char *directory, int flags, size_t size)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
	NEED(fd >= 0);
	if (size)
		NEED(!ftruncate(fd, size));
	return fd;
}

int64_t read_number(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -1;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	return got > 0 ? strtoll(text, NULL, 10) : -1;
}

int64_t write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int64_t result;

	if (fd < 0)
		return -errno;
	result = err(write(fd, text, strlen(text)));
	close(fd);
	return result < 0 ? result : 0;
}

static int64_t named_number(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	int64_t value = -1;
	char line[256];

	NEED(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) &&
		    line[strlen(name)] == ':')
			value = strtoll(line + strlen(name) + 1, NULL, 10);
	fclose(file);
	return value;
}

int64_t minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

int64_t status_kb(const char *name)
{
	return named_number("/proc/self/status", name);
}

int64_t meminfo_kb(const char *name)
{
	return named_number("/proc/meminfo", name);
}

/* call back for every line of the smaps entry of an address */
static void smaps_lines(const void *address,
			void (*line_fn)(const char *line, void *context),
			void *context)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool inside = false;
	uintptr_t start, end;
	char line[512];

	NEED(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)address >= start &&
				 (uintptr_t)address < end;
		else if (inside)
			line_fn(line, context);
	}
	fclose(smaps);
}

struct smaps_search {
	const char *name;
	int64_t value;
};

static void smaps_value(const char *line, void *context)
{
	struct smaps_search *search = context;
	size_t length = strlen(search->name);

	if (!strncmp(line, search->name, length) && line[length] == ':')
		search->value = strtoll(line + length + 1, NULL, 10);
}

int64_t smaps_kb(const void *address, const char *name)
{
	struct smaps_search search = { .name = name, .value = -1 };

	smaps_lines(address, smaps_value, &search);
	return search.value;
}

static void smaps_vmflags(const char *line, void *context)
{
	struct smaps_search *search = context;
	char text[512], *rest, *flag;

	if (strncmp(line, "VmFlags:", 8))
		return;
	strcpy(text, line + 8);
	for (flag = strtok_r(text, " \n", &rest); flag;
	     flag = strtok_r(NULL, " \n", &rest))
		if (!strcmp(flag, search->name))
			search->value = 1;
}

bool smaps_flag(const void *address, const char *flag)
{
	struct smaps_search search = { .name = flag, .value = 0 };

	smaps_lines(address, smaps_vmflags, &search);
	return search.value;
}

int64_t scome_counter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/mm/scome/%s", name);
	return read_number(path);
}

const char *own_cgroup(void)
{
	static char cgroup[64];
	char path[96];

	/* stays behind: the guest lives no longer than the tests */
	snprintf(cgroup, sizeof(cgroup), "/sys/fs/cgroup/test-%d", getpid());
	NEED(!mkdir(cgroup, 0755));
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	NEED(!write_text(path, "0"));
	return cgroup;
}
