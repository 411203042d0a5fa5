// SPDX-License-Identifier: GPL-2.0
/* Accesses to the mappings of this worker, and what they must do. */
#include "stress.h"

static int key_denies(uint8_t state, bool write)
{
	bool denied = me.key_rights & PKEY_DISABLE_ACCESS ||
		      (write && me.key_rights & PKEY_DISABLE_WRITE);

	return state & STATE_KEY && denied ? RAISED(SIGSEGV, SEGV_PKUERR) : 0;
}

/* PROT_EXEC alone is a protection key where the processor has such */
static int prot_denies(int prot, bool write)
{
	int denied = RAISED(SIGSEGV, SEGV_ACCERR);

	if (prot == PROT_EXEC && control->have_keys)
		return RAISED(SIGSEGV, SEGV_PKUERR);
	if (write)
		return prot & PROT_WRITE ? 0 : denied;
	return prot != PROT_NONE ? 0 : denied;
}

/* with the lock of the file */
int expected(struct mapping *m, size_t at, bool write)
{
	uint8_t state = m->state[at];
	int denied;

	if (state & STATE_RESERVED)
		return RAISED(SIGSEGV, SEGV_ACCERR);
	denied = key_denies(state, write);
	if (!denied)
		denied = prot_denies(state & STATE_PROT, write);
	if (!denied && m->first + at >= control->file[m->file].pages)
		denied = RAISED(SIGBUS, BUS_ADRERR);
	return denied;
}

static const char *raised_text(int raised)
{
	switch (raised) {
	case 0:
		return "success";
	case RAISED(SIGSEGV, SEGV_MAPERR):
		return "SIGSEGV, not mapped";
	case RAISED(SIGSEGV, SEGV_ACCERR):
		return "SIGSEGV, denied";
	case RAISED(SIGSEGV, SEGV_PKUERR):
		return "SIGSEGV, key";
	case RAISED(SIGBUS, BUS_ADRERR):
		return "SIGBUS, beyond the end";
	}
	return "another signal";
}

static void compare(struct mapping *m, size_t at, const char *what, int seen,
		    int wanted)
{
	control->slot[me.number].accesses++;
	control->slot[me.number].signals += seen != 0;
	if (seen != wanted)
		fail(ACCESS,
		     "%s at %p, page %zu of %s, state %#x: expected %s, seen %s (%#x)",
		     what, (void *)(m->base + at * PAGE), m->first + at,
		     control->file[m->file].name, m->state[at],
		     raised_text(wanted), raised_text(seen), seen);
}

void check_read(struct mapping *m, size_t at)
{
	const char *address = m->base + at * PAGE;
	struct view_of_page before;
	char copy[PAGE];
	int raised;

	if (m->state[at] & STATE_UNMAPPED ||
	    file_page_slot(&control->file[m->file], m->first + at) < 0)
		return;
	read_lock(m->file);
	model_before(&before, m->file, m->first + at);
	raised = try_read_page(address, copy);
	compare(m, at, "read", raised, expected(m, at, false));
	if (!raised)
		model_check(&before, m->file, m->first + at, copy, "read",
			    address);
	read_unlock();
}

void check_write(struct mapping *m, size_t at)
{
	char *address = m->base + at * PAGE + word_at(me.number);
	struct word *word;
	int wanted;

	if (m->state[at] & STATE_UNMAPPED ||
	    file_page_slot(&control->file[m->file], m->first + at) < 0)
		return;
	read_lock(m->file);
	word = model_word(m->file, m->first + at, me.number);
	wanted = expected(m, at, true);
	if (!wanted)
		word->next = model_new(m->file, m->first + at, me.number);
	compare(m, at, "write", try_write(address, word->next), wanted);
	if (!wanted)
		word->last = word->next;
	read_unlock();
}

void check_pages(struct mapping *m, size_t at, size_t count)
{
	size_t some[] = { at, at + count - 1, at + random_below(count), at - 1,
			  at + count };

	for (unsigned int i = 0; i < sizeof(some) / sizeof(*some); i++) {
		if (some[i] >= m->pages)
			continue;
		if (one_in(2))
			check_write(m, some[i]);
		if (one_in(2))
			check_read(m, some[i]);
	}
}

/* at once after munmap(), before anything else can be there */
void check_unmapped(const char *address)
{
	char copy[PAGE];
	int raised = try_read_page(address, copy);

	if (raised != RAISED(SIGSEGV, SEGV_MAPERR))
		fail(ACCESS, "read at %p after munmap(): expected %s, seen %s",
		     address, raised_text(RAISED(SIGSEGV, SEGV_MAPERR)),
		     raised_text(raised));
}
