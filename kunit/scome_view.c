// SPDX-License-Identifier: GPL-2.0
/*
 * Views: who gets which leaf table for a range that it has restricted in parts,
 * what the file's reverse map sees of it, and that nothing of a view stays.
 */

#include <linux/pagemap.h>

#include "scome_kunit.h"

#define FILE_SIZE SZ_16M
/* A page in the middle of the second range. */
#define PART (SZ_2M + SZ_1M)
#define RANGE 1

static struct kproc *process(struct kunit *test, struct file *file)
{
	struct kproc *proc = kproc_new(test, 0);
	unsigned long i;

	kproc_link_at(test, proc, file, PLACE, SZ_8M, 0);
	for (i = 0; i < SZ_8M; i += SZ_2M)
		KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + i, i + 1));
	return proc;
}

static void protect(struct kunit *test, struct kproc *proc, unsigned long start,
		    unsigned long len, vm_flags_t access)
{
	KUNIT_ASSERT_EQ(test, 0,
			kproc_protect(proc, PLACE + start, len, access));
}

static struct scome_view *view_of(struct kproc *proc, unsigned long offset)
{
	struct vm_area_struct *vma = kproc_vma(proc, PLACE + offset);

	return vma && vma->vm_scome ? scome_view_at(vma, PLACE + offset) : NULL;
}

/* Maps of permissions */

static struct scome_map map_of(u16 first, u16 page, u16 second)
{
	return (struct scome_map){
		.nr = 2,
		.runs = { { 0, first }, { page, second } },
	};
}

/* A unit that nobody but the test uses. */
static struct scome_unit *unit_new(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);

	return kproc_unit(test, process(test, file), PLACE);
}

/* Shows: SCM-15, SCM-17 */
static void same_map_same_view(struct kunit *test)
{
	struct scome_unit *unit = unit_new(test);
	struct scome_map map = map_of(VM_READ, 7, VM_READ | VM_WRITE);
	struct scome_view *first = scome_view_get(unit, RANGE, &map);
	struct scome_view *second = scome_view_get(unit, RANGE, &map);

	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_EXPECT_PTR_EQ(test, first, second);
	KUNIT_EXPECT_EQ(test, refcount_read(&first->users), 2);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->nr_views), 1);
	scome_view_put(second);
	KUNIT_EXPECT_EQ(test, refcount_read(&first->users), 1);
	scome_view_put(first);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->nr_views), 0);
}

/* Shows: SCM-15 */
static void other_map_other_view(struct kunit *test)
{
	struct scome_unit *unit = unit_new(test);
	struct scome_map maps[] = {
		map_of(VM_READ, 7, VM_READ | VM_WRITE),
		map_of(VM_READ, 8, VM_READ | VM_WRITE),
		map_of(VM_READ | VM_WRITE, 7, VM_READ),
		map_of(VM_READ, 7, VM_READ | VM_WRITE | VM_EXEC),
		map_of(VM_READ, 7, VM_NONE),
	};
	struct scome_view *views[ARRAY_SIZE(maps) + 1];
	int i, j, same = 0;

	for (i = 0; i < ARRAY_SIZE(maps); i++)
		views[i] = scome_view_get(unit, RANGE, &maps[i]);
	/* And the first one of another range. */
	views[i] = scome_view_get(unit, RANGE + 1, &maps[0]);
	for (i = 0; i < ARRAY_SIZE(views); i++) {
		KUNIT_EXPECT_NOT_NULL(test, views[i]);
		for (j = 0; j < i; j++)
			same += views[i] == views[j] ||
				views[i]->address == views[j]->address;
	}
	KUNIT_EXPECT_EQ(test, same, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->nr_views),
			ARRAY_SIZE(views));
	/* In no order of their making: the middle, the first, the last. */
	scome_view_put(views[2]);
	scome_view_put(views[0]);
	scome_view_put(views[5]);
	KUNIT_EXPECT_PTR_EQ(test, scome_view_get(unit, RANGE, &maps[3]),
			    views[3]);
	scome_view_put(views[3]);
	for (i = 1; i < 5; i++)
		if (i != 2)
			scome_view_put(views[i]);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->nr_views), 0);
}

/* Shows: SCM-15 */
static void view_finds_its_vmas(struct kunit *test)
{
	struct scome_unit *unit = unit_new(test);
	struct scome_map map = {
		.nr = 3,
		.runs = { { 0, VM_READ },
			  { 1, VM_NONE },
			  { 511, VM_READ | VM_WRITE } },
	};
	struct scome_view *view = scome_view_get(unit, RANGE, &map);
	struct vm_area_struct *vma;
	unsigned long page;
	int wrong = 0;

	KUNIT_ASSERT_NOT_NULL(test, view);
	KUNIT_EXPECT_EQ(test, view->access, VM_READ | VM_WRITE);
	for (page = 0; page < PTRS_PER_PTE; page++) {
		unsigned long address = view->address + page * PAGE_SIZE;
		u16 access = map.runs[(page > 0) + (page > 510)].access;

		vma = scome_view_vma(view, address);
		wrong += address < vma->vm_start || address >= vma->vm_end ||
			 (vma->vm_flags & VM_ACCESS_FLAGS) != access ||
			 linear_page_index(vma, address) != RANGE * 512 + page;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	scome_view_put(view);
}

/* Shows: SCM-8, SCM-15 */
static void nothing_of_a_view_stays(struct kunit *test)
{
	struct scome_unit *unit = unit_new(test);
	long tables = atomic_long_read(&scome_nr_tables);
	struct scome_map map = map_of(VM_READ, 7, VM_READ | VM_WRITE);
	unsigned long bytes = mm_pgtables_bytes(unit->mm);
	int vmas = unit->mm->map_count, i;
	struct scome_view *view;
	unsigned long address;

	for (i = 0; i < 3; i++) {
		view = scome_view_get(unit, RANGE, &map);
		KUNIT_ASSERT_NOT_NULL(test, view);
		address = view->address;
		KUNIT_EXPECT_EQ(test, address, SCOME_VIEWS);
		KUNIT_EXPECT_EQ(test, unit->mm->map_count, vmas + 2);
		scome_view_put(view);
		KUNIT_EXPECT_EQ(test, unit->mm->map_count, vmas);
		mmap_read_lock(unit->mm);
		KUNIT_EXPECT_NULL(test, vma_lookup(unit->mm, address));
		mmap_read_unlock(unit->mm);
	}
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(unit->mm), bytes);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_tables), tables);
}

/* What mprotect() of a part does */

/* Shows: SCM-15, SCM-17 */
static void part_attaches_its_range(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process(test, file), *other = process(test, file);
	long tables = atomic_long_read(&scome_nr_tables);

	protect(test, proc, PART, SZ_4K, VM_READ);
	KUNIT_ASSERT_NOT_NULL(test, view_of(proc, PART));
	KUNIT_EXPECT_NULL(test, view_of(proc, 0));
	KUNIT_EXPECT_NULL(test, view_of(other, PART));
	KUNIT_EXPECT_EQ(test, kproc_write(proc, PLACE + PART, 7), -EFAULT);
	KUNIT_EXPECT_EQ(test, kproc_write(proc, PLACE + SZ_2M, 8), 0);
	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE + SZ_2M));
	KUNIT_EXPECT_EQ(test, kproc_read(other, PLACE + SZ_2M), 8);
	KUNIT_EXPECT_EQ(test, kproc_write(other, PLACE + PART, 9), 0);
	KUNIT_EXPECT_EQ(test, kproc_read(proc, PLACE + PART), 9);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_tables), tables + 1);

	/* Nothing of its own: its page tables are as many as the other's. */
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(proc->mm),
			mm_pgtables_bytes(other->mm));

	protect(test, other, PART, SZ_4K, VM_READ);
	KUNIT_EXPECT_PTR_EQ(test, view_of(other, PART), view_of(proc, PART));
	KUNIT_EXPECT_EQ(test, kproc_read(other, PLACE + PART), 9);
	KUNIT_EXPECT_EQ(test, pmd_pfn(kproc_pmd(other, PLACE + SZ_2M)),
			pmd_pfn(kproc_pmd(proc, PLACE + SZ_2M)));

	protect(test, proc, PART, SZ_4K, VM_READ | VM_WRITE);
	KUNIT_EXPECT_NULL(test, view_of(proc, PART));
	KUNIT_EXPECT_EQ(test, kproc_write(proc, PLACE + PART, 10), 0);
	KUNIT_EXPECT_EQ(test, kproc_read(other, PLACE + PART), 10);
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(other, PLACE, SZ_8M));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_tables), tables);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_views), 0);
}

/* The PMD entry allows what some page allows, and no more. */

/* Shows: SCM-15 */
static void pmd_allows_what_a_page_allows(struct kunit *test)
{
	struct kproc *proc = process(test, kfile_new(test, FILE_SIZE));

	protect(test, proc, 0, SZ_8M, VM_READ);
	protect(test, proc, PART, SZ_4K, VM_NONE);
	KUNIT_ASSERT_EQ(test, kproc_read(proc, PLACE + SZ_2M), SZ_2M + 1);
	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE + SZ_2M));
	KUNIT_EXPECT_FALSE(test, pmd_write(kproc_pmd(proc, PLACE + SZ_2M)));
	KUNIT_EXPECT_TRUE(test,
			  pmd_flags(kproc_pmd(proc, PLACE + SZ_2M)) & _PAGE_NX);
	protect(test, proc, PART, SZ_4K, VM_READ | VM_EXEC);
	KUNIT_ASSERT_EQ(test, kproc_read(proc, PLACE + SZ_2M), SZ_2M + 1);
	KUNIT_EXPECT_FALSE(test, pmd_flags(kproc_pmd(proc, PLACE + SZ_2M)) &
					 _PAGE_NX);
}

struct change {
	const char *name;
	unsigned long start;
	unsigned long end;
	bool unmap;
	bool attached;
};

/* The part of the second range is [PART, PART + 4 pages). */
static const struct change changes[] = {
	{ "a page of the part goes", PART, PART + SZ_4K, true, false },
	{ "the part goes", PART, PART + SZ_16K, true, false },
	{ "a page beside goes", PART + SZ_1M - SZ_4K, SZ_4M, true, false },
	{ "all before goes", 0, PART, true, false },
	{ "the range goes", SZ_2M, SZ_4M, true, false },
	{ "the range behind goes", SZ_4M, SZ_4M + SZ_2M, true, true },
	{ "the first page of the next", SZ_4M, SZ_4M + SZ_4K, true, true },
	{ "a page of the part changes", PART, PART + SZ_4K, false, true },
	{ "a page beside changes", SZ_2M, SZ_2M + SZ_4K, false, true },
	{ "the next range changes", SZ_4M, SZ_4M + SZ_2M, false, true },
};

static void change_name(const struct change *change, char *name)
{
	strscpy(name, change->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(changes, changes, change_name);

/* Shows: SCM-6, SCM-15 */
static void change_of_an_attached_range(struct kunit *test)
{
	const struct change *c = test->param_value;
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process(test, file);
	unsigned long page;
	int wrong = 0;

	protect(test, proc, PART, SZ_16K, VM_READ);
	KUNIT_ASSERT_EQ(test, kproc_read(proc, PLACE + SZ_2M), SZ_2M + 1);
	if (c->unmap)
		KUNIT_ASSERT_EQ(test, 0,
				kproc_munmap(proc, PLACE + c->start,
					     c->end - c->start));
	else
		protect(test, proc, c->start, c->end - c->start, VM_NONE);
	for (page = SZ_2M; page < SZ_4M + SZ_2M; page += SZ_4K) {
		bool gone = page >= c->start && page < c->end;
		bool part = page >= PART && page < PART + SZ_16K;

		wrong += (kproc_write(proc, PLACE + page, 1) < 0) !=
			 (gone || part);
		wrong += (kproc_read(proc, PLACE + page) < 0) != gone;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_views), c->attached);
	if (c->attached)
		KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE + SZ_2M));
}

/* The reverse map. A range is what the bits of @views say, or ordinary. */

struct interval {
	const char *name;
	unsigned long start;
	unsigned long end;
	/* Ranges that are attached. */
	unsigned int views;
	unsigned long rmap_start;
	unsigned long rmap_end;
	bool hidden;
};

static const struct interval intervals[] = {
	{ "head of a view", SZ_1M, SZ_4M, BIT(0), 0, 0, true },
	{ "head of none", SZ_1M, SZ_4M, 0, SZ_1M, SZ_2M, false },
	{ "tail of a view", SZ_2M, SZ_4M + SZ_1M, BIT(2), 0, 0, true },
	{ "tail of none", SZ_2M, SZ_4M + SZ_1M, 0, SZ_4M, SZ_4M + SZ_1M,
	  false },
	{ "both of views", SZ_1M, SZ_4M + SZ_1M, BIT(0) | BIT(2), 0, 0, true },
	{ "only the head's is a view", SZ_1M, SZ_4M + SZ_1M, BIT(0), SZ_4M,
	  SZ_4M + SZ_1M, false },
	{ "only the tail's is a view", SZ_1M, SZ_4M + SZ_1M, BIT(2), SZ_1M,
	  SZ_2M, false },
	{ "neither is a view", SZ_1M, SZ_4M + SZ_1M, 0, SZ_1M, SZ_4M + SZ_1M,
	  false },
	{ "a page of a view", SZ_1M, SZ_1M + SZ_4K, BIT(0), 0, 0, true },
	{ "a page of none", SZ_1M, SZ_1M + SZ_4K, 0, SZ_1M, SZ_1M + SZ_4K,
	  false },
	{ "the first page of a view", 0, SZ_4K, BIT(0), 0, 0, true },
	{ "the first page of none", 0, SZ_4K, 0, 0, SZ_4K, false },
	{ "the last page of a view", SZ_2M - SZ_4K, SZ_2M, BIT(0), 0, 0, true },
	{ "the last page of none", SZ_2M - SZ_4K, SZ_2M, BIT(1), SZ_2M - SZ_4K,
	  SZ_2M, false },
	{ "across a border, of views", SZ_1M, SZ_2M + SZ_1M, BIT(0) | BIT(1), 0,
	  0, true },
	{ "across a border, of none", SZ_1M, SZ_2M + SZ_1M, 0, SZ_1M,
	  SZ_2M + SZ_1M, false },
};

static void interval_name(const struct interval *interval, char *name)
{
	strscpy(name, interval->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(intervals, intervals, interval_name);

/* Shows: SCM-6, SCM-15 */
static void rmap_interval(struct kunit *test)
{
	const struct interval *i = test->param_value;
	struct scome_link link = { .bias = PLACE };
	struct vm_area_struct vma = {
		.vm_start = PLACE + i->start,
		.vm_end = PLACE + i->end,
		.vm_pgoff = PHYS_PFN(i->start),
		.vm_scome = &link,
	};
	unsigned long range;

	xa_init(&link.views);
	xa_init(&link.attaches);
	for (range = 0; range < 4; range++)
		if (i->views & BIT(range))
			KUNIT_EXPECT_EQ(test, 0,
					xa_err(xa_store(&link.views, range,
							&link, GFP_KERNEL)));
	KUNIT_EXPECT_EQ(test, scome_rmap_hidden(&vma), i->hidden);
	if (!i->hidden) {
		KUNIT_EXPECT_EQ(test, scome_rmap_first(&vma),
				PHYS_PFN(i->rmap_start));
		KUNIT_EXPECT_EQ(test, scome_rmap_last(&vma),
				PHYS_PFN(i->rmap_end) - 1);
	}
	xa_destroy(&link.views);
}

/* Shows: SCM-5, SCM-15 */
static void rmap_meets_a_view_once(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *procs[4];
	struct mm_struct *manager;
	int i;

	for (i = 0; i < ARRAY_SIZE(procs); i++) {
		procs[i] = process(test, file);
		protect(test, procs[i], PART, SZ_4K, VM_READ);
		KUNIT_ASSERT_EQ(test, kproc_read(procs[i], PLACE + SZ_2M),
				SZ_2M + 1);
		KUNIT_EXPECT_EQ(test, 0,
				rmap_finds(file, procs[i]->mm, 0, SZ_8M));
	}
	manager = kproc_unit(test, procs[0], PLACE)->mm;
	KUNIT_EXPECT_EQ(test, rmap_finds(file, manager, PART, PART + SZ_4K), 2);
	KUNIT_EXPECT_EQ(test, rmap_finds(file, manager, 0, SZ_2M), 1);
	KUNIT_EXPECT_EQ(test, rmap_finds(file, manager, SZ_2M, SZ_4M), 4);

	/* Ordinary again for one of them. */
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(procs[0], PLACE + PART, SZ_4K));
	KUNIT_EXPECT_EQ(test, rmap_finds(file, procs[0]->mm, SZ_2M, SZ_4M), 2);
	KUNIT_EXPECT_EQ(test,
			rmap_finds(file, procs[0]->mm, PART, PART + SZ_4K), 0);
	for (i = 0; i < ARRAY_SIZE(procs); i++)
		KUNIT_ASSERT_EQ(test, 0, kproc_munmap(procs[i], PLACE, SZ_8M));
	KUNIT_EXPECT_EQ(test, rmap_finds(file, procs[0]->mm, 0, SZ_8M), 0);
}

/* Shootdowns: what is cleared in the window is stale where processes see it. */

struct shootdown {
	unsigned int count;
	u64 start;
	u64 end;
};

static void shootdown_probe(void *data, u64 unit, unsigned long start,
			    unsigned long end, unsigned int cpus,
			    unsigned int mms)
{
	struct shootdown *shootdown = data;

	shootdown->count++;
	shootdown->start = start;
	shootdown->end = end;
}

/* Shows: SCM-5, SCM-15 */
static void shootdown_is_for_the_range(struct kunit *test)
{
	struct kproc *proc = process(test, kfile_new(test, FILE_SIZE));
	struct scome_unit *unit = kproc_unit(test, proc, PLACE);
	struct shootdown *shootdown =
		kunit_kzalloc(test, sizeof(*shootdown), GFP_KERNEL);
	unsigned long window;
	u64 gen;

	KUNIT_ASSERT_NOT_NULL(test, shootdown);
	protect(test, proc, PART, SZ_4K, VM_READ);
	KUNIT_ASSERT_NOT_NULL(test, view_of(proc, PART));
	window = view_of(proc, PART)->address;
	kwatch(test, "scome_shootdown", shootdown_probe, shootdown);

	gen = atomic64_read(&unit->tlb_gen);
	__scome_shootdown(unit->mm, window + SZ_1M, window + SZ_1M + SZ_8K);
	KUNIT_EXPECT_EQ(test, shootdown->count, 1);
	KUNIT_EXPECT_EQ(test, shootdown->start, SCOME_BASE + PART);
	KUNIT_EXPECT_EQ(test, shootdown->end, SCOME_BASE + PART + SZ_8K);
	KUNIT_EXPECT_EQ(test, atomic64_read(&unit->tlb_gen), gen + 1);

	/* All of it, and more than a window, is everything. */
	__scome_shootdown(unit->mm, window, window + SZ_2M);
	KUNIT_EXPECT_EQ(test, shootdown->count, 2);
	KUNIT_EXPECT_EQ(test, shootdown->end, TLB_FLUSH_ALL);
	__scome_shootdown(unit->mm, window + SZ_1M, window + SZ_4M);
	KUNIT_EXPECT_EQ(test, shootdown->count, 3);
	KUNIT_EXPECT_EQ(test, shootdown->end, TLB_FLUSH_ALL);
	__scome_shootdown(unit->mm, 0, TLB_FLUSH_ALL);
	KUNIT_EXPECT_EQ(test, shootdown->count, 4);
	KUNIT_EXPECT_EQ(test, shootdown->end, TLB_FLUSH_ALL);

	/* Windows without a view are nobody's, however many. */
	gen = atomic64_read(&unit->tlb_gen);
	__scome_shootdown(unit->mm, window + SZ_2M, window + SZ_2M + SZ_4K);
	__scome_shootdown(unit->mm, window + SZ_2M, window + SZ_1G);
	KUNIT_EXPECT_EQ(test, shootdown->count, 4);
	KUNIT_EXPECT_EQ(test, atomic64_read(&unit->tlb_gen), gen);
}

/* A view is made and taken away without an interrupt for anybody else. */

/* Shows: SCM-15 */
static void views_come_and_go_quietly(struct kunit *test)
{
	struct kproc *proc = process(test, kfile_new(test, FILE_SIZE));
	struct shootdown *shootdown =
		kunit_kzalloc(test, sizeof(*shootdown), GFP_KERNEL);
	unsigned long page;

	KUNIT_ASSERT_NOT_NULL(test, shootdown);
	for (page = 0; page < SZ_4M; page += SZ_4K)
		KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + page, 1));
	kwatch(test, "scome_shootdown", shootdown_probe, shootdown);
	protect(test, proc, SZ_1M, SZ_4K, VM_READ);
	protect(test, proc, PART, SZ_4K, VM_READ);
	KUNIT_ASSERT_NOT_NULL(test, view_of(proc, SZ_1M));
	KUNIT_ASSERT_NOT_NULL(test, view_of(proc, PART));
	for (page = 0; page < SZ_4M; page += SZ_4K)
		KUNIT_ASSERT_EQ(test, 1, kproc_read(proc, PLACE + page));
	/* The window that goes last is not the first one. */
	protect(test, proc, SZ_1M, SZ_4K, VM_READ | VM_WRITE);
	protect(test, proc, PART, SZ_4K, VM_READ | VM_WRITE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_views), 0);
	KUNIT_EXPECT_EQ(test, shootdown->count, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(same_map_same_view),
	KUNIT_CASE(other_map_other_view),
	KUNIT_CASE(view_finds_its_vmas),
	KUNIT_CASE(nothing_of_a_view_stays),
	KUNIT_CASE(part_attaches_its_range),
	KUNIT_CASE(pmd_allows_what_a_page_allows),
	KUNIT_CASE_PARAM(change_of_an_attached_range, changes_gen_params),
	KUNIT_CASE_PARAM(rmap_interval, intervals_gen_params),
	KUNIT_CASE(rmap_meets_a_view_once),
	KUNIT_CASE(shootdown_is_for_the_range),
	KUNIT_CASE(views_come_and_go_quietly),
	{}
};

static struct kunit_suite suite = {
	.name = "scome_view",
	.init = retire_all,
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("KUnit suite of scome: views of restricted parts");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
