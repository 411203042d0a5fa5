// SPDX-License-Identifier: GPL-2.0
/* The files: in memory, with huge pages, on disks, short ones and long ones. */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "stress.h"

static const struct plan {
	const char *name;
	enum kind kind;
	const char *directory;
	size_t pages;
	/* with contents, if not all; the last is the file's last but for odd sizes */
	uint16_t ranges[16];
} plans[] = {
	{ "memory", MEMORY, NULL, 4096, {} },
	/* neither a whole range nor a power of 2 */
	{ "odd", MEMORY, NULL, 1100, {} },
	{ "giant",
	  MEMORY,
	  NULL,
	  1025 * 512,
	  { 0, 1, 255, 511, 512, 513, 1023, 1024 } },
	{ "huge", HUGE, "/run/scome/huge", 4096, {} },
	{ "huge_giant",
	  HUGE,
	  "/run/scome/huge",
	  513 * 512,
	  { 0, 1, 256, 511, 512 } },
	{ "ext4", DISK, "/run/scome/ext4", 4096, {} },
	{ "f2fs", DISK, "/run/scome/f2fs", 4096, {} },
	{ "ext4_giant",
	  DISK,
	  "/run/scome/ext4",
	  514 * 512,
	  { 0, 1, 511, 512, 513 } },
	{ "sysv", SYSV, NULL, 2048, {} },
};

#define PLANS (sizeof(plans) / sizeof(*plans))

static unsigned int slots(const struct plan *plan)
{
	unsigned int count = 1;

	if (!plan->ranges[1])
		return (plan->pages + RANGE_PAGES - 1) / RANGE_PAGES;
	while (count < 16 && plan->ranges[count])
		count++;
	return count;
}

size_t files_words(unsigned int workers)
{
	size_t words = 0;

	for (unsigned int i = 0; i < PLANS; i++)
		words += slots(&plans[i]) * RANGE_PAGES * workers;
	return words;
}

int file_page_slot(const struct file *file, size_t page)
{
	return page < file->max_pages ? file->slot_of[page / RANGE_PAGES] : -1;
}

static void broken(const char *name)
{
	fprintf(stderr, "stress: the file '%s' cannot be made: %s\n", name,
		strerror(errno));
	exit(1);
}

static int reopened(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags);
}

/* a segment goes with the last process that has attached it: not before this one */
static char *segment;

/* the file of a System V segment, which has no other name */
static int open_segment(int id, size_t size)
{
	char path[96];

	segment = shmat(id, NULL, 0);
	if (segment == (void *)-1)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		 (long)segment, (long)segment + size);
	return open(path, O_RDWR);
}

/* false: this machine has no such file */
static bool make(struct file *file, const struct plan *plan)
{
	size_t size = plan->pages * PAGE;

	file->shmid = -1;
	file->direct = -1;
	if (plan->directory) {
		if (access(plan->directory, R_OK) && !control->have_scome)
			return false;
		file->fd = open(plan->directory, O_TMPFILE | O_RDWR, 0600);
	} else if (plan->kind == SYSV) {
		file->shmid = shmget(IPC_PRIVATE, size, 0600);
		if (file->shmid < 0)
			broken(plan->name);
		file->fd = open_segment(file->shmid, size);
		shmctl(file->shmid, IPC_RMID, NULL);
		if (file->fd < 0 && !control->have_scome)
			return false;
	} else {
		file->fd = memfd_create(plan->name, MFD_ALLOW_SEALING);
	}
	if (file->fd < 0)
		broken(plan->name);
	if (plan->kind != SYSV && ftruncate(file->fd, size))
		broken(plan->name);
	if (plan->kind == DISK) {
		file->direct = reopened(file->fd, O_RDWR | O_DIRECT);
		if (file->direct < 0)
			broken(plan->name);
	}
	return true;
}

void files_create(struct control *c)
{
	size_t words = 0;

	for (unsigned int i = 0; i < PLANS; i++) {
		struct file *file = &c->file[c->files];
		const struct plan *plan = &plans[i];

		if (!make(file, plan)) {
			printf("# without the file '%s'\n", plan->name);
			continue;
		}
		snprintf(file->name, sizeof(file->name), "%s", plan->name);
		file->kind = plan->kind;
		file->max_pages = plan->pages;
		file->pages = plan->pages;
		file->slots = slots(plan);
		file->words = words;
		words += file->slots * RANGE_PAGES * c->workers;
		memset(file->slot_of, -1, sizeof(file->slot_of));
		for (unsigned int slot = 0; slot < file->slots; slot++) {
			file->range_of[slot] =
				plan->ranges[1] ? plan->ranges[slot] : slot;
			file->slot_of[file->range_of[slot]] = slot;
		}
		c->files++;
	}
}

void files_destroy(void)
{
	shmdt(segment);
	for (unsigned int i = 0; i < control->files; i++) {
		close(control->file[i].fd);
		if (control->file[i].direct >= 0)
			close(control->file[i].direct);
	}
}
