// SPDX-License-Identifier: GPL-2.0
/*
 * A process is killed before every store to the heap, and before every call that
 * gives the file memory or takes it, of every change; and so is the one that then
 * takes the change back. Whoever comes next must find the state before the change
 * or the one after it.
 *
 * The library is compiled with a place to die before each of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

/* die at the place with this number; 0: never */
static unsigned int die_at;

void heap_crash_point(void)
{
	if (die_at && !--die_at)
		kill(getpid(), SIGKILL);
}

/* what is done to the heap, in a process that dies at that place; did it? */
static bool dies(unsigned int place, void (*run)(struct scome_heap *heap),
		 struct scome_heap *heap, int fd)
{
	pid_t child = model_fork();
	int status;

	if (!child) {
		/* somebody who was not there before */
		if (!heap) {
			die_at = run ? 0 : place;
			heap = model_open(fd);
			NEED(heap);
		}
		if (run) {
			die_at = place;
			run(heap);
		}
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	NEED(WIFEXITED(status) && !WEXITSTATUS(status));
	return false;
}

struct outcome {
	unsigned int places;
	unsigned int before;
	unsigned int after;
	unsigned int wrong;
};

/* the file has memory for all that is not said to be a hole */
static bool is_backed(struct scome_heap *heap, int fd)
{
	uint64_t described = heap->state->end * sizeof(struct heap_page),
		 wanted;
	struct scome_heap_stats stats;
	struct stat status;

	NEED(!scome_heap_stats(heap, &stats, sizeof(stats)));
	NEED(!fstat(fd, &status));
	wanted = heap->state->log_backed + stats.grown - stats.returned +
		 ((described + HEAP_CHUNK - 1) & -HEAP_CHUNK);
	if ((uint64_t)status.st_blocks * 512 >= wanted)
		return true;
	printf("# %lu bytes are missing\n", wanted - status.st_blocks * 512);
	return false;
}

/* what the next one finds, and that the heap is as good as new for it */
static void look(const struct change *change, struct scome_heap *heap, int fd,
		 uint64_t before, uint64_t after, struct outcome *outcome)
{
	uint64_t digest;
	bool good = model_in_order(heap) && is_backed(heap, fd);

	digest = model_digest(heap);
	outcome->places++;
	outcome->before += digest == before;
	outcome->after += digest == after;
	/* a change that is done does not come undone later on */
	if (digest != after && (digest != before || outcome->after))
		good = false;
	if (digest == before && before != after && good) {
		change->run(heap);
		good = model_in_order(heap) && model_digest(heap) == after;
	}
	if (!good) {
		outcome->wrong++;
		printf("# %s, place %u: %s\n", change->name, outcome->places,
		       digest == before ? "before" :
		       digest == after	? "after" :
					  "neither state");
	}
}

/* the next one is there all the time, and gets the lock of the dead one */
static void beside_another(const struct change *change, uint64_t before,
			   uint64_t after)
{
	struct outcome outcome = { 0 };
	bool died;

	do {
		int fd;
		struct scome_heap *heap = model_prepare(change, &fd);

		died = dies(outcome.places + 1, change->run, heap, fd);
		look(change, heap, fd, before, after, &outcome);
		NEED(!scome_heap_close(heap));
		close(fd);
	} while (died);
	tell(!outcome.wrong && outcome.places > 1 && outcome.after,
	     "%s: killed at each of %u places", change->name,
	     outcome.places - 1);
}

/* nobody is there; the next one opens the file */
static void alone(const struct change *change, uint64_t before, uint64_t after)
{
	struct outcome outcome = { 0 };
	bool died;

	do {
		int fd;
		struct scome_heap *heap = model_prepare(change, &fd);

		NEED(!scome_heap_close(heap));
		died = dies(outcome.places + 1,
			    change->kind == RECOVERS ? NULL : change->run, NULL,
			    fd);
		heap = model_open(fd);
		NEED(heap);
		look(change, heap, fd, before, after, &outcome);
		NEED(!scome_heap_close(heap));
		close(fd);
	} while (died);
	tell(!outcome.wrong && outcome.places > 1 && outcome.after,
	     "%s: killed alone at each of %u places", change->name,
	     outcome.places - 1);
}

static void recover_by_lock(struct scome_heap *heap)
{
	scome_heap_root(heap, 0);
}

/*
 * Killed at some place, and then each one that takes it back is killed one place
 * later than the one before; the first one to come through ends it. Beside
 * another who has the heap open, or by opening the file.
 */
static void taken_back(const struct change *change, uint64_t before,
		       uint64_t after, bool beside)
{
	struct outcome outcome = { 0 };
	unsigned int deaths = 0, place = 1;
	bool died;

	do {
		unsigned int second = 1;
		int fd;
		struct scome_heap *heap = model_prepare(change, &fd);

		if (!beside) {
			NEED(!scome_heap_close(heap));
			heap = NULL;
		}
		died = dies(place, change->run, heap, fd);
		while (dies(second, beside ? recover_by_lock : NULL, heap, fd))
			second++;
		deaths += second - 1;
		if (!beside) {
			heap = model_open(fd);
			NEED(heap);
		}
		look(change, heap, fd, before, after, &outcome);
		NEED(!scome_heap_close(heap));
		close(fd);
		place += 9;
	} while (died);
	tell(!outcome.wrong, "%s: killed %s while it is taken back, %u times",
	     change->name, beside ? "beside another" : "in open", deaths);
}

static void making(void)
{
	unsigned int place = 1, wrong = 0, made = 0;
	bool died;

	do {
		int fd = memfd_create("heap", MFD_CLOEXEC);
		struct scome_heap *heap;

		NEED(fd >= 0);
		died = dies(place++, NULL, NULL, fd);
		/* who does not want a new one gets none, or a whole one */
		heap = scome_heap_open_fd(fd, 0, NULL);
		if (heap) {
			made++;
			wrong += !model_in_order(heap);
			NEED(!scome_heap_close(heap));
		} else {
			wrong += errno != EINVAL || made;
		}
		heap = model_open(fd);
		wrong += !heap || !model_in_order(heap) ||
			 !scome_heap_alloc(heap, 100);
		if (heap)
			scome_heap_close(heap);
		close(fd);
	} while (died);
	tell(!wrong && made && place > 3,
	     "a heap is made: killed at each of %u places", place - 2);
}

int main(void)
{
	for (unsigned int i = 0; i < change_count; i++) {
		uint64_t before, after;

		model_learn(changes + i, &before, &after);
		beside_another(changes + i, before, after);
		alone(changes + i, before, after);
		if (changes[i].kind == RECOVERS)
			continue;
		taken_back(changes + i, before, after, true);
		taken_back(changes + i, before, after, false);
	}
	making();
	return tell_end();
}
