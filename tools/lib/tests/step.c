// SPDX-License-Identifier: GPL-2.0
/*
 * A change is made an instruction at a time, and cut off after every one.
 *
 * A copy of the heap is taken after each instruction: that is what a death there
 * would leave behind. It is opened, unless it is the same as the one before, and
 * must be the state before the change or the one after it. In addition the process is really killed there, at as many
 * instructions as the time allows, and another one that has the heap open goes
 * on. The library is the one that is installed: nothing in it helps.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

/* steps that one change's deaths may take together, unless more are asked for */
#define STEPS 6000UL

/* a change in a process that stops before it and after it */
static pid_t start(const struct change *change, struct scome_heap *heap)
{
	pid_t child = model_fork();
	int status;

	if (!child) {
		NEED(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		raise(SIGSTOP);
		change->run(heap);
		raise(SIGUSR1);
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
	     WSTOPSIG(status) == SIGSTOP);
	return child;
}

/* one instruction; false when the change is over */
static bool step(pid_t child)
{
	int status;

	NEED(!ptrace(PTRACE_SINGLESTEP, child, NULL, NULL));
	NEED(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
	NEED(WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGUSR1);
	return WSTOPSIG(status) == SIGTRAP;
}

static void end(pid_t child)
{
	int status;

	NEED(!kill(child, SIGKILL));
	NEED(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

/* what may differ between a heap and its copy */
struct copy {
	int fd;
	char *from;
	char *to;
	size_t size;
	size_t data;
	/* what was copied last, as it was then: opening a copy changes it */
	char *last;
};

#define DESCRIBED (8 * HEAP_CHUNK_PAGES * sizeof(struct heap_page))

static struct copy copy_of(int fd, const struct scome_heap *heap)
{
	struct copy copy = { .fd = memfd_create("copy", MFD_CLOEXEC) };

	NEED(copy.fd >= 0);
	copy.size = heap->header.reserve;
	copy.data = heap->header.data;
	copy.from = mmap(NULL, copy.size, PROT_READ, MAP_SHARED, fd, 0);
	copy.to = mmap(NULL, copy.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       copy.fd, 0);
	copy.last = calloc(1, HEAP_META + DESCRIBED + MODEL_DATA);
	NEED(copy.from != MAP_FAILED && copy.to != MAP_FAILED && copy.last);
	return copy;
}

/* one part; did it change since it was copied last? */
static bool take_part(struct copy *copy, size_t offset, size_t size, char *last)
{
	bool changed = memcmp(last, copy->from + offset, size);

	if (changed)
		memcpy(last, copy->from + offset, size);
	memcpy(copy->to + offset, last, size);
	return changed;
}

/* false when it is the same as the last time */
static bool take(struct copy *copy, int fd)
{
	const struct heap_state *state =
		(struct heap_state *)(copy->from + HEAP_STATE);
	bool changed;
	struct stat now;

	NEED(!fstat(fd, &now) && !ftruncate(copy->fd, now.st_size));
	changed = take_part(copy, 0, HEAP_LOG + state->log_used, copy->last);
	changed |=
		take_part(copy, HEAP_META, DESCRIBED, copy->last + HEAP_META);
	if ((size_t)now.st_size > copy->data)
		changed |= take_part(copy, copy->data, MODEL_DATA,
				     copy->last + HEAP_META + DESCRIBED);
	return changed;
}

static void give_up(struct copy *copy)
{
	munmap(copy->from, copy->size);
	munmap(copy->to, copy->size);
	free(copy->last);
	close(copy->fd);
}

/* instructions of the change, or 0 when a copy was wrong */
static unsigned int copies(const struct change *change, uint64_t before,
			   uint64_t after)
{
	int fd;
	struct scome_heap *heap = model_prepare(change, &fd);
	struct copy copy = copy_of(fd, heap);
	pid_t child = start(change, heap);
	unsigned int steps = 0, wrong = 0;
	bool done = false;

	/* the copy lies where this process has the heap */
	NEED(!scome_heap_close(heap));
	while (step(child) && !wrong) {
		uint64_t digest;

		steps++;
		if (!take(&copy, fd))
			continue;
		heap = model_open(copy.fd);
		if (!heap) {
			printf("# step %u: %s\n", steps, strerror(errno));
			wrong++;
			continue;
		}
		digest = model_digest(heap);
		if (!model_in_order(heap) ||
		    (digest != after && (digest != before || done))) {
			printf("# step %u: wrong\n", steps);
			wrong++;
		}
		done = digest == after && before != after;
		NEED(!scome_heap_close(heap));
	}
	end(child);
	give_up(&copy);
	close(fd);
	return wrong ? 0 : steps;
}

/* how many instructions really were the last ones; 0 when one was wrong */
static unsigned int deaths(const struct change *change, uint64_t before,
			   uint64_t after, unsigned long steps,
			   unsigned long budget)
{
	/* a death after n instructions takes n steps */
	unsigned long stride = steps * steps / 2 / budget + 1;
	unsigned int count = 0;

	for (unsigned long last = 1; last <= steps; last += stride) {
		int fd;
		struct scome_heap *heap = model_prepare(change, &fd);
		pid_t child = start(change, heap);
		uint64_t digest;

		for (unsigned long i = 0; i < last; i++)
			if (!step(child))
				break;
		end(child);
		digest = model_digest(heap);
		if (!model_in_order(heap) ||
		    (digest != before && digest != after)) {
			printf("# killed after instruction %lu\n", last);
			return 0;
		}
		if (digest == before && before != after) {
			change->run(heap);
			if (!model_in_order(heap) ||
			    model_digest(heap) != after) {
				printf("# not usable after %lu\n", last);
				return 0;
			}
		}
		NEED(!scome_heap_close(heap));
		close(fd);
		count++;
	}
	return count;
}

/* heap-step [STEPS] */
int main(int argc, char **argv)
{
	unsigned long budget = argc > 1 ? strtoul(argv[1], NULL, 0) : STEPS;

	for (unsigned int i = 0; i < change_count; i++) {
		const struct change *change = changes + i;
		unsigned int steps, count;
		uint64_t before, after;

		if (change->kind == COPIES_MUCH)
			continue;
		model_learn(change, &before, &after);
		steps = copies(change, before, after);
		tell(steps > 50, "%s: left after each of %u instructions",
		     change->name, steps);
		count = steps ? deaths(change, before, after, steps,
				       i ? budget : ULONG_MAX / 2) :
				0;
		tell(count > 0, "%s: killed after %u of them", change->name,
		     count);
	}
	return tell_end();
}
