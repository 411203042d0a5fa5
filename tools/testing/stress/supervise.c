// SPDX-License-Identifier: GPL-2.0
/* Start workers, kill some, replace those that ended, and see that all move on. */
#include <sys/prctl.h>

#include "stress.h"

#define SYSFS "/sys/kernel/mm/scome/"
/* a worker that does nothing for so long hangs */
#define HANG_SECONDS 240
/* waits of this process; as many workers are killed a second as there are steps to one */
#define STEP_US 20000
#define STEPS_TO_KILL 20
#define STEPS_TO_SAMPLE 10

bool hung, died;
int64_t most_links, most_views, most_tables, kills, restarts;
static uint64_t seen[MAX_WORKERS];
static double since[MAX_WORKERS];

static void start(unsigned int number, unsigned int incarnation)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		worker_run(number, incarnation);
	if (pid < 0) {
		perror("stress: fork");
		exit(1);
	}
	control->slot[number].pid = pid;
	since[number] = now();
}

static bool has_ended(unsigned int number)
{
	pid_t pid = control->slot[number].pid;
	siginfo_t info = { 0 };

	return !pid ||
	       (!waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
		info.si_pid);
}

/* what an ended process held, and its child, which is this one's by now */
static void release(unsigned int number)
{
	struct slot *slot = &control->slot[number];

	control->holds[number] = (struct hold){ 0 };
	if (slot->child) {
		kill(slot->child, SIGKILL);
		waitpid(slot->child, NULL, 0);
		slot->child = 0;
	}
	control->holds[MAX_WORKERS + number] = (struct hold){ 0 };
}

/*
 * A worker that has ended. Nobody gets its id as long as it is not reaped, so first
 * those who visit it leave. They may wait for others that have ended.
 */
static void bury(unsigned int number)
{
	struct slot *slot = &control->slot[number];
	bool visited;

	slot->offer.valid = 0;
	do {
		visited = false;
		for (unsigned int i = 0; i < control->workers; i++) {
			if (i == number || has_ended(i))
				release(i);
			visited |= control->holds[i].visited == (int)number + 1;
		}
	} while (visited && !usleep(200));
	waitpid(slot->pid, NULL, 0);
	slot->pid = 0;
	/* it has failed in the middle: nobody else is to wait for ever */
	for (unsigned int i = 0; i < control->files; i++)
		if (control->file[i].writer == (int)number + 1)
			control->file[i].writer = 0;
	slot->critical = 0;
	slot->doomed = false;
}

/* replaces it if it has ended */
static void reap(unsigned int number, bool replace)
{
	struct slot *slot = &control->slot[number];
	siginfo_t info = { 0 };

	if (!slot->pid ||
	    waitid(P_PID, slot->pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	    !info.si_pid)
		return;
	if (info.si_code != CLD_EXITED &&
	    !(slot->doomed && info.si_status == SIGKILL)) {
		printf("# FAIL processes: worker %u pid %d died of signal %d\n",
		       number, info.si_pid, info.si_status);
		print_history(number);
		control->failures[PROCESSES]++;
		control->stop = true;
	} else if (info.si_code == CLD_EXITED && info.si_status) {
		died = true;
		control->stop = true;
	}
	bury(number);
	if (replace && !control->stop) {
		restarts++;
		start(number, slot->incarnation + 1);
	}
}

static bool reap_all(bool replace)
{
	bool alive = false;

	for (unsigned int i = 0; i < control->workers; i++) {
		reap(i, replace);
		alive |= control->slot[i].pid != 0;
	}
	return alive;
}

static void kill_one(void)
{
	unsigned int number = rand() % control->workers;
	struct slot *slot = &control->slot[number];

	if (!slot->pid || slot->doomed)
		return;
	slot->doomed = true;
	for (unsigned int i = 0; i < 50 && slot->critical; i++)
		usleep(200);
	if (slot->critical) {
		slot->doomed = false;
		return;
	}
	kills++;
	kill(slot->pid, SIGKILL);
}

static void sample(void)
{
	int64_t links = read_number(SYSFS "links");
	int64_t views = read_number(SYSFS "views");
	int64_t tables = read_number(SYSFS "tables");

	most_links = links > most_links ? links : most_links;
	most_views = views > most_views ? views : most_views;
	most_tables = tables > most_tables ? tables : most_tables;
}

static void show_file(pid_t pid, const char *name)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		printf("#   %s: %s%s", name, line,
		       strchr(line, '\n') ? "" : "\n");
	if (file)
		fclose(file);
}

static void show_process(pid_t pid)
{
	/* one that runs has no stack to show, but a state and a time */
	show_file(pid, "stat");
	show_file(pid, "stack");
}

/* who holds what, and where it is in the kernel */
static void show_all(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	/* what the processors do goes to the kernel log */
	if (fd < 0 || write(fd, "l", 1) != 1)
		printf("#  no backtraces: errno %d\n", errno);
	if (fd >= 0)
		close(fd);
	for (unsigned int i = 0; i < control->files; i++)
		printf("#  file %u, %s: written by %d\n", i,
		       control->file[i].name, control->file[i].writer - 1);
	for (unsigned int i = 0; i < control->workers; i++) {
		struct slot *slot = &control->slot[i];
		struct hold *child = &control->holds[MAX_WORKERS + i];

		if (!slot->pid)
			continue;
		printf("#  worker %u reads file %d, visits %d, has done %lu operations, last %s\n",
		       i, control->holds[i].file - 1,
		       control->holds[i].visited - 1, slot->operations,
		       slot->notes[(slot->next_note - 1) % HISTORY]);
		show_process(slot->pid);
		if (!slot->child)
			continue;
		printf("#  its child reads file %d\n", child->file - 1);
		show_process(slot->child);
	}
}

static void watch(void)
{
	for (unsigned int i = 0; i < control->workers; i++) {
		struct slot *slot = &control->slot[i];

		if (slot->operations != seen[i] || !slot->pid) {
			seen[i] = slot->operations;
			since[i] = now();
		} else if (now() - since[i] > HANG_SECONDS && !hung) {
			printf("# FAIL progress: worker %u pid %d does nothing for %u s\n",
			       i, slot->pid, HANG_SECONDS);
			print_history(i);
			show_all();
			hung = true;
			control->stop = true;
		}
	}
}

/* whoever has not ended by itself */
static void end_all(void)
{
	double patience = now() + 60;

	for (unsigned int i = 0; i < control->workers; i++)
		if (control->slot[i].pid) {
			control->slot[i].doomed = true;
			kill(control->slot[i].pid, SIGKILL);
		}
	while (reap_all(false))
		if (now() > patience) {
			printf("# FAIL progress: a worker cannot be killed\n");
			show_all();
			exit(1);
		} else {
			usleep(STEP_US);
		}
}

void supervise(void)
{
	double end = now() + control->seconds;
	double patience;
	bool alive = true;

	srand(control->seed);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (unsigned int i = 0; i < control->workers; i++)
		start(i, 0);
	for (uint64_t step = 1; now() < end && !control->stop; step++) {
		usleep(STEP_US);
		reap_all(true);
		if (step % STEPS_TO_SAMPLE == 0) {
			sample();
			watch();
		}
		if (step % STEPS_TO_KILL == 0)
			kill_one();
	}
	control->stop = true;
	for (patience = now() + HANG_SECONDS; alive && now() < patience;) {
		usleep(STEP_US);
		alive = reap_all(false);
		watch();
	}
	if (alive)
		hung = true;
	end_all();
}
