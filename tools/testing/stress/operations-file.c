// SPDX-License-Identifier: GPL-2.0
/* Operations on the files: sizes, holes, write-back, read() and write(). */
#include "stress.h"

static struct file *any_file(unsigned int *number)
{
	*number = random_below(control->files);
	return &control->file[*number];
}

/* from a random one on the first that suits, or NULL */
static struct file *file_that(bool (*suits)(const struct file *file),
			      unsigned int *number)
{
	unsigned int start = random_below(control->files);

	for (unsigned int i = 0; i < control->files; i++) {
		*number = (start + i) % control->files;
		if (suits(&control->file[*number]))
			return &control->file[*number];
	}
	return NULL;
}

static bool is_short(const struct file *file)
{
	return file->pages < file->max_pages;
}

static bool on_disk(const struct file *file)
{
	return file->direct >= 0;
}

static bool on_disk_without_gaps(const struct file *file)
{
	return on_disk(file) && file->slots * RANGE_PAGES == file->max_pages;
}

/* pages with contents, whatever the size is */
static void file_pages(const struct file *file, size_t *from, size_t *to)
{
	*from = file->range_of[random_below(file->slots)] * RANGE_PAGES;
	switch (random_below(16)) {
	case 0:
		*to = *from + 3 * RANGE_PAGES;
		break;
	case 1:
	case 2:
		*to = *from + RANGE_PAGES;
		break;
	default:
		*from += random_below(RANGE_PAGES);
		*to = *from + 1 + random_below(64);
	}
	if (*to > file->max_pages)
		*to = file->max_pages;
	if (*from >= *to)
		*from = *to - 1;
}

static int resize(void)
{
	unsigned int number;
	struct file *file = any_file(&number);
	size_t from, pages = file->max_pages, old;

	if (file->kind == SYSV)
		return NOTHING;
	/* the end mostly, or nothing would be left to see */
	if (one_in(6)) {
		file_pages(file, &from, &pages);
		if (one_in(2))
			pages = from + 1;
	} else {
		pages -= random_below(RANGE_PAGES);
	}
	/*
	 * The base tree's shmem_undo_range() does not come to an end when a file
	 * ends inside of a huge page that is swapped out as one.
	 */
	if (file->kind != DISK && pages > RANGE_PAGES)
		pages -= pages % RANGE_PAGES;
	else if (file->kind != DISK)
		pages = RANGE_PAGES;
	note("truncate %s to %zu", file->name, pages);
	write_lock(number);
	old = file->pages;
	ALLOW("ftruncate", ftruncate(file->fd, pages * PAGE), 0);
	file->pages = pages;
	if (pages < old)
		model_clear(number, pages, old);
	write_unlock(number);
	return 0;
}

static int grow_back(void)
{
	unsigned int number;
	struct file *file = file_that(is_short, &number);
	int code = 0;

	if (!file)
		return NOTHING;
	note("grow %s", file->name);
	write_lock(number);
	if (file->max_pages < GIB_PAGES && one_in(2))
		code = ALLOW("fallocate",
			     fallocate(file->fd, 0, 0, file->max_pages * PAGE),
			     0, ENOSPC);
	else
		ALLOW("ftruncate", ftruncate(file->fd, file->max_pages * PAGE),
		      0);
	if (!code)
		file->pages = file->max_pages;
	else
		ALLOW("ftruncate", ftruncate(file->fd, file->pages * PAGE), 0);
	write_unlock(number);
	return code;
}

static int take_out(const char *name, int mode)
{
	unsigned int number;
	struct file *file = any_file(&number);
	size_t from, to;
	int code;

	file_pages(file, &from, &to);
	note("%s %s %zu to %zu", name, file->name, from, to);
	write_lock(number);
	code = ALLOW(name,
		     fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE,
			       from * PAGE, (to - from) * PAGE),
		     0, EOPNOTSUPP, ENOSPC, EINTR);
	if (!code)
		model_clear(number, from, to);
	else if (code != EOPNOTSUPP)
		model_relearn(number, from, to);
	write_unlock(number);
	return code;
}

static int punch(void)
{
	return take_out("punch", FALLOC_FL_PUNCH_HOLE);
}

static int zero(void)
{
	return take_out("zero", FALLOC_FL_ZERO_RANGE);
}

/* what is behind it moves to the front */
static int collapse(void)
{
	unsigned int number;
	struct file *file = file_that(on_disk_without_gaps, &number);
	size_t from, to;
	int code;

	if (!file)
		return NOTHING;
	file_pages(file, &from, &to);
	note("collapse_range %s %zu to %zu", file->name, from, to);
	write_lock(number);
	if (to < file->pages) {
		code = ALLOW("fallocate(FALLOC_FL_COLLAPSE_RANGE)",
			     fallocate(file->fd, FALLOC_FL_COLLAPSE_RANGE,
				       from * PAGE, (to - from) * PAGE),
			     0, EOPNOTSUPP);
		if (!code) {
			model_collapse(number, from, to);
			file->pages -= to - from;
		}
	} else {
		code = NOTHING;
	}
	write_unlock(number);
	return code;
}

/* a hole by way of a mapping */
static int remove_pages(void)
{
	struct mapping *m = any_mapping();
	size_t at, count;
	int code;

	if (!m || !few_pages(m, &at, &count))
		return NOTHING;
	note("madvise(MADV_REMOVE) %p %zu+%zu", m->base, at, count);
	write_lock(m->file);
	code = ALLOW("madvise(MADV_REMOVE)",
		     madvise(m->base + at * PAGE, count * PAGE, MADV_REMOVE), 0,
		     EACCES, EINVAL, EOPNOTSUPP, ENOSPC, EINTR);
	if (!code)
		model_clear(m->file, m->first + at, m->first + at + count);
	else
		model_relearn(m->file, m->first + at, m->first + at + count);
	write_unlock(m->file);
	check_pages(m, at, count);
	return code;
}

static bool any_file_page(const struct file *file, size_t *page)
{
	*page = file->range_of[random_below(file->slots)] * RANGE_PAGES +
		random_below(RANGE_PAGES);
	return *page < file->max_pages;
}

static int read_file(int fd, unsigned int number, size_t page, const char *how)
{
	static char copy[PAGE] __attribute__((aligned(4096)));
	struct file *file = &control->file[number];
	struct view_of_page before;
	ssize_t result;

	note("%s %s page %zu", how, file->name, page);
	read_lock(number);
	model_before(&before, number, page);
	result = pread(fd, copy, PAGE, page * PAGE);
	if (result != (page < file->pages ? (ssize_t)PAGE : 0))
		fail(CALLS, "%s: result %zd, errno %d", how, result, errno);
	if (result)
		model_check(&before, number, page, copy, how, NULL);
	read_unlock();
	return 0;
}

static int reads(void)
{
	unsigned int number;
	struct file *file = any_file(&number);
	size_t page;

	if (!any_file_page(file, &page))
		return NOTHING;
	return read_file(file->fd, number, page, "pread");
}

/* what is dirty must be written first, so it must be known to be */
static int reads_disk(void)
{
	unsigned int number;
	struct file *file = file_that(on_disk, &number);
	size_t page;

	if (!file || !any_file_page(file, &page))
		return NOTHING;
	return read_file(file->direct, number, page, "direct_pread");
}

static int writes(void)
{
	unsigned int number;
	struct file *file = any_file(&number);
	struct word *word;
	int code = 0;
	size_t page;

	if (!any_file_page(file, &page))
		return NOTHING;
	note("pwrite %s page %zu", file->name, page);
	read_lock(number);
	if (page < file->pages) {
		uint64_t value = model_new(number, page, me.number);

		word = model_word(number, page, me.number);
		word->next = value;
		ALLOW("pwrite",
		      pwrite(file->fd, &value, sizeof(value),
			     page * PAGE + word_at(me.number)),
		      0);
		word->last = value;
	} else {
		code = NOTHING;
	}
	read_unlock();
	return code;
}

static int write_back(void)
{
	unsigned int number;
	struct file *file = any_file(&number);
	int what = random_below(4);
	size_t from, to;

	file_pages(file, &from, &to);
	note("fsync %s %d", file->name, what);
	switch (what) {
	case 0:
		return ALLOW("fsync", fsync(file->fd), 0);
	case 1:
		return ALLOW("fdatasync", fdatasync(file->fd), 0);
	default:
		return ALLOW("sync_file_range",
			     sync_file_range(
				     file->fd, from * PAGE, (to - from) * PAGE,
				     SYNC_FILE_RANGE_WRITE |
					     SYNC_FILE_RANGE_WAIT_AFTER),
			     0);
	}
}

/* and what is read from the disk then is what the model allows */
static int write_back_mapping(void)
{
	static const int flags[] = { MS_ASYNC, MS_SYNC, MS_SYNC,
				     MS_SYNC | MS_INVALIDATE };
	struct mapping *m = any_mapping();
	size_t at, count;
	int code;

	if (!m || !few_pages(m, &at, &count))
		return NOTHING;
	note("msync %p %zu+%zu", m->base, at, count);
	check_write(m, at);
	/* EBUSY: MS_INVALIDATE of what is locked */
	code = ALLOW("msync",
		     msync(m->base + at * PAGE, count * PAGE,
			   flags[random_below(4)]),
		     0, EBUSY);
	check_pages(m, at, count);
	if (control->file[m->file].direct >= 0)
		read_file(control->file[m->file].direct, m->file, m->first + at,
			  "direct_pread after msync");
	return code;
}

const struct operation operations_file[] = { { "truncate", 3, resize },
					     { "grow", 20, grow_back },
					     { "punch", 4, punch },
					     { "zero_range", 2, zero },
					     { "collapse_range", 2, collapse },
					     { "madv_remove", 2, remove_pages },
					     { "pread", 10, reads },
					     { "direct_pread", 8, reads_disk },
					     { "pwrite", 10, writes },
					     { "fsync", 4, write_back },
					     { "msync", 6, write_back_mapping },
					     {} };
