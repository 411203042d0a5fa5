// SPDX-License-Identifier: GPL-2.0
/*
 * heap-map: words and numbers in a hash table that lies in a persistent heap.
 *
 * The table is made of ordinary structures and pointers. Every process that opens
 * the file has it at the same address, so nothing is translated; each change is a
 * transaction, so a process may be killed at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <scome-heap.h>

#define BUCKETS 1024

struct entry {
	struct entry *next;
	int64_t number;
	char word[];
};

struct table {
	uint64_t count;
	struct entry *buckets[BUCKETS];
};

static void fail(const char *what)
{
	fprintf(stderr, "heap-map: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* begin a transaction; the table is made by whoever comes first */
static struct table *begin(struct scome_heap *heap)
{
	struct table *table;

	if (scome_heap_begin(heap))
		fail("begin");
	table = scome_heap_root(heap, 0);
	if (table)
		return table;
	table = scome_heap_zalloc(heap, sizeof(*table));
	if (!table || scome_heap_set_root(heap, 0, table))
		fail("make the table");
	return table;
}

static void commit(struct scome_heap *heap)
{
	if (scome_heap_commit(heap))
		fail("commit");
}

/* what is about to be changed; a transaction that fails is undone by exit() */
static void change(struct scome_heap *heap, void *start, size_t size)
{
	if (scome_heap_add(heap, start, size))
		fail("change");
}

/* the pointer to the entry, or the one where it belongs */
static struct entry **find(struct table *table, const char *word)
{
	struct entry **place;
	uint32_t hash = 5381;

	for (const char *c = word; *c; c++)
		hash = 33 * hash + (unsigned char)*c;
	place = table->buckets + hash % BUCKETS;
	while (*place && strcmp((*place)->word, word))
		place = &(*place)->next;
	return place;
}

static int64_t add(struct scome_heap *heap, const char *word, int64_t number)
{
	struct table *table = begin(heap);
	struct entry **place = find(table, word), *entry = *place;

	if (entry) {
		change(heap, &entry->number, sizeof(entry->number));
		number += entry->number;
	} else {
		/* new memory need not be remembered */
		entry = scome_heap_alloc(heap,
					 sizeof(*entry) + strlen(word) + 1);
		if (!entry)
			fail("allocate");
		entry->next = NULL;
		strcpy(entry->word, word);
		change(heap, place, sizeof(*place));
		*place = entry;
		change(heap, &table->count, sizeof(table->count));
		table->count++;
	}
	entry->number = number;
	commit(heap);
	return number;
}

static int get(struct scome_heap *heap, const char *word)
{
	struct entry *entry = *find(begin(heap), word);

	if (entry)
		printf("%ld\n", entry->number);
	else
		fprintf(stderr, "heap-map: there is no %s\n", word);
	commit(heap);
	return entry ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int del(struct scome_heap *heap, const char *word)
{
	struct table *table = begin(heap);
	struct entry **place = find(table, word), *entry = *place;

	if (entry) {
		change(heap, place, sizeof(*place));
		*place = entry->next;
		change(heap, &table->count, sizeof(table->count));
		table->count--;
		if (scome_heap_free(heap, entry))
			fail("free");
	}
	commit(heap);
	return entry ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int list(struct scome_heap *heap)
{
	struct table *table = begin(heap);
	uint64_t count = 0;

	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct entry *entry = table->buckets[i];

		for (; entry; entry = entry->next, count++)
			printf("%s %ld\n", entry->word, entry->number);
	}
	if (count != table->count) {
		fprintf(stderr, "heap-map: %lu words are counted as %lu\n",
			count, table->count);
		return EXIT_FAILURE;
	}
	commit(heap);
	return EXIT_SUCCESS;
}

static int work(struct scome_heap *heap, unsigned long words)
{
	char word[32];

	for (unsigned long i = 0; i < words; i++) {
		snprintf(word, sizeof(word), "word-%lu", i);
		add(heap, word, 1);
	}
	printf("%p\n", scome_heap_root(heap, 0));
	return EXIT_SUCCESS;
}

static void report(void *context, const char *sentence)
{
	(void)context;
	fprintf(stderr, "heap-map: %s\n", sentence);
}

static int check(struct scome_heap *heap)
{
	struct scome_heap_stats stats;

	if (scome_heap_check(heap, report, NULL))
		fail("check");
	if (scome_heap_stats(heap, &stats, sizeof(stats)))
		fail("stats");
	printf("%lu objects, %lu of %lu bytes, %s, %lu changes taken back\n",
	       stats.objects, stats.used, stats.grown,
	       stats.linked ? "leaf tables linked" : "an ordinary mapping",
	       stats.recoveries);
	return EXIT_SUCCESS;
}

static int usage(void)
{
	fprintf(stderr, "usage: heap-map FILE add WORD NUMBER\n"
			"       heap-map FILE get WORD\n"
			"       heap-map FILE del WORD\n"
			"       heap-map FILE work WORDS\n"
			"       heap-map FILE list\n"
			"       heap-map FILE check\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[2] : "";
	struct scome_heap *heap;
	int result;

	if (!(argc == 5 && !strcmp(verb, "add")) &&
	    !(argc == 4 && (!strcmp(verb, "get") || !strcmp(verb, "del") ||
			    !strcmp(verb, "work"))) &&
	    !(argc == 3 && (!strcmp(verb, "list") || !strcmp(verb, "check"))))
		return usage();
	heap = scome_heap_open(argv[1], O_CREAT, 0600, NULL);
	if (!heap)
		fail(argv[1]);
	switch (*verb) {
	case 'a':
		printf("%ld\n", add(heap, argv[3], strtoll(argv[4], NULL, 0)));
		result = EXIT_SUCCESS;
		break;
	case 'g':
		result = get(heap, argv[3]);
		break;
	case 'd':
		result = del(heap, argv[3]);
		break;
	case 'w':
		result = work(heap, strtoul(argv[3], NULL, 0));
		break;
	case 'l':
		result = list(heap);
		break;
	default:
		result = check(heap);
	}
	scome_heap_close(heap);
	return result;
}
