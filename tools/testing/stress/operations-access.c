// SPDX-License-Identifier: GPL-2.0
/* Operations: accesses by this process and by the kernel for it. */
#include <sys/uio.h>

#include "stress.h"

static int reads(void)
{
	struct mapping *m = any_mapping();
	size_t at;

	if (!m)
		return NOTHING;
	for (unsigned int i = 0; i < 8; i++)
		if (any_page(m, &at))
			check_read(m, at);
	return 0;
}

static int writes(void)
{
	struct mapping *m = any_mapping();
	size_t at;

	if (!m)
		return NOTHING;
	for (unsigned int i = 0; i < 8; i++)
		if (any_page(m, &at))
			check_write(m, at);
	return 0;
}

/* neighbours, which one fault may have mapped */
static int walk(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;

	if (!m || !few_pages(m, &at, &count))
		return NOTHING;
	note("walk %p %zu+%zu", m->base, at, count);
	for (size_t i = at; i < at + count; i += 1 + count / 64)
		if (one_in(2))
			check_read(m, i);
		else
			check_write(m, i);
	return 0;
}

/* the same page by all places where this process has it */
static int everywhere(void)
{
	struct mapping *m = any_mapping();
	size_t at, page;

	if (!m || !any_page(m, &at))
		return NOTHING;
	page = m->first + at;
	check_write(m, at);
	for (unsigned int i = 0; i < MAPPINGS; i++) {
		struct mapping *n = &me.mapping[i];

		if (n->base && n->file == m->file && page >= n->first &&
		    page - n->first < n->pages)
			check_read(n, page - n->first);
	}
	return 0;
}

/* the kernel reads from the page: write() of it to a pipe */
static int lend_to_write(void)
{
	struct mapping *m = any_mapping();
	struct view_of_page before;
	char copy[PAGE];
	int ends[2], denied;
	ssize_t result;
	size_t at;

	if (!m || !any_page(m, &at) || m->state[at] & STATE_UNMAPPED)
		return NOTHING;
	note("write(pipe) %p page %zu", m->base, at);
	if (pipe(ends))
		return errno;
	read_lock(m->file);
	model_before(&before, m->file, m->first + at);
	denied = expected(m, at, false);
	result = write(ends[1], m->base + at * PAGE, PAGE);
	if (denied ? result != -1 || errno != EFAULT : result != (ssize_t)PAGE)
		fail(ACCESS,
		     "write() of %p, page %zu, state %#x: expected %s, result %zd, errno %d",
		     (void *)(m->base + at * PAGE), m->first + at, m->state[at],
		     denied ? "EFAULT" : "success", result, errno);
	if (!denied && read(ends[0], copy, PAGE) == (ssize_t)PAGE)
		model_check(&before, m->file, m->first + at, copy, "write()",
			    m->base + at * PAGE);
	read_unlock();
	close(ends[0]);
	close(ends[1]);
	return denied ? EFAULT : 0;
}

/* the kernel stores into the page: read() of one word */
static int lend_to_read(void)
{
	struct mapping *m = any_mapping();
	struct word *word;
	int ends[2], denied;
	uint64_t value;
	ssize_t result;
	size_t at;

	if (!m || !any_page(m, &at) || m->state[at] & STATE_UNMAPPED)
		return NOTHING;
	note("read(pipe) %p page %zu", m->base, at);
	if (pipe(ends))
		return errno;
	read_lock(m->file);
	denied = expected(m, at, true);
	word = model_word(m->file, m->first + at, me.number);
	value = denied ? word->next :
			 model_new(m->file, m->first + at, me.number);
	word->next = value;
	if (write(ends[1], &value, sizeof(value)) != sizeof(value))
		fail(CALLS, "write to a pipe: errno %d", errno);
	result = read(ends[0], m->base + at * PAGE + word_at(me.number),
		      sizeof(value));
	if (denied ? result != -1 || errno != EFAULT : result != sizeof(value))
		fail(ACCESS,
		     "read() to %p, page %zu, state %#x: expected %s, result %zd, errno %d",
		     (void *)(m->base + at * PAGE), m->first + at, m->state[at],
		     denied ? "EFAULT" : "success", result, errno);
	if (!denied)
		word->last = value;
	read_unlock();
	close(ends[0]);
	close(ends[1]);
	return denied ? EFAULT : 0;
}

const struct operation operations_access[] = {
	{ "read", 60, reads },
	{ "write", 60, writes },
	{ "walk", 30, walk },
	{ "everywhere", 20, everywhere },
	{ "lend_to_write", 10, lend_to_write },
	{ "lend_to_read", 10, lend_to_read },
	{}
};
