// SPDX-License-Identifier: GPL-2.0
/* What all processes share: an ordinary mapping of a memory file. */
#include "stress.h"

struct control *control;

void control_create(unsigned int workers)
{
	size_t size =
		sizeof(*control) + files_words(workers) * sizeof(struct word);
	int fd = memfd_create("stress-control", 0);

	if (fd < 0 || ftruncate(fd, size)) {
		perror("stress: memory to share");
		exit(1);
	}
	control_attach(fd);
	control->size = size;
	control->fd = fd;
	control->workers = workers;
}

void control_attach(int fd)
{
	struct stat status;

	/* inherited by exec */
	scome_set(SCOME_OFF, 0);
	if (!fstat(fd, &status))
		control = mmap(NULL, status.st_size, RW, MAP_SHARED, fd, 0);
	if (!control || control == MAP_FAILED) {
		perror("stress: memory to share");
		exit(1);
	}
}

void control_detach(void)
{
	close(control->fd);
	munmap(control, control->size);
}
