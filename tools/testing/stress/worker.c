// SPDX-License-Identifier: GPL-2.0
/* A worker: one operation after the other. */
#include <sys/prctl.h>
#include <time.h>

#include "stress.h"

struct worker me;
struct operation operation[MAX_OPERATIONS];
unsigned int operation_count;

void operations_collect(void)
{
	static const struct operation *const subjects[] = {
		operations_map,	    operations_access, operations_remap,
		operations_protect, operations_advise, operations_file,
		operations_unit,    operations_direct, operations_process,
		operations_peer,    operations_system,
	};

	for (unsigned int i = 0; i < sizeof(subjects) / sizeof(*subjects); i++)
		for (const struct operation *o = subjects[i]; o->name; o++)
			operation[operation_count++] = *o;
	if (operation_count > MAX_OPERATIONS)
		abort();
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), result = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		result = errno;
	close(fd);
	return result;
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

/* the child that lives on, if there is one */
void child_end(void)
{
	struct slot *slot = &control->slot[me.number];

	if (!me.child)
		return;
	critical_enter();
	kill(me.child, SIGKILL);
	waitpid(me.child, NULL, 0);
	control->holds[MAX_WORKERS + me.number] = (struct hold){ 0 };
	slot->child = 0;
	me.child = 0;
	critical_leave();
}

void worker_end(int status)
{
	offer_withdraw(&control->slot[me.number], me.number);
	child_end();
	_exit(status);
}

/* eight workers begin with a part of the list each, so that nothing is missing */
static unsigned int choose(uint64_t number)
{
	unsigned int parts = control->workers < 8 ? control->workers : 8;
	uint64_t sum = 0, at = number * parts + me.number % parts;

	if (at < operation_count && control->enabled[at])
		return at;
	for (unsigned int i = 0; i < operation_count; i++)
		sum += control->enabled[i] ? operation[i].weight : 0;
	at = random_below(sum);
	for (unsigned int i = 0;; i++) {
		uint64_t weight = control->enabled[i] ? operation[i].weight : 0;

		if (at < weight)
			return i;
		at -= weight;
	}
}

static void one_operation(void)
{
	struct slot *slot = &control->slot[me.number];
	uint64_t number = slot->operations;
	double started = now();
	unsigned int chosen;
	int result;

	random_begin(me.number, number);
	chosen = choose(number);
	/* before it runs: it may be the end of this process */
	slot->operations++;
	note("%s", operation[chosen].name);
	result = operation[chosen].run();
	slot->ended[chosen][result == NOTHING ? NOTHING_TO_DO : result]++;
	slot->took[chosen] += now() - started;
}

static void set_up(unsigned int number, unsigned int incarnation)
{
	struct slot *slot = &control->slot[number];

	me = (struct worker){
		.number = number, .slot = number, .uffd = -1, .offered = -1
	};
	slot->incarnation = incarnation;
	slot->pid = getpid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	access_setup();
	me.key = pkey_alloc(0, 0);
	/* a buffer now: no memory of the C library is mapped shared later */
	if (number % 8 >= 4 && number % 8 < 7 && control->have_scome &&
	    scome_set(SCOME_ON, number % 2 ? 0 : 4 * MIB))
		fail(CALLS, "prctl: errno %d", errno);
	note("begins, incarnation %u", incarnation);
}

void worker_run(unsigned int number, unsigned int incarnation)
{
	unsigned int map = 0;

	set_up(number, incarnation);
	while (strcmp(operation[map].name, "map"))
		map++;
	/* something to begin with */
	for (unsigned int i = 0; i < 3; i++) {
		random_begin(number + ((uint64_t)incarnation << 8), i);
		note("map, to begin with");
		operation[map].run();
	}
	while (!control->stop)
		one_operation();
	worker_end(0);
}
