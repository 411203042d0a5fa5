// SPDX-License-Identifier: GPL-2.0
/* Operations: advice, locks in memory, and userfaultfd. */
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "stress.h"

#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static int advise_pages(struct mapping *m, size_t at, size_t count, int advice)
{
	int code;

	note("madvise %p %zu+%zu advice %d", m->base, at, count, advice);
	code = ALLOW("madvise",
		     madvise(m->base + at * PAGE, count * PAGE, advice), 0,
		     EINVAL, EBUSY, EAGAIN, ENOMEM, EIO);
	check_pages(m, at, count);
	return code;
}

static int advise(int advice)
{
	struct mapping *m = any_mapping();
	size_t at, count;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	return advise_pages(m, at, count, advice);
}

static int dont_need(void)
{
	return advise(MADV_DONTNEED);
}

static int cold(void)
{
	return advise(MADV_COLD);
}

static int page_out(void)
{
	return advise(MADV_PAGEOUT);
}

static int read_ahead(void)
{
	static const int advice[] = { MADV_RANDOM, MADV_SEQUENTIAL,
				      MADV_NORMAL };

	return advise(advice[random_below(3)]);
}

static int will_need(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;

	if (!m || !few_pages(m, &at, &count))
		return NOTHING;
	return advise_pages(m, at, count, MADV_WILLNEED);
}

static int not_to_child(void)
{
	struct mapping *m = any_mapping();
	bool hide = one_in(3);
	size_t at, count;
	int code;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	code = advise_pages(m, at, count, hide ? MADV_DONTFORK : MADV_DOFORK);
	for (size_t i = at; !code && i < at + count; i++)
		m->state[i] = hide ? m->state[i] | STATE_NO_FORK :
				     m->state[i] & ~STATE_NO_FORK;
	return code;
}

static int huge(void)
{
	return advise(MADV_HUGEPAGE);
}

static int no_huge(void)
{
	return advise(MADV_NOHUGEPAGE);
}

/* what is between the slots of a long file stays empty */
static int collapse(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;

	if (!m || !few_pages(m, &at, &count))
		return NOTHING;
	return advise_pages(m, at, count, MADV_COLLAPSE);
}

static int populate(int advice, bool write)
{
	struct mapping *m = any_mapping();
	size_t at, count;
	bool denied = false, key = false;
	int code;

	if (!m || !few_pages(m, &at, &count))
		return NOTHING;
	note("populate %p %zu+%zu advice %d", m->base, at, count, advice);
	read_lock(m->file);
	for (size_t i = at; i < at + count; i++) {
		int prot = m->state[i] & STATE_PROT;

		denied |= m->first + i >= control->file[m->file].pages;
		denied |= write ? !(prot & PROT_WRITE) : !(prot & PROT_READ);
		/* what a key does here is not what this test is about */
		key |= m->state[i] & STATE_KEY || prot == PROT_EXEC;
	}
	code = ALLOW("madvise(MADV_POPULATE)",
		     madvise(m->base + at * PAGE, count * PAGE, advice), 0,
		     EINVAL, EFAULT);
	if (!key && !code == denied)
		fail(CALLS, "MADV_POPULATE of pages that are %s: errno %d",
		     denied ? "denied" : "allowed", code);
	read_unlock();
	check_pages(m, at, count);
	return code;
}

static int populate_read(void)
{
	return populate(MADV_POPULATE_READ, false);
}

static int populate_write(void)
{
	return populate(MADV_POPULATE_WRITE, true);
}

/* each takes a page from this machine for ever */
static int soft_offline(void)
{
	struct mapping *m = any_mapping();
	size_t at;

	if (!m || !any_page(m, &at) || m->state[at] & STATE_GONE)
		return NOTHING;
	note("soft_offline %p %zu", m->base, at);
	/* it takes a page that can be read for itself */
	return ALLOW("madvise(MADV_SOFT_OFFLINE)",
		     madvise(m->base + at * PAGE, PAGE, MADV_SOFT_OFFLINE), 0,
		     EFAULT, EBUSY, EIO, EINVAL, EAGAIN, EHWPOISON, ENOMEM,
		     EOPNOTSUPP);
}

static int lock(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;
	int code;

	if (!m || !few_pages(m, &at, &count))
		return NOTHING;
	note("mlock %p %zu+%zu", m->base, at, count);
	m->locked = true;
	/* ENOMEM: some cannot be populated */
	code = ALLOW("mlock",
		     mlock2(m->base + at * PAGE, count * PAGE,
			    one_in(2) ? MLOCK_ONFAULT : 0),
		     0, ENOMEM, EAGAIN);
	check_pages(m, at, count);
	return code;
}

static int unlock(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;

	if (!m || !any_pages(m, &at, &count))
		return NOTHING;
	note("munlock %p %zu+%zu", m->base, at, count);
	ALLOW("munlock", munlock(m->base + at * PAGE, count * PAGE), 0);
	check_pages(m, at, count);
	return 0;
}

static int unlock_all(void)
{
	note("munlockall");
	return ALLOW("munlockall", munlockall(), 0);
}

/* writes to what is protected asynchronously succeed */
static int register_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_WP_ASYNC };
	struct mapping *m = any_mapping();
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect protect = {
		.mode = UFFDIO_WRITEPROTECT_MODE_WP
	};
	size_t at, count;
	int code;

	if (!m || me.uffd >= 0 || !few_pages(m, &at, &count))
		return NOTHING;
	me.uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (me.uffd < 0 || ioctl(me.uffd, UFFDIO_API, &api)) {
		code = errno;
		if (me.uffd >= 0)
			close(me.uffd);
		me.uffd = -1;
		return code;
	}
	range.range.start = (uintptr_t)m->base + at * PAGE;
	range.range.len = count * PAGE;
	note("uffd_register %p %zu+%zu", m->base, at, count);
	code = ALLOW("UFFDIO_REGISTER", ioctl(me.uffd, UFFDIO_REGISTER, &range),
		     0, EINVAL, EPERM, ENOMEM, EBUSY);
	protect.range = range.range;
	if (!code && one_in(2))
		ALLOW("UFFDIO_WRITEPROTECT",
		      ioctl(me.uffd, UFFDIO_WRITEPROTECT, &protect), 0, ENOENT,
		      EAGAIN, EFAULT);
	check_pages(m, at, count);
	return code;
}

static int close_uffd(void)
{
	if (me.uffd < 0)
		register_uffd();
	if (me.uffd < 0)
		return NOTHING;
	note("uffd_close");
	close(me.uffd);
	me.uffd = -1;
	return 0;
}

const struct operation operations_advise[] = {
	{ "dontneed", 12, dont_need },
	{ "cold", 4, cold },
	{ "pageout", 4, page_out },
	{ "willneed", 2, will_need },
	{ "readahead", 2, read_ahead },
	{ "dontfork", 3, not_to_child },
	{ "hugepage", 2, huge },
	{ "nohugepage", 2, no_huge },
	{ "collapse", 2, collapse },
	{ "populate_read", 6, populate_read },
	{ "populate_write", 6, populate_write },
	{ "soft_offline", 1, soft_offline },
	{ "mlock", 3, lock },
	{ "munlock", 3, unlock },
	{ "munlockall", 1, unlock_all },
	{ "uffd_register", 2, register_uffd },
	{ "uffd_close", 2, close_uffd },
	{}
};
