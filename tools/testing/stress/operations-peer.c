// SPDX-License-Identifier: GPL-2.0
/* Operations: the memory of another worker, which offers a mapping for it. */
#include <sys/uio.h>

#include "stress.h"

/* pages that stay where they are as long as somebody visits */
static int offer(void)
{
	struct slot *slot = &control->slot[me.number];
	struct mapping *m = any_mapping();

	if (!m || any_is(m, 0, m->pages, STATE_GONE))
		return NOTHING;
	if (me.offered >= 0)
		mapping_release(&me.mapping[me.offered]);
	note("offer %p", m->base);
	slot->offer.file = m->file;
	slot->offer.base = (uintptr_t)m->base;
	slot->offer.first = m->first;
	slot->offer.pages = m->pages;
	me.offered = m - me.mapping;
	slot->offer.valid = 1;
	return 0;
}

struct visited {
	pid_t pid;
	unsigned int file;
	size_t page; /* of the file */
	uintptr_t address;
	bool inside; /* the file is that long */
};

/* a page of somebody's, and the lock of its file */
static bool begin(struct visited *visited)
{
	unsigned int start = random_below(control->workers), other = start;
	const struct file *file;
	struct slot *slot;

	while (!visit(other)) {
		other = (other + 1) % control->workers;
		if (other == start)
			return false;
	}
	slot = &control->slot[other];
	visited->pid = slot->pid;
	visited->file = slot->offer.file;
	file = &control->file[visited->file];
	for (unsigned int i = 0; i < 8; i++) {
		size_t page = file->range_of[random_below(file->slots)] *
				      RANGE_PAGES +
			      random_below(RANGE_PAGES);

		if (page < slot->offer.first ||
		    page >= slot->offer.first + slot->offer.pages)
			continue;
		visited->page = page;
		visited->address =
			slot->offer.base + (page - slot->offer.first) * PAGE;
		note("visit worker %u pid %d %#lx page %zu", other,
		     visited->pid, visited->address, page);
		read_lock(visited->file);
		visited->inside = page < file->pages;
		return true;
	}
	visit_end();
	return false;
}

static void end(void)
{
	read_unlock();
	visit_end();
}

static int open_memory(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int read_other(bool by_file)
{
	struct view_of_page before;
	struct visited visited;
	char copy[PAGE];
	struct iovec here = { copy, PAGE }, there;
	ssize_t result;
	int fd = -1, code;

	if (!begin(&visited))
		return NOTHING;
	there = (struct iovec){ (void *)visited.address, PAGE };
	model_before(&before, visited.file, visited.page);
	if (by_file) {
		fd = open_memory(visited.pid);
		result = fd < 0 ? -1 : pread(fd, copy, PAGE, visited.address);
	} else {
		result = process_vm_readv(visited.pid, &here, 1, &there, 1, 0);
	}
	/* what it is protected from is its owner's secret */
	code = ALLOW("reading from another process", result, 0, EFAULT, EIO,
		     ESRCH, ENOENT, EACCES);
	if (!code && !visited.inside && result)
		fail(ACCESS, "%zd bytes were read beyond the end of a file",
		     result);
	if (!code && result == (ssize_t)PAGE)
		model_check(&before, visited.file, visited.page, copy,
			    by_file ? "/proc/PID/mem" : "process_vm_readv",
			    (void *)visited.address);
	if (fd >= 0)
		close(fd);
	end();
	return code;
}

static int write_other(bool by_file)
{
	struct visited visited;
	uint64_t value, was;
	struct iovec here = { &value, sizeof(value) }, there;
	struct word *word;
	ssize_t result;
	int fd = -1, code;

	if (!begin(&visited))
		return NOTHING;
	there = (struct iovec){ (char *)visited.address + word_at(me.number),
				sizeof(value) };
	word = model_word(visited.file, visited.page, me.number);
	value = model_new(visited.file, visited.page, me.number);
	/* one that was killed at it may have stored that */
	was = word->next;
	if (visited.inside)
		word->next = value;
	if (by_file) {
		fd = open_memory(visited.pid);
		result = fd < 0 ? -1 :
				  pwrite(fd, &value, sizeof(value),
					 (off_t)(uintptr_t)there.iov_base);
	} else {
		result = process_vm_writev(visited.pid, &here, 1, &there, 1, 0);
	}
	code = ALLOW("writing to another process", result, 0, EFAULT, EIO,
		     ESRCH, ENOENT, EACCES);
	if (!code && result != sizeof(value))
		code = EIO;
	if (!code && !visited.inside)
		fail(ACCESS, "%zd bytes were written beyond the end of a file",
		     result);
	/* a call that failed has stored nothing */
	if (!code)
		word->last = value;
	else
		word->next = was;
	if (fd >= 0)
		close(fd);
	end();
	return code;
}

static int read_vm(void)
{
	return read_other(false);
}

static int write_vm(void)
{
	return write_other(false);
}

static int read_mem(void)
{
	return read_other(true);
}

static int write_mem(void)
{
	return write_other(true);
}

const struct operation operations_peer[] = {
	{ "offer", 10, offer },
	{ "process_vm_readv", 10, read_vm },
	{ "process_vm_writev", 10, write_vm },
	{ "proc_mem_read", 5, read_mem },
	{ "proc_mem_write", 5, write_mem },
	{}
};
