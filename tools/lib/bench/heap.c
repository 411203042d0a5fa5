// SPDX-License-Identifier: GPL-2.0
/*
 * Nanoseconds for an allocation and for a free: of the C library and of a heap, by
 * one process and by two at once, and for a transaction with one word in it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <scome-heap.h>

#define OBJECTS 100000
#define ROUNDS 10

static struct scome_heap *heap;
static void *objects[OBJECTS];
static unsigned int order[OBJECTS];

static double now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static size_t size_of(unsigned int i)
{
	return 16 + i * 37 % 500;
}

struct result {
	double alloc_ns;
	double free_ns;
};

static struct result measure(int in_heap)
{
	struct result best = { 1e9, 1e9 };

	for (unsigned int round = 0; round < ROUNDS; round++) {
		double start = now_ns(), middle, end;

		for (unsigned int i = 0; i < OBJECTS; i++)
			objects[i] =
				in_heap ? scome_heap_alloc(heap, size_of(i)) :
					  malloc(size_of(i));
		middle = now_ns();
		for (unsigned int i = 0; i < OBJECTS; i++) {
			if (in_heap)
				scome_heap_free(heap, objects[order[i]]);
			else
				free(objects[order[i]]);
		}
		end = now_ns();
		if ((middle - start) / OBJECTS < best.alloc_ns)
			best.alloc_ns = (middle - start) / OBJECTS;
		if ((end - middle) / OBJECTS < best.free_ns)
			best.free_ns = (end - middle) / OBJECTS;
	}
	return best;
}

static struct result measure_two(int in_heap)
{
	struct result *results = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (unsigned int i = 0; i < 2; i++) {
		if (!fork()) {
			results[i] = measure(in_heap);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	return (struct result){
		(results[0].alloc_ns + results[1].alloc_ns) / 2,
		(results[0].free_ns + results[1].free_ns) / 2,
	};
}

static double measure_transactions(void)
{
	uint64_t *word = scome_heap_zalloc(heap, 8);
	double start = now_ns();

	for (unsigned int i = 0; i < OBJECTS * ROUNDS; i++) {
		scome_heap_begin(heap);
		scome_heap_add(heap, word, 8);
		++*word;
		scome_heap_commit(heap);
	}
	return (now_ns() - start) / (OBJECTS * ROUNDS);
}

static double measure_open(uint64_t *bytes)
{
	struct scome_heap_stats stats;
	int fd = memfd_create("bench", 0);
	double start;

	heap = scome_heap_open_fd(fd, O_CREAT, NULL);
	for (unsigned int i = 0; i < 1 << 20; i++)
		if (!scome_heap_alloc(heap, 1000))
			break;
	scome_heap_stats(heap, &stats, sizeof(stats));
	*bytes = stats.used;
	scome_heap_close(heap);
	start = now_ns();
	heap = scome_heap_open_fd(fd, 0, NULL);
	start = now_ns() - start;
	scome_heap_close(heap);
	close(fd);
	return start;
}

static void print(const char *what, struct result result)
{
	printf("%-28s %8.0f %8.0f\n", what, result.alloc_ns, result.free_ns);
}

int main(void)
{
	int fd = memfd_create("bench", 0);
	uint64_t bytes;
	double open_ns;

	heap = scome_heap_open_fd(fd, O_CREAT, NULL);
	if (!heap) {
		perror("heap-bench");
		return 1;
	}
	for (unsigned int i = 0; i < OBJECTS; i++)
		order[i] = (uint64_t)i * 61 % OBJECTS;
	printf("%-28s %8s %8s\n", "ns", "alloc", "free");
	print("C library", measure(0));
	print("C library, two processes", measure_two(0));
	print("heap", measure(1));
	print("heap, two processes", measure_two(1));
	printf("%-28s %8.0f\n", "transaction of a word",
	       measure_transactions());
	scome_heap_close(heap);
	open_ns = measure_open(&bytes);
	printf("open and look through %lu MiB: %.1f ms\n", bytes >> 20,
	       open_ns / 1e6);
	return 0;
}
