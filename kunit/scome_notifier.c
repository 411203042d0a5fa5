// SPDX-License-Identifier: GPL-2.0
/*
 * Secondary MMUs: who hears of an invalidation in a unit, at which address, and that
 * whoever hears of its start hears of its end.
 */

#include <linux/pagemap.h>

#include "scome_kunit.h"

#define FILE_SIZE SZ_16M
#define PART (SZ_2M + SZ_1M)
#define MAX_HEARD 64

struct heard {
	unsigned long start;
	unsigned long end;
};

struct listener {
	struct mmu_notifier notifier;
	struct mmu_interval_notifier interval;
	struct kproc *proc;
	struct heard heard[MAX_HEARD];
	unsigned int starts;
	unsigned int ends;
	bool is_interval;
};

static int hear_start(struct mmu_notifier *notifier,
		      const struct mmu_notifier_range *range)
{
	struct listener *l = container_of(notifier, struct listener, notifier);

	if (l->starts < MAX_HEARD)
		l->heard[l->starts] =
			(struct heard){ range->start, range->end };
	l->starts++;
	return 0;
}

static void hear_end(struct mmu_notifier *notifier,
		     const struct mmu_notifier_range *range)
{
	container_of(notifier, struct listener, notifier)->ends++;
}

static const struct mmu_notifier_ops range_ops = {
	.invalidate_range_start = hear_start,
	.invalidate_range_end = hear_end,
};

static void hear_tlb(struct mmu_notifier *notifier, struct mm_struct *mm,
		     unsigned long start, unsigned long end)
{
	container_of(notifier, struct listener, notifier)->ends++;
}

static const struct mmu_notifier_ops tlb_ops = {
	.arch_invalidate_secondary_tlbs = hear_tlb,
};

static bool hear_interval(struct mmu_interval_notifier *interval,
			  const struct mmu_notifier_range *range,
			  unsigned long seq)
{
	struct listener *l = container_of(interval, struct listener, interval);

	mmu_interval_set_seq(interval, seq);
	if (l->starts < MAX_HEARD)
		l->heard[l->starts] =
			(struct heard){ range->start, range->end };
	l->starts++;
	return true;
}

static const struct mmu_interval_notifier_ops interval_ops = {
	.invalidate = hear_interval,
};

static long do_register(struct kproc *proc, void *arg)
{
	struct listener *l = arg;

	if (l->is_interval)
		return mmu_interval_notifier_insert(
			&l->interval, proc->mm, PLACE, SZ_8M, &interval_ops);
	return mmu_notifier_register(&l->notifier, proc->mm);
}

static long do_unregister(struct kproc *proc, void *arg)
{
	struct listener *l = arg;

	if (l->is_interval)
		mmu_interval_notifier_remove(&l->interval);
	else
		mmu_notifier_unregister(&l->notifier, proc->mm);
	return 0;
}

static void unregister(void *arg)
{
	struct listener *l = arg;

	if (l->proc->mm)
		kproc_run(l->proc, do_unregister, l);
}

static struct listener *listen(struct kunit *test, struct kproc *proc,
			       const struct mmu_notifier_ops *ops)
{
	struct listener *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l);
	l->proc = proc;
	l->notifier.ops = ops;
	l->is_interval = !ops;
	KUNIT_ASSERT_EQ(test, 0, kproc_run(proc, do_register, l));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, unregister, l));
	return l;
}

static struct kproc *process_at(struct kunit *test, struct file *file,
				unsigned long place)
{
	struct kproc *proc = kproc_new(test, 0);
	unsigned long i;

	kproc_link_at(test, proc, file, place, SZ_8M, 0);
	for (i = 0; i < SZ_8M; i += SZ_1M)
		KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, place + i, i + 1));
	return proc;
}

/* What reclaim, truncation and migration do to a page. */
static void take_away(struct file *file, unsigned long offset)
{
	unmap_mapping_range(file->f_mapping, offset, SZ_4K, 1);
}

/* All that is behind. */
static void truncate(struct file *file, unsigned long offset)
{
	unmap_mapping_range(file->f_mapping, offset, 0, 1);
}

static bool heard_page(const struct listener *l, unsigned long address)
{
	unsigned int i;

	for (i = 0; i < min_t(unsigned int, l->starts, MAX_HEARD); i++)
		if (l->heard[i].start <= address &&
		    l->heard[i].end >= address + SZ_4K)
			return true;
	return false;
}

/* Shows: SCM-20 */
static void hears_of_the_unit(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process_at(test, file, PLACE);
	struct listener *l = listen(test, proc, &range_ops);

	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE + SZ_2M));
	KUNIT_EXPECT_EQ(test, l->starts, 0);
	take_away(file, PART);
	KUNIT_EXPECT_EQ(test, l->starts, 1);
	KUNIT_EXPECT_EQ(test, l->ends, 1);
	KUNIT_EXPECT_EQ(test, l->heard[0].start, PLACE + PART);
	KUNIT_EXPECT_EQ(test, l->heard[0].end, PLACE + PART + SZ_4K);
	/* It is still linked, and finds the page again. */
	KUNIT_EXPECT_EQ(test, kproc_read(proc, PLACE + PART), PART + 1);
	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE + SZ_2M));
}

/* Shows: SCM-20 */
static void who_links_later_hears_too(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct listener *l = listen(test, proc, &range_ops);

	kproc_link_at(test, proc, file, PLACE, SZ_8M, SZ_2M);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_1M, 5));
	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE));
	take_away(file, SZ_2M + SZ_1M);
	KUNIT_EXPECT_TRUE(test, heard_page(l, PLACE + SZ_1M));
	KUNIT_EXPECT_EQ(test, l->starts, l->ends);
}

/* Shows: SCM-10, SCM-20 */
static void at_all_places_of_all_processes(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *one = process_at(test, file, PLACE);
	struct kproc *two = process_at(test, file, PLACE + SZ_1G);
	struct kproc *deaf = process_at(test, file, PLACE);
	struct listener *first = listen(test, one, &range_ops), *second;

	kproc_link_at(test, two, file, PLACE + 2ul * SZ_1G, SZ_8M, 0);
	second = listen(test, two, &range_ops);
	take_away(file, PART);
	KUNIT_EXPECT_TRUE(test, heard_page(first, PLACE + PART));
	KUNIT_EXPECT_EQ(test, first->starts, 1);
	KUNIT_EXPECT_TRUE(test, heard_page(second, PLACE + SZ_1G + PART));
	KUNIT_EXPECT_TRUE(test, heard_page(second, PLACE + 2ul * SZ_1G + PART));
	KUNIT_EXPECT_EQ(test, second->starts, 2);
	KUNIT_EXPECT_EQ(test, second->ends, 2);

	/* One of the two places goes: it hears of that, and then of one only. */
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(two, PLACE + SZ_1G, SZ_8M));
	second->starts = 0;
	second->ends = 0;
	take_away(file, PART);
	KUNIT_EXPECT_EQ(test, second->starts, 1);
	KUNIT_EXPECT_TRUE(test, heard_page(second, PLACE + 2ul * SZ_1G + PART));
	KUNIT_EXPECT_EQ(test, kproc_read(deaf, PLACE + PART), PART + 1);
}

/* The manager maps more than any process can. */

/* Shows: SCM-20 */
static void hears_of_truncation(struct kunit *test)
{
	unsigned long high = 112ul * SZ_1T, far = 3ul * SZ_1T;
	struct file *file = kfile_new(test, 4ul * SZ_1T);
	struct kproc *proc = process_at(test, file, high);
	struct listener *l;

	/* And where file offset 0 would lie below address 0. */
	kproc_link_at(test, proc, file, PLACE, SZ_8M, far);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_2M, 1));
	l = listen(test, proc, &range_ops);
	truncate(file, PART);
	KUNIT_EXPECT_TRUE(test, heard_page(l, high + PART));
	KUNIT_EXPECT_TRUE(test, heard_page(l, high + SZ_8M - SZ_4K));
	KUNIT_EXPECT_FALSE(test, heard_page(l, high + PART - SZ_4K));
	KUNIT_EXPECT_TRUE(test, heard_page(l, PLACE + SZ_2M));
	KUNIT_EXPECT_EQ(test, l->starts, l->ends);
}

/* Shows: SCM-15, SCM-20 */
static void hears_of_a_view(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process_at(test, file, PLACE);
	struct listener *l = listen(test, proc, &range_ops);

	KUNIT_ASSERT_EQ(test, 0,
			kproc_protect(proc, PLACE + SZ_2M, SZ_4K, VM_READ));
	/* All of the range is served by another table now: forget it. */
	KUNIT_EXPECT_TRUE(test, heard_page(l, PLACE + PART));
	KUNIT_EXPECT_EQ(test, kproc_read(proc, PLACE + PART), PART + 1);
	l->starts = 0;
	l->ends = 0;
	take_away(file, PART);
	KUNIT_EXPECT_TRUE(test, heard_page(l, PLACE + PART));
	KUNIT_EXPECT_EQ(test, l->starts, l->ends);

	l->starts = 0;
	KUNIT_ASSERT_EQ(test, 0,
			kproc_protect(proc, PLACE + SZ_2M, SZ_4K,
				      VM_READ | VM_WRITE));
	KUNIT_EXPECT_TRUE(test, heard_page(l, PLACE + PART));
}

/* Shows: SCM-20 */
static void hears_of_leaving(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process_at(test, file, PLACE);
	struct listener *l = listen(test, proc, &range_ops);
	struct kproc_protect p = {
		.start = PLACE,
		.end = PLACE + SZ_8M,
		.set = VM_PKEY_BIT0,
	};

	KUNIT_ASSERT_EQ(test, 0, kproc_run(proc, kproc_do_protect, &p));
	KUNIT_EXPECT_TRUE(test, heard_page(l, PLACE));
	KUNIT_EXPECT_TRUE(test, heard_page(l, PLACE + SZ_8M - SZ_4K));
	KUNIT_EXPECT_EQ(test, l->starts, l->ends);
	/* From now on it hears as everybody does; without the key it may read. */
	p.clear = VM_PKEY_BIT0;
	p.set = 0;
	KUNIT_ASSERT_EQ(test, 0, kproc_run(proc, kproc_do_protect, &p));
	KUNIT_EXPECT_FALSE(test, vma_scome(kproc_vma(proc, PLACE)));
	KUNIT_EXPECT_EQ(test, kproc_read(proc, PLACE + PART), PART + 1);
	l->starts = 0;
	take_away(file, PART);
	KUNIT_EXPECT_EQ(test, l->starts, 1);
}

/* Shows: SCM-20 */
static void intervals_hear(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process_at(test, file, PLACE);
	struct listener *l = listen(test, proc, NULL);
	unsigned long seq;

	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE + SZ_2M));
	seq = mmu_interval_read_begin(&l->interval);
	KUNIT_EXPECT_FALSE(test, mmu_interval_read_retry(&l->interval, seq));
	take_away(file, PART);
	KUNIT_EXPECT_TRUE(test, mmu_interval_read_retry(&l->interval, seq));
	KUNIT_EXPECT_TRUE(test, heard_page(l, PLACE + PART));
}

/* Who shares the CPU's page tables hears of flushes, and those are not the mm's. */

/* Shows: SCM-6, SCM-20 */
static void sharer_of_page_tables_leaves(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process_at(test, file, PLACE);

	listen(test, proc, &tlb_ops);
	KUNIT_EXPECT_FALSE(test, kproc_linked(proc, PLACE));
	KUNIT_EXPECT_FALSE(test, vma_scome(kproc_vma(proc, PLACE)));
	KUNIT_EXPECT_EQ(test, kproc_read(proc, PLACE + PART), PART + 1);
	KUNIT_EXPECT_EQ(
		test, kproc_mmap(proc, file, 0, SZ_2M, PROT_RW, MAP_LINKED, 0),
		-EOPNOTSUPP);
}

/* Shows: SCM-8, SCM-20 */
static void unit_goes_as_ever(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process_at(test, file, PLACE);
	struct listener *l = listen(test, proc, &range_ops);

	KUNIT_EXPECT_TRUE(test, file_has_unit(file));
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_8M));
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
	l->starts = 0;
	take_away(file, PART);
	KUNIT_EXPECT_EQ(test, l->starts, 0);
	/* With the process. */
	kproc_link_at(test, proc, file, PLACE, SZ_8M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 1));
	kproc_run(proc, do_unregister, l);
	take_away(file, 0);
	kproc_exit(proc);
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
}

static struct kunit_case cases[] = { KUNIT_CASE(hears_of_the_unit),
				     KUNIT_CASE(who_links_later_hears_too),
				     KUNIT_CASE(at_all_places_of_all_processes),
				     KUNIT_CASE(hears_of_truncation),
				     KUNIT_CASE(hears_of_a_view),
				     KUNIT_CASE(hears_of_leaving),
				     KUNIT_CASE(intervals_hear),
				     KUNIT_CASE(sharer_of_page_tables_leaves),
				     KUNIT_CASE(unit_goes_as_ever),
				     {} };

static struct kunit_suite suite = {
	.name = "scome_notifier",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("KUnit suite of scome: secondary MMUs");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
