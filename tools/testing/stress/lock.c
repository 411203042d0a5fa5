// SPDX-License-Identifier: GPL-2.0
/*
 * Locks whose holders can be killed.
 *
 * A reader says in its own hold what it reads, so whoever buries it can let go of
 * it. A writer is in a critical section: who wants to kill it waits. Each pair of
 * sides writes its own flag first and looks at the other's then.
 */
#include "stress.h"

static void pause_shortly(void)
{
	usleep(200);
}

void critical_enter(void)
{
	struct slot *slot = &control->slot[me.number];

	if (slot->critical++)
		return;
	while (slot->doomed) {
		slot->critical--;
		while (slot->doomed)
			pause_shortly();
		slot->critical++;
	}
}

void critical_leave(void)
{
	control->slot[me.number].critical--;
}

void read_lock(unsigned int file)
{
	struct hold *hold = &control->holds[me.slot];

	for (;;) {
		hold->file = file + 1;
		if (!control->file[file].writer)
			return;
		hold->file = 0;
		while (control->file[file].writer)
			pause_shortly();
	}
}

void read_unlock(void)
{
	control->holds[me.slot].file = 0;
}

void write_lock(unsigned int file)
{
	int nobody = 0;

	critical_enter();
	while (!atomic_compare_exchange_strong(&control->file[file].writer,
					       &nobody, me.number + 1)) {
		nobody = 0;
		critical_leave();
		pause_shortly();
		critical_enter();
	}
	for (unsigned int i = 0; i < 2 * MAX_WORKERS; i++)
		while (control->holds[i].file == (int)file + 1)
			pause_shortly();
}

void write_unlock(unsigned int file)
{
	control->file[file].writer = 0;
	critical_leave();
}

/* the mapping that the worker offers stays until visit_end() */
bool visit(unsigned int worker)
{
	control->holds[me.slot].visited = worker + 1;
	if (control->slot[worker].offer.valid)
		return true;
	visit_end();
	return false;
}

void visit_end(void)
{
	control->holds[me.slot].visited = 0;
}

void offer_withdraw(struct slot *slot, unsigned int worker)
{
	slot->offer.valid = 0;
	for (unsigned int i = 0; i < 2 * MAX_WORKERS; i++)
		while (control->holds[i].visited == (int)worker + 1)
			pause_shortly();
}
