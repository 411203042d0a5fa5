// SPDX-License-Identifier: GPL-2.0
/* Operations: a disk reads from a mapping and writes to one. */
#include "stress.h"

#define DISK_DIR "/run/scome/ext4"

static char *buffer(void)
{
	static char space[PAGE] __attribute__((aligned(4096)));

	return space;
}

static int scratch(void)
{
	return open(DISK_DIR, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
}

/* what a read needs when the kernel looks at VMAs, and when it looks at entries */
static bool readable_either_way(uint8_t state)
{
	int prot = state & STATE_PROT;

	return prot == PROT_NONE || prot & PROT_READ;
}

/* new words of all workers, from a disk into the mapping */
static int from_disk(void)
{
	struct mapping *m = any_mapping();
	uint64_t value[MAX_WORKERS];
	char *space = buffer();
	int fd, denied;
	ssize_t result;
	size_t at;

	if (!m || !any_page(m, &at) || m->state[at] & STATE_GONE)
		return NOTHING;
	fd = scratch();
	if (fd < 0)
		return errno;
	note("direct_into %p page %zu", m->base, at);
	write_lock(m->file);
	memset(space, 0, PAGE);
	for (unsigned int i = 0; i < control->workers; i++) {
		value[i] = model_new(m->file, m->first + at, i);
		memcpy(space + word_at(i), &value[i], sizeof(value[i]));
	}
	ALLOW("direct write", pwrite(fd, space, PAGE, 0), 0);
	denied = expected(m, at, true);
	result = pread(fd, m->base + at * PAGE, PAGE, 0);
	if (denied ? result != -1 || errno != EFAULT : result != (ssize_t)PAGE)
		fail(ACCESS,
		     "direct read into %p, page %zu, state %#x: expected %s, result %zd, errno %d",
		     (void *)(m->base + at * PAGE), m->first + at, m->state[at],
		     denied ? "EFAULT" : "success", result, errno);
	for (unsigned int i = 0; !denied && i < control->workers; i++) {
		struct word *word = model_word(m->file, m->first + at, i);

		word->next = value[i];
		word->last = value[i];
	}
	write_unlock(m->file);
	close(fd);
	check_read(m, at);
	return denied ? EFAULT : 0;
}

static int to_disk(void)
{
	struct mapping *m = any_mapping();
	struct view_of_page before;
	char *space = buffer();
	int fd, denied;
	ssize_t result;
	size_t at;

	if (!m || !any_page(m, &at) || m->state[at] & STATE_GONE ||
	    !readable_either_way(m->state[at]))
		return NOTHING;
	fd = scratch();
	if (fd < 0)
		return errno;
	note("direct_from %p page %zu", m->base, at);
	read_lock(m->file);
	model_before(&before, m->file, m->first + at);
	denied = expected(m, at, false);
	result = pwrite(fd, m->base + at * PAGE, PAGE, 0);
	if (denied ? result != -1 || errno != EFAULT : result != (ssize_t)PAGE)
		fail(ACCESS,
		     "direct write from %p, page %zu, state %#x: expected %s, result %zd, errno %d",
		     (void *)(m->base + at * PAGE), m->first + at, m->state[at],
		     denied ? "EFAULT" : "success", result, errno);
	if (!denied) {
		ALLOW("direct read", pread(fd, space, PAGE, 0), 0);
		model_check(&before, m->file, m->first + at, space,
			    "direct write", m->base + at * PAGE);
	}
	read_unlock();
	close(fd);
	return denied ? EFAULT : 0;
}

const struct operation operations_direct[] = { { "direct_into", 5, from_disk },
					       { "direct_from", 5, to_disk },
					       {} };
