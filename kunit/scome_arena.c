// SPDX-License-Identifier: GPL-2.0
/*
 * The arena: who gets which addresses, and that nobody gets them twice. Most of it
 * in a window of its own, which is small enough to become full.
 */

#include <linux/bitmap.h>
#include <linux/prandom.h>

#include "scome_kunit.h"

#define FILE_SIZE SZ_16M
#define START (4ul * SZ_1T)
#define CHUNKS 64
#define UNITS 24

struct window {
	struct scome_arena arena;
	struct scome_unit *units[UNITS];
	unsigned int nr_units;
	struct kproc *proc;
};

static void regions_free(struct scome_unit *unit)
{
	mutex_lock(&scome_units_lock);
	scome_regions_free(unit);
	mutex_unlock(&scome_units_lock);
}

static void window_free(void *data)
{
	struct window *w = data;
	unsigned int i;

	for (i = 0; i < w->nr_units; i++)
		regions_free(w->units[i]);
	WARN_ON(w->arena.chunks);
	mtree_destroy(&w->arena.regions);
}

/* Units are real: each is of a file that one process maps, at a private address. */
static struct window *window_new(struct kunit *test, unsigned long start,
				 unsigned long chunks, unsigned int units)
{
	struct window *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->arena.start = start;
	w->arena.end = start + chunks * PMD_SIZE;
	mt_init_flags(&w->arena.regions, MT_FLAGS_ALLOC_RANGE);
	w->proc = kproc_new(test, 0);
	while (w->nr_units < units) {
		unsigned long place = PLACE + w->nr_units * SZ_4M;

		kproc_link_at(test, w->proc, kfile_new(test, FILE_SIZE), place,
			      SZ_2M, 0);
		w->units[w->nr_units++] = kproc_unit(test, w->proc, place);
	}
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, window_free, w));
	return w;
}

/* The number of the chunk in the window, or the error. */
static long alloc(struct window *w, unsigned int unit, unsigned long chunks)
{
	struct scome_region *region;

	mutex_lock(&scome_units_lock);
	region = scome_region_alloc(w->units[unit], &w->arena, 0, chunks);
	mutex_unlock(&scome_units_lock);
	if (IS_ERR(region))
		return PTR_ERR(region);
	return (region->address - w->arena.start) / PMD_SIZE;
}

static long claim(struct window *w, unsigned int unit, long chunk,
		  unsigned long chunks)
{
	struct scome_region *region;

	mutex_lock(&scome_units_lock);
	region = scome_region_claim(w->units[unit], &w->arena,
				    w->arena.start + chunk * PMD_SIZE, 0,
				    chunks);
	mutex_unlock(&scome_units_lock);
	return PTR_ERR_OR_ZERO(region);
}

static struct scome_region *last_region(struct window *w, unsigned int unit)
{
	return list_last_entry(&w->units[unit]->regions, struct scome_region,
			       node);
}

static int extend(struct window *w, unsigned int unit, unsigned long chunks)
{
	int ret;

	mutex_lock(&scome_units_lock);
	ret = scome_region_extend(last_region(w, unit), chunks);
	mutex_unlock(&scome_units_lock);
	return ret;
}

/* Shows: SCM-4 */
static void one_after_the_other(struct kunit *test)
{
	struct window *w = window_new(test, START, CHUNKS, 3);

	KUNIT_EXPECT_EQ(test, alloc(w, 0, 3), 0);
	KUNIT_EXPECT_EQ(test, alloc(w, 1, 1), 3);
	KUNIT_EXPECT_EQ(test, alloc(w, 2, 2), 4);
	KUNIT_EXPECT_EQ(test, w->arena.chunks, 6);
	regions_free(w->units[1]);
	KUNIT_EXPECT_EQ(test, w->arena.chunks, 5);
	/* The gap is for who fits in. */
	KUNIT_EXPECT_EQ(test, alloc(w, 1, 2), 6);
	KUNIT_EXPECT_EQ(test, alloc(w, 1, 1), 3);
}

/* Shows: SCM-4 */
static void full_and_in_pieces(struct kunit *test)
{
	struct window *w = window_new(test, START, 16, 16);
	unsigned int i;

	for (i = 0; i < 16; i++)
		KUNIT_ASSERT_EQ(test, alloc(w, i, 1), i);
	KUNIT_EXPECT_EQ(test, alloc(w, 0, 1), -ENOSPC);
	for (i = 0; i < 16; i += 2)
		regions_free(w->units[i]);
	KUNIT_EXPECT_EQ(test, w->arena.chunks, 8);
	/* Eight are free, and no two of them together. */
	KUNIT_EXPECT_EQ(test, alloc(w, 0, 2), -ENOSPC);
	regions_free(w->units[5]);
	KUNIT_EXPECT_EQ(test, alloc(w, 0, 3), 4);
	KUNIT_EXPECT_EQ(test, alloc(w, 0, 17), -ENOSPC);
	KUNIT_EXPECT_EQ(test, alloc(w, 0, ULONG_MAX >> PMD_SHIFT), -ENOSPC);
	KUNIT_EXPECT_EQ(test, alloc(w, 0, ULONG_MAX), -ENOSPC);
}

/* Shows: SCM-4 */
static void grows_where_it_lies(struct kunit *test)
{
	struct window *w = window_new(test, START, 16, 3);

	KUNIT_ASSERT_EQ(test, alloc(w, 0, 2), 0);
	KUNIT_EXPECT_EQ(test, extend(w, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, last_region(w, 0)->chunks, 2);
	KUNIT_EXPECT_EQ(test, extend(w, 0, 4), 0);
	KUNIT_EXPECT_EQ(test, w->arena.chunks, 4);
	KUNIT_ASSERT_EQ(test, alloc(w, 1, 2), 4);
	KUNIT_EXPECT_EQ(test, extend(w, 0, 5), -EEXIST);
	KUNIT_EXPECT_EQ(test, last_region(w, 0)->chunks, 4);
	KUNIT_EXPECT_EQ(test, extend(w, 1, 12), 0);
	KUNIT_EXPECT_EQ(test, extend(w, 1, 13), -ENOSPC);
	KUNIT_EXPECT_EQ(test, extend(w, 1, ULONG_MAX), -ENOSPC);
	KUNIT_EXPECT_EQ(test, alloc(w, 2, 1), -ENOSPC);
	regions_free(w->units[1]);
	KUNIT_EXPECT_EQ(test, extend(w, 0, 16), 0);
}

struct conflict {
	const char *name;
	long chunk;
	unsigned long chunks;
	int error;
};

/* Somebody has chunks 4 to 7 of 16. */
static const struct conflict conflicts[] = {
	{ "the same", 4, 4, -EEXIST },
	{ "its first", 4, 1, -EEXIST },
	{ "its last", 7, 1, -EEXIST },
	{ "over its start", 3, 2, -EEXIST },
	{ "over its end", 7, 2, -EEXIST },
	{ "all around it", 0, 16, -EEXIST },
	{ "before it", 0, 4, 0 },
	{ "behind it", 8, 8, 0 },
	{ "over the end of the window", 8, 9, -ENOSPC },
	{ "before the window", -1, 2, -ENOSPC },
	{ "behind the window", 16, 1, -ENOSPC },
	{ "nothing", 0, 0, -ENOSPC },
	{ "around all addresses", 8, ULONG_MAX >> PMD_SHIFT, -ENOSPC },
};

static void conflict_name(const struct conflict *conflict, char *name)
{
	strscpy(name, conflict->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(conflicts, conflicts, conflict_name);

/* Shows: SCM-11 */
static void claim_beside_another(struct kunit *test)
{
	const struct conflict *c = test->param_value;
	struct window *w = window_new(test, START, 16, 2);

	KUNIT_ASSERT_EQ(test, claim(w, 0, 4, 4), 0);
	KUNIT_EXPECT_EQ(test, claim(w, 1, c->chunk, c->chunks), c->error);
	KUNIT_EXPECT_EQ(test, w->arena.chunks, 4 + (c->error ? 0 : c->chunks));
}

/* Shows: SCM-4 */
static void stays_in_one_parent(struct kunit *test)
{
	struct window *w = window_new(test, START + SZ_1G - SZ_8M, 1024, 4);

	/* Four chunks are left before the border. */
	KUNIT_EXPECT_EQ(test, alloc(w, 0, 6), 4);
	KUNIT_EXPECT_EQ(test, alloc(w, 1, 3), 0);
	KUNIT_EXPECT_EQ(test, alloc(w, 2, 2), 10);
	KUNIT_EXPECT_EQ(test, alloc(w, 3, 1), 3);

	/* Unless there is nothing else. */
	w = window_new(test, START + SZ_1G - SZ_8M, 8, 1);
	KUNIT_EXPECT_EQ(test, alloc(w, 0, 6), 0);
}

/* Shows: SCM-1, SCM-6 */
static void parents_are_as_in_the_file(struct kunit *test)
{
	struct window *w = window_new(test, START + SZ_2M, 4096, 3);
	unsigned long ranges[] = { 0, 512, 700 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct scome_region *region;

		mutex_lock(&scome_units_lock);
		region = scome_region_alloc(w->units[i], &w->arena, ranges[i],
					    600);
		mutex_unlock(&scome_units_lock);
		KUNIT_ASSERT_FALSE(test, IS_ERR(region));
		KUNIT_EXPECT_EQ(test, region->address & ~PUD_MASK,
				ranges[i] * PMD_SIZE & ~PUD_MASK);
	}
}

/* Shows: SCM-3 */
static void regions_are_bounded(struct kunit *test)
{
	struct window *w = window_new(test, START, 256, 2);
	unsigned int i;

	for (i = 0; i < SCOME_MAX_REGIONS; i++)
		KUNIT_ASSERT_EQ(test, alloc(w, 0, 1), i);
	KUNIT_EXPECT_EQ(test, alloc(w, 0, 1), -ENOSPC);
	KUNIT_EXPECT_EQ(test, alloc(w, 1, 1), SCOME_MAX_REGIONS);
}

/* Held against a bitmap, a few thousand times. */

/* Shows: SCM-4 */
static void nobody_gets_it_twice(struct kunit *test)
{
	struct window *w = window_new(test, START, CHUNKS, UNITS);
	unsigned long *used =
		kunit_kzalloc(test, BITS_TO_LONGS(CHUNKS) * 8, GFP_KERNEL);
	struct rnd_state rnd;
	int i, wrong = 0;

	KUNIT_ASSERT_NOT_NULL(test, used);
	prandom_seed_state(&rnd, 4711);
	for (i = 0; i < 5000; i++) {
		unsigned int unit = prandom_u32_state(&rnd) % UNITS;
		unsigned long n = 1 + prandom_u32_state(&rnd) % 12, had, at;
		struct scome_region *region;
		long chunk;
		int ret;

		switch (prandom_u32_state(&rnd) % 4) {
		case 0:
			list_for_each_entry(region, &w->units[unit]->regions,
					    node)
				bitmap_clear(used,
					     (region->address - START) /
						     PMD_SIZE,
					     region->chunks);
			regions_free(w->units[unit]);
			break;
		case 1:
			if (list_empty(&w->units[unit]->regions))
				break;
			region = last_region(w, unit);
			had = region->chunks;
			at = (region->address - START) / PMD_SIZE + had;
			ret = extend(w, unit, had + n);
			wrong += !ret !=
				 (at + n <= CHUNKS &&
				  find_next_bit(used, at + n, at) >= at + n);
			if (!ret)
				bitmap_set(used, at, n);
			break;
		default:
			chunk = alloc(w, unit, n);
			at = bitmap_find_next_zero_area(used, CHUNKS, 0, n, 0);
			wrong += at < CHUNKS ? chunk != at : chunk != -ENOSPC;
			if (chunk >= 0)
				bitmap_set(used, chunk, n);
		}
		wrong += w->arena.chunks != bitmap_weight(used, CHUNKS);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* The system's own windows */

/* Shows: SCM-1 */
static void windows_are_apart(struct kunit *test)
{
	struct scome_arena *volatile_ = &scome_arenas[SCOME_ARENA_VOLATILE];
	struct scome_arena *fixed = &scome_arenas[SCOME_ARENA_FIXED];

	KUNIT_EXPECT_EQ(test, volatile_->end - volatile_->start, 16ul * SZ_1T);
	KUNIT_EXPECT_EQ(test, volatile_->start % SZ_1G, 0);
	KUNIT_EXPECT_GE(test, volatile_->start, fixed->end);
	KUNIT_EXPECT_LE(test, volatile_->end, DEFAULT_MAP_WINDOW / 3 * 2);
	KUNIT_EXPECT_EQ(test, fixed->start, 32ul * SZ_1T);
	KUNIT_EXPECT_PTR_EQ(
		test, scome_arena_at(fixed->start, fixed->start + 1), fixed);
	KUNIT_EXPECT_PTR_EQ(test, scome_arena_at(0, TASK_SIZE_MAX), fixed);
	KUNIT_EXPECT_PTR_EQ(test, scome_arena_at(fixed->end, TASK_SIZE_MAX),
			    volatile_);
	KUNIT_EXPECT_NULL(test, scome_arena_at(0, fixed->start));
	KUNIT_EXPECT_NULL(test, scome_arena_at(volatile_->end, TASK_SIZE_MAX));
}

/* Shows: SCM-1, SCM-2 */
static void processes_find_the_same_address(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	long address[3];
	int i;

	for (i = 0; i < ARRAY_SIZE(address); i++) {
		struct kproc *proc = kproc_new(test, 0);

		address[i] = kproc_mmap(proc, file, 0, SZ_8M, PROT_RW,
					MAP_LINKED, SZ_2M);
		KUNIT_EXPECT_EQ(test, kproc_write(proc, address[i], 5), 0);
	}
	KUNIT_EXPECT_EQ(test, address[0], address[1]);
	KUNIT_EXPECT_EQ(test, address[0], address[2]);
	KUNIT_EXPECT_PTR_EQ(test,
			    scome_arena_at(address[0], address[0] + SZ_8M),
			    &scome_arenas[SCOME_ARENA_VOLATILE]);
}

/* Shows: SCM-8 */
static void place_without_a_mapping_goes(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	unsigned long chunks = scome_arenas[SCOME_ARENA_VOLATILE].chunks;

	KUNIT_ASSERT_NE(test, scome_arena_place(file, SZ_8M, 0), 0);
	KUNIT_EXPECT_TRUE(test, file_has_unit(file));
	KUNIT_EXPECT_GT(test, scome_arenas[SCOME_ARENA_VOLATILE].chunks,
			chunks);
	scome_retire_kept();
	flush_delayed_fput();
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
	KUNIT_EXPECT_EQ(test, scome_arenas[SCOME_ARENA_VOLATILE].chunks,
			chunks);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(one_after_the_other),
	KUNIT_CASE(full_and_in_pieces),
	KUNIT_CASE(grows_where_it_lies),
	KUNIT_CASE_PARAM(claim_beside_another, conflicts_gen_params),
	KUNIT_CASE(stays_in_one_parent),
	KUNIT_CASE(parents_are_as_in_the_file),
	KUNIT_CASE(regions_are_bounded),
	KUNIT_CASE(nobody_gets_it_twice),
	KUNIT_CASE(windows_are_apart),
	KUNIT_CASE(processes_find_the_same_address),
	KUNIT_CASE(place_without_a_mapping_goes),
	{}
};

static struct kunit_suite suite = {
	.name = "scome_arena",
	.init = retire_all,
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("KUnit suite of scome: addresses in common");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
