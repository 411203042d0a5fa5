// SPDX-License-Identifier: GPL-2.0
/* Operations: permissions of parts, keys and seals. */
#include "stress.h"

#ifndef __NR_mseal
#define __NR_mseal 462
#endif

/* what is in `gone` goes, what is in `new` comes */
static void change_states(struct mapping *m, size_t at, size_t count,
			  uint8_t gone, uint8_t new)
{
	if (all_are(m, at, count, m->state[at])) {
		memset(m->state + at, (m->state[at] & ~gone) | new, count);
		return;
	}
	for (size_t i = at; i < at + count; i++)
		m->state[i] = (m->state[i] & ~gone) | new;
}

static int sealed_part(struct mapping *m, size_t at, size_t count, int prot)
{
	int code;

	/* where the first page may change, it would */
	while (!(m->state[at] & STATE_SEALED)) {
		at++;
		count--;
	}
	code = ALLOW("mprotect of a sealed part",
		     mprotect(m->base + at * PAGE, count * PAGE, prot), EPERM);
	check_pages(m, at, count);
	return code;
}

static int change(struct mapping *m, size_t at, size_t count, int prot)
{
	note("mprotect %p %zu+%zu prot %d", m->base, at, count, prot);
	if (any_is(m, at, count, STATE_SEALED))
		return sealed_part(m, at, count, prot);
	ALLOW("mprotect", mprotect(m->base + at * PAGE, count * PAGE, prot), 0);
	/* PROT_EXEC alone takes the key away */
	change_states(m, at, count,
		      STATE_PROT | (prot == PROT_EXEC ? STATE_KEY : 0), prot);
	check_pages(m, at, count);
	return 0;
}

static int protect(void)
{
	static const int prots[] = { RW,	 PROT_READ,
				     PROT_READ,	 PROT_NONE,
				     RW,	 PROT_READ | PROT_EXEC,
				     PROT_WRITE, RW | PROT_EXEC };
	struct mapping *m = any_mapping();
	size_t at, count;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	return change(m, at, count, prots[random_below(8)]);
}

/* several parts of one range, as others have them: the same views */
static int protect_pattern(void)
{
	struct mapping *m = any_mapping();
	size_t at, from, step;
	int prot = one_in(3) ? PROT_NONE : PROT_READ;
	int code = NOTHING;

	if (!m || !any_page(m, &at))
		return NOTHING;
	from = (m->first + at) / RANGE_PAGES * RANGE_PAGES;
	step = 32 << random_below(4);
	for (size_t page = from; page < from + RANGE_PAGES; page += step) {
		if (page < m->first || page - m->first + 8 > m->pages ||
		    any_is(m, page - m->first, 8, STATE_GONE))
			continue;
		code = change(m, page - m->first, 8, prot);
	}
	return code;
}

/* all of it back to what most have */
static int protect_back(void)
{
	struct mapping *m = any_mapping();

	if (!m || any_is(m, 0, m->pages, STATE_GONE))
		return NOTHING;
	return change(m, 0, m->pages, RW);
}

static int protect_execute_only(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	return change(m, at, count, PROT_EXEC);
}

static int set_key(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;
	int key;

	if (!m || me.key < 0 || !any_pages(m, &at, &count) ||
	    any_is(m, at, count, STATE_SEALED))
		return NOTHING;
	key = one_in(3) ? 0 : me.key;
	note("pkey_mprotect %p %zu+%zu key %d", m->base, at, count, key);
	ALLOW("pkey_mprotect",
	      pkey_mprotect(m->base + at * PAGE, count * PAGE, RW, key), 0);
	change_states(m, at, count, STATE_PROT | STATE_KEY,
		      RW | (key ? STATE_KEY : 0));
	check_pages(m, at, count);
	return 0;
}

static int key_rights(void)
{
	static const unsigned int rights[] = { 0, PKEY_DISABLE_ACCESS,
					       PKEY_DISABLE_WRITE };

	if (me.key < 0)
		return NOTHING;
	me.key_rights = rights[random_below(3)];
	note("pkey_set %#x", me.key_rights);
	return ALLOW("pkey_set", pkey_set(me.key, me.key_rights), 0);
}

/* stays until this process ends */
static int seal(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;
	int code;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	note("mseal %p %zu+%zu", m->base, at, count);
	code = ALLOW("mseal",
		     syscall(__NR_mseal, m->base + at * PAGE, count * PAGE, 0),
		     0, ENOSYS);
	if (!code)
		change_states(m, at, count, 0, STATE_SEALED);
	check_pages(m, at, count);
	return code;
}

const struct operation operations_protect[] = {
	{ "mprotect", 40, protect },
	{ "mprotect_pattern", 15, protect_pattern },
	{ "mprotect_back", 15, protect_back },
	{ "mprotect_execute_only", 2, protect_execute_only },
	{ "pkey_mprotect", 4, set_key },
	{ "pkey_set", 4, key_rights },
	{ "mseal", 1, seal },
	{}
};
