// SPDX-License-Identifier: GPL-2.0
/* System V shared memory, which has no flags of its own: linked through prctl. */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "scenario.h"

#define SIZE (8 * MIB)
#define SEGV_UNMAPPED RAISED(SIGSEGV, SEGV_MAPERR)

static int segment(size_t size)
{
	int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);

	NEED(id >= 0);
	return id;
}

static char *attach(struct side *s, int id, void *address, int flags)
{
	char *map;

	if (s->linked)
		NEED(!scome_set(SCOME_ON, RANGE));
	else if (!address)
		address = free_space(SIZE);
	map = shmat(id, address, flags);
	if (s->linked)
		NEED(!scome_set(SCOME_OFF, 0));
	NEED(map != (char *)-1);
	return map;
}

static int64_t attached(int id)
{
	struct shmid_ds status;

	return shmctl(id, IPC_STAT, &status) ? -errno :
					       (int64_t)status.shm_nattch;
}

SCENARIO(attach_and_detach, "SCM-2,SCM-6")
{
	int id = segment(SIZE);
	char *map = attach(s, id, NULL, 0);

	stamp_all(map, SIZE);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links", map, "1111");
	must(s, "attached", attached(id), 1);
	must(s, "detach", err(shmdt(map)), 0);
	must(s, "gone", try_read(map), SEGV_UNMAPPED);
	must(s, "detached", attached(id), 0);
	map = attach(s, id, NULL, 0);
	must(s, "kept", sum_all(map, SIZE), stamp_sum(0, SIZE));
	links(s, "links_again", map, "1111");
	must(s, "remove", err(shmctl(id, IPC_RMID, NULL)), 0);
}

SCENARIO(attach_twice, "SCM-2,SCM-10")
{
	int id = segment(SIZE);
	char *one = attach(s, id, NULL, 0), *two = attach(s, id, NULL, 0);

	stamp_all(one, SIZE);
	must(s, "sum", sum_all(two, SIZE), stamp_sum(0, SIZE));
	must(s, "attached", attached(id), 2);
	links(s, "links_one", one, "1111");
	links(s, "links_two", two, "1111");
	must(s, "detach", err(shmdt(one)), 0);
	must(s, "left", sum_all(two, SIZE), stamp_sum(0, SIZE));
	must(s, "remove", err(shmctl(id, IPC_RMID, NULL)), 0);
}

SCENARIO(attach_read_only, "SCM-15")
{
	int id = segment(SIZE);
	char *writer = attach(s, id, NULL, 0), *map;

	stamp_all(writer, SIZE);
	map = attach(s, id, NULL, SHM_RDONLY);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	must(s, "write", try_write(map + MIB, 1), SEGV_DENIED);
	must(s, "mprotect", err(mprotect(map, SIZE, PROT_READ | PROT_WRITE)),
	     -EACCES);
	links(s, "links", map, "1111");
	must(s, "remove", err(shmctl(id, IPC_RMID, NULL)), 0);
}

SCENARIO(attach_over, "SCM-6,SCM-16")
{
	int id = segment(SIZE), other = segment(RANGE);
	char *map = attach(s, id, NULL, 0), *over;

	stamp_all(map, SIZE);
	errno = 0;
	over = shmat(other, map + RANGE, 0);
	must(s, "refused", over == (char *)-1 ? errno : 0, EINVAL);
	over = attach(s, other, map + RANGE, SHM_REMAP);
	must(s, "remap", over == map + RANGE, 1);
	must(s, "zero", sum_all(over, RANGE), 0);
	must(s, "beside", sum_all(map + 2 * RANGE, 2 * RANGE),
	     stamp_sum(2 * RANGE, SIZE));
	set_word(over, 5);
	relinks(s, "links", map, "1111");
	must(s, "other", word(over), 5);
	must(s, "remove", err(shmctl(id, IPC_RMID, NULL)), 0);
	must(s, "remove_other", err(shmctl(other, IPC_RMID, NULL)), 0);
}

SCENARIO(attach_at_address, "SCM-6")
{
	int id = segment(SIZE);
	char *place = free_space(SIZE), *map = attach(s, id, place, 0), *skewed;

	must(s, "place", map == place, 1);
	stamp_all(map, SIZE);
	links(s, "links", map, "1111");
	skewed = attach(s, id, free_space(SIZE + RANGE) + 3 * PAGE, 0);
	must(s, "sum", sum_all(skewed, SIZE), stamp_sum(0, SIZE));
	links(s, "links_skewed", (char *)((uintptr_t)skewed & -RANGE), "0000");
	must(s, "remove", err(shmctl(id, IPC_RMID, NULL)), 0);
}

SCENARIO(removed_while_attached, "SCM-5,SCM-8")
{
	int id = segment(SIZE);
	char *map = attach(s, id, NULL, 0);

	stamp_all(map, SIZE);
	must(s, "remove", err(shmctl(id, IPC_RMID, NULL)), 0);
	must(s, "sum", sum_all(map, SIZE), stamp_sum(0, SIZE));
	relinks(s, "links", map, "1111");
	must(s, "detach", err(shmdt(map)), 0);
	must(s, "gone", attached(id) < 0, 1);
}

struct attachment {
	struct side *side;
	char *map;
	int id;
};

static int child_uses(void *context)
{
	struct attachment *attachment = context;
	char *own;

	if (sum_all(attachment->map, SIZE) != stamp_sum(0, SIZE) ||
	    attached(attachment->id) != 2)
		return 1;
	own = attach(attachment->side, attachment->id, NULL, 0);
	set_word(own + MIB, 4711);
	return attached(attachment->id) == 3 ? 0 : 2;
}

SCENARIO(attached_over_fork, "SCM-2,SCM-5")
{
	struct attachment attachment = { .side = s, .id = segment(SIZE) };

	attachment.map = attach(s, attachment.id, NULL, 0);
	stamp_all(attachment.map, SIZE);
	must(s, "child", in_child(child_uses, &attachment), 0);
	must(s, "attached", attached(attachment.id), 1);
	must(s, "write", word(attachment.map + MIB), 4711);
	relinks(s, "links", attachment.map, "1111");
	must(s, "remove", err(shmctl(attachment.id, IPC_RMID, NULL)), 0);
}

SCENARIO(partial_unmap, "SCM-6")
{
	int id = segment(SIZE);
	char *map = attach(s, id, NULL, 0);

	stamp_all(map, SIZE);
	must(s, "munmap", err(munmap(map + 3 * MIB, PAGE)), 0);
	must(s, "hole", try_read(map + 3 * MIB), SEGV_UNMAPPED);
	must(s, "beside", word(map + 3 * MIB + PAGE), 3 * MIB / PAGE + 2);
	relinks(s, "links", map, "1011");
	must(s, "attached", attached(id), 2);
	must(s, "detach", err(shmdt(map)), 0);
	must(s, "detached", attached(id), 0);
	must(s, "all_gone", try_read(map + 5 * MIB), SEGV_UNMAPPED);
	must(s, "remove", err(shmctl(id, IPC_RMID, NULL)), 0);
}

TEST_HARNESS_MAIN
