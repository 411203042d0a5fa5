// SPDX-License-Identifier: GPL-2.0
/* Operations: children, exec and exit. The supervisor kills. */
#include <sys/prctl.h>

#include "stress.h"

/* what MADV_DONTFORK has kept from it */
static void inherit(void)
{
	for (unsigned int i = 0; i < MAPPINGS; i++) {
		struct mapping *m = &me.mapping[i];

		if (!m->base || !any_is(m, 0, m->pages, STATE_NO_FORK))
			continue;
		for (size_t at = 0; at < m->pages; at++)
			if (m->state[at] & STATE_NO_FORK)
				m->state[at] = STATE_UNMAPPED;
	}
	me.offered = -1;
	me.child = 0;
}

static void look_around(unsigned int turns, bool write)
{
	for (unsigned int i = 0; i < turns; i++) {
		struct mapping *m = any_mapping();
		size_t at;

		if (!m || !any_page(m, &at))
			continue;
		if (write && one_in(2))
			check_write(m, at);
		else
			check_read(m, at);
	}
}

/* The child does what its parent might, which waits: the words are its own then. */
static int fork_and_wait(void)
{
	pid_t pid;
	int status;

	if (!any_mapping())
		return NOTHING;
	note("fork_and_wait");
	critical_enter();
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		inherit();
		look_around(20, true);
		if (one_in(2)) {
			struct mapping *m = any_mapping();

			/* its own entries, and nobody else's */
			if (m && !(m->state[0] & (STATE_GONE | STATE_SEALED))) {
				munmap(m->base, PAGE);
				check_unmapped(m->base);
			}
		}
		_exit(0);
	}
	if (pid < 0) {
		critical_leave();
		return errno;
	}
	waitpid(pid, &status, 0);
	critical_leave();
	if (!WIFEXITED(status))
		fail(PROCESSES, "a child died of signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		worker_end(1);
	look_around(4, true);
	return 0;
}

/* reads what others write, and protects parts for itself */
static void live(void)
{
	for (unsigned int turn = 0; turn < 2000 && !control->stop; turn++) {
		struct mapping *m = any_mapping();
		size_t at;

		random_begin(me.number + 128, turn);
		look_around(8, false);
		if (m && one_in(4) && any_page(m, &at) &&
		    !(m->state[at] & (STATE_GONE | STATE_SEALED | STATE_KEY)) &&
		    (m->state[at] & STATE_PROT) != PROT_EXEC) {
			int prot = one_in(2) ? PROT_READ : PROT_NONE;

			note("mprotect %p %zu prot %d", m->base, at, prot);
			ALLOW("mprotect",
			      mprotect(m->base + at * PAGE, PAGE, prot), 0);
			m->state[at] = (m->state[at] & ~STATE_PROT) | prot;
			check_read(m, at);
			check_read(m, at ? at - 1 : at);
		}
		usleep(2000);
	}
}

static int fork_and_go_on(void)
{
	struct slot *slot = &control->slot[me.number];
	pid_t parent = getpid(), pid;

	if (me.child || !any_mapping())
		return NOTHING;
	note("fork_and_go_on");
	critical_enter();
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		me.slot = MAX_WORKERS + me.number;
		inherit();
		live();
		_exit(0);
	}
	if (pid > 0) {
		slot->child = pid;
		me.child = pid;
	}
	critical_leave();
	return pid < 0 ? errno : 0;
}

static int end_child(void)
{
	if (!me.child && fork_and_go_on())
		return NOTHING;
	usleep(random_below(20000));
	note("end_child");
	child_end();
	return 0;
}

static void count(const char *name)
{
	unsigned int i = 0;

	while (strcmp(operation[i].name, name))
		i++;
	control->slot[me.number].ended[i][0]++;
}

static int leave(void)
{
	note("exit");
	count("exit");
	offer_withdraw(&control->slot[me.number], me.number);
	/* its child hears of it */
	if (one_in(2))
		child_end();
	exit(0);
}

static int execute(void)
{
	struct slot *slot = &control->slot[me.number];
	char argument[64];

	note("exec");
	count("exec");
	offer_withdraw(slot, me.number);
	child_end();
	snprintf(argument, sizeof(argument), "%u,%u,%d", me.number,
		 slot->incarnation + 1, control->fd);
	execl("/proc/self/exe", "stress", "--go-on", argument, NULL);
	fail(CALLS, "exec: errno %d", errno);
}

const struct operation operations_process[] = {
	{ "fork_and_wait", 4, fork_and_wait },
	{ "fork_and_go_on", 3, fork_and_go_on },
	{ "end_child", 3, end_child },
	{ "exit", 2, leave },
	{ "exec", 1, execute },
	{}
};
