// SPDX-License-Identifier: GPL-2.0
/*
 * Links: which mappings can have one, what a change of a mapping does to it,
 * and what the file's reverse map sees.
 */

#include <linux/pagemap.h>

#include "scome_kunit.h"

#define FILE_SIZE SZ_32M
#define PAGES(bytes) ((bytes) >> PAGE_SHIFT)

/* Where a mapping can be linked. */

struct geometry {
	const char *name;
	unsigned long addr;
	unsigned long len;
	unsigned long offset;
	bool ok;
};

static const struct geometry geometries[] = {
	{ "one table", SZ_4M, SZ_2M, 0, true },
	{ "a page less than one table", SZ_4M, SZ_2M - SZ_4K, 0, false },
	{ "starts a page late", SZ_4M + SZ_4K, SZ_2M, SZ_4K, false },
	{ "head and one table", SZ_4M - SZ_4K, SZ_2M + SZ_4K, SZ_2M - SZ_4K,
	  true },
	{ "head and a page less than one table", SZ_4M - SZ_4K, SZ_2M,
	  SZ_2M - SZ_4K, false },
	{ "table and tail", SZ_4M, SZ_2M + SZ_4K, 0, true },
	{ "head and tail that make up one table", SZ_4M + SZ_1M, SZ_2M, SZ_1M,
	  false },
	{ "head, table and tail", SZ_4M + SZ_1M, SZ_4M, SZ_1M, true },
	{ "offset a page off", SZ_4M, SZ_4M, SZ_4K, false },
	{ "offset half a table off", SZ_4M, SZ_4M, SZ_1M, false },
	{ "offset a table off", SZ_4M, SZ_4M, SZ_2M, true },
	{ "address a page off", SZ_4M + SZ_4K, SZ_4M, 0, false },
	{ "offset beyond the address", SZ_4M, SZ_4M, SZ_1G, true },
	{ "offset beyond the address, a page off", SZ_4M, SZ_4M, SZ_1G + SZ_4K,
	  false },
	{ "nothing", SZ_4M, 0, 0, false },
	{ "up to the end of the window", SZ_4M, SZ_2M, SCOME_SPAN - SZ_2M,
	  true },
	{ "a page beyond the window", SZ_4M, SZ_2M + SZ_4K, SCOME_SPAN - SZ_2M,
	  false },
	{ "behind the window", SZ_4M, SZ_2M, SCOME_SPAN, false },
	{ "far behind the window", SZ_4M, SZ_2M, SCOME_SPAN + SZ_2M, false },
	{ "last offset of all", SZ_4M, SZ_2M, PAGE_MASK & -SZ_2M, false },
	{ "the whole window", SZ_4M, SCOME_SPAN, 0, true },
	{ "longer than the window", SZ_4M, SCOME_SPAN + SZ_2M, 0, false },
	{ "longest length of all", SZ_4M, PAGE_MASK & -SZ_4K, 0, false },
	{ "last table of all addresses", -2ul * SZ_2M, SZ_2M, 0, true },
	{ "rounds up beyond all addresses", -1ul * SZ_4K, SZ_4M, SZ_2M - SZ_4K,
	  false },
	{ "address 0", 0, SZ_2M, 0, true },
};

static void geometry_name(const struct geometry *geometry, char *name)
{
	strscpy(name, geometry->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(geometries, geometries, geometry_name);

/* Shows: SCM-3, SCM-16 */
static void geometry(struct kunit *test)
{
	const struct geometry *g = test->param_value;

	KUNIT_EXPECT_EQ(test,
			scome_geometry_ok(g->addr, g->len, PAGES(g->offset)),
			g->ok);
}

struct place {
	const char *name;
	unsigned long start;
	unsigned long size;
	unsigned long len;
	unsigned long offset;
	unsigned long place;
};

static const struct place places[] = {
	{ "exact fit", SZ_1G, SZ_2M, SZ_2M, 0, SZ_1G },
	{ "gap a page too small", SZ_1G, SZ_2M - SZ_4K, SZ_2M, 0, 0 },
	{ "exact fit, gap a page off", SZ_1G + SZ_4K, SZ_2M, SZ_2M, 0, 0 },
	{ "top of the gap", SZ_1G, SZ_64M, SZ_4M, 0, SZ_1G + SZ_64M - SZ_4M },
	{ "top of the gap is a page off", SZ_1G, SZ_64M + SZ_4K, SZ_4M, 0,
	  SZ_1G + SZ_64M - SZ_4M },
	{ "a page short of the top", SZ_1G, SZ_64M - SZ_4K, SZ_4M, 0,
	  SZ_1G + SZ_64M - SZ_4M - SZ_2M },
	{ "with the offset's phase", SZ_1G, SZ_64M, SZ_4M, SZ_1M,
	  SZ_1G + SZ_64M - SZ_4M - SZ_1M },
	{ "phase in an exact fit", SZ_1G + SZ_1M, SZ_2M, SZ_2M, SZ_1M,
	  SZ_1G + SZ_1M },
	{ "phase does not fit", SZ_1G, SZ_2M, SZ_2M, SZ_1M, 0 },
	{ "an offset of several tables", SZ_1G, SZ_64M, SZ_4M, SZ_1G + SZ_8M,
	  SZ_1G + SZ_64M - SZ_4M },
	{ "gap of one page", SZ_1G, SZ_4K, SZ_2M, 0, 0 },
	{ "no gap", SZ_1G, 0, SZ_2M, 0, 0 },
	{ "ends at the border", SZ_1G, SZ_1G, SZ_4M, 0, 2ul * SZ_1G - SZ_4M },
	{ "not over the border", SZ_1G, SZ_1G + SZ_2M, SZ_4M, 0,
	  2ul * SZ_1G - SZ_4M },
	{ "above the border", SZ_1G, SZ_1G + SZ_4M, SZ_4M, 0, 2ul * SZ_1G },
	{ "over the border, for no room below", 2ul * SZ_1G - SZ_2M, SZ_4M,
	  SZ_4M, 0, 2ul * SZ_1G - SZ_2M },
	{ "below the border, with a phase", SZ_1G, SZ_1G + SZ_1M, SZ_4M, SZ_1M,
	  2ul * SZ_1G - SZ_4M - SZ_1M },
	{ "a GiB between two borders", SZ_1G + SZ_2M, 2ul * SZ_1G, SZ_1G, 0,
	  2ul * SZ_1G },
	{ "a GiB, for no room, over a border", SZ_1G + SZ_2M, SZ_1G, SZ_1G, 0,
	  SZ_1G + SZ_2M },
	{ "more than a GiB: from a border on", SZ_1G, 4ul * SZ_1G,
	  SZ_1G + SZ_2M, 0, 3ul * SZ_1G },
	{ "more than a GiB, no room for that", SZ_1G + SZ_2M, SZ_1G + SZ_16M,
	  SZ_1G + SZ_8M, 0, SZ_1G + SZ_2M + SZ_8M },
	{ "more than a GiB, an odd offset", SZ_1G, 4ul * SZ_1G, SZ_1G + SZ_2M,
	  SZ_8M, 3ul * SZ_1G + SZ_8M },
	{ "a GiB with a phase: congruent", SZ_1G, 4ul * SZ_1G, SZ_1G, SZ_1M,
	  3ul * SZ_1G + SZ_1M },
};

static void place_name(const struct place *place, char *name)
{
	strscpy(name, place->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(places, places, place_name);

/* Shows: SCM-6 */
static void place(struct kunit *test)
{
	const struct place *p = test->param_value;

	KUNIT_EXPECT_EQ(test, scome_place(p->start, p->size, p->len, p->offset),
			p->place);
}

static bool one_gib(unsigned long addr, unsigned long len)
{
	return addr >> PUD_SHIFT == (addr + len - 1) >> PUD_SHIFT;
}

/* Goes through all addresses of a gap, from the top. */
static unsigned long best_place(const struct place *p)
{
	unsigned long fallback = 0, addr;

	if (p->size < p->len)
		return 0;
	for (addr = p->start + p->size - p->len; addr >= p->start;
	     addr -= PAGE_SIZE) {
		if ((addr ^ p->offset) & (SZ_2M - 1))
			continue;
		if (one_gib(addr, p->len))
			return addr;
		fallback = fallback ?: addr;
		if (p->len > SZ_1G)
			break;
	}
	return fallback;
}

/* Shows: SCM-6 */
static void place_is_the_best(struct kunit *test)
{
	static const unsigned long lens[] = {
		SZ_2M,
		SZ_2M + SZ_4K,
		SZ_8M - SZ_4K,
		SZ_8M,
	};
	static const unsigned long phases[] = {
		0,
		SZ_4K,
		SZ_1M,
		SZ_2M - SZ_4K,
	};
	unsigned int i, j, wrong = 0;
	long below, above;

	/* Gaps around a border, their ends a page and a table apart. */
	for (i = 0; i < ARRAY_SIZE(lens) * ARRAY_SIZE(phases); i++) {
		for (j = 0; j < 400; j++) {
			struct place p = {
				.len = lens[i % ARRAY_SIZE(lens)],
				.offset = phases[i / ARRAY_SIZE(lens)],
			};

			below = (j % 20) * (SZ_1M - SZ_4K);
			above = (j / 20) * (SZ_1M - SZ_4K);
			p.start = PLACE - below;
			p.size = below + above;
			wrong += scome_place(p.start, p.size, p.len,
					     p.offset) != best_place(&p);
		}
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* Shows: SCM-6 */
static void kernel_places_so_that_it_links(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	unsigned int i, wrong = 0;

	for (i = 0; i < 8; i++) {
		long addr = kproc_mmap(proc, file, 0, SZ_4M + i * SZ_4K,
				       PROT_RW, MAP_LINKED, i * SZ_4K);

		KUNIT_ASSERT_GT(test, addr, 0);
		wrong += ((addr ^ i * SZ_4K) & ~PMD_MASK) != 0;
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* What makes two mappings share a link. */

/* Shows: SCM-2 */
static void same_bias_same_link(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct scome_link *link;
	long links;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	links = atomic_long_read(&scome_nr_links);
	/* Not a neighbour, and yet as far from the start of the file. */
	kproc_link_at(test, proc, file, PLACE + SZ_8M, SZ_4M, SZ_8M);
	link = kproc_link(test, proc, PLACE);
	KUNIT_EXPECT_PTR_EQ(test, link, kproc_link(test, proc, PLACE + SZ_8M));
	KUNIT_EXPECT_EQ(test, refcount_read(&link->vmas), 2);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_links), links);
}

/* Shows: SCM-2 */
static void other_bias_other_link(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, proc, file, PLACE + SZ_8M, SZ_4M, 0);
	KUNIT_EXPECT_PTR_NE(test, kproc_link(test, proc, PLACE),
			    kproc_link(test, proc, PLACE + SZ_8M));
	KUNIT_EXPECT_EQ(test, proc->mm->scome->nr_links, 2);
}

/* Shows: SCM-16 */
static void other_file_other_link(struct kunit *test)
{
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, kfile_new(test, FILE_SIZE), PLACE, SZ_4M, 0);
	kproc_link_at(test, proc, kfile_new(test, FILE_SIZE), PLACE + SZ_4M,
		      SZ_4M, SZ_4M);
	/* The same bias. */
	KUNIT_ASSERT_EQ(test, kproc_link(test, proc, PLACE)->bias,
			kproc_link(test, proc, PLACE + SZ_4M)->bias);
	KUNIT_EXPECT_PTR_NE(test, kproc_link(test, proc, PLACE),
			    kproc_link(test, proc, PLACE + SZ_4M));
}

/* Shows: SCM-16 */
static void other_mm_other_link(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, second, file, PLACE, SZ_4M, 0);
	KUNIT_EXPECT_PTR_NE(test, kproc_link(test, first, PLACE),
			    kproc_link(test, second, PLACE));
}

/* Shows: SCM-10 */
static void offset_beyond_the_address(struct kunit *test)
{
	struct file *file = kfile_new(test, 4ul * SZ_1T);
	struct kproc *proc = kproc_new(test, 0);
	struct scome_link *link;

	/* File offset 0 would lie below address 0. */
	kproc_link_at(test, proc, file, PLACE, SZ_4M, 3ul * SZ_1T);
	link = kproc_link(test, proc, PLACE);
	KUNIT_EXPECT_EQ(test, link->bias, PLACE - 3ul * SZ_1T);
	KUNIT_EXPECT_EQ(test, scome_manager_address(link, PLACE + SZ_4K),
			SCOME_BASE + 3ul * SZ_1T + SZ_4K);
	KUNIT_EXPECT_EQ(test,
			scome_process_address(link,
					      SCOME_BASE + 3ul * SZ_1T + SZ_4K),
			PLACE + SZ_4K);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_2M, 5));
	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE + SZ_2M));
}

static unsigned int links_listed(struct kproc *proc)
{
	struct scome_link *link;
	unsigned int n = 0;

	mmap_read_lock(proc->mm);
	list_for_each_entry(link, &proc->mm->scome->links, node)
		n++;
	mmap_read_unlock(proc->mm);
	return n;
}

static void fill_links(struct kunit *test, struct kproc *proc,
		       struct file *file)
{
	unsigned long i;

	for (i = 0; i < SCOME_MAX_LINKS; i++)
		kproc_link_at(test, proc, file, PLACE + i * SZ_4M, SZ_2M, 0);
	KUNIT_ASSERT_EQ(test, links_listed(proc), SCOME_MAX_LINKS);
}

/* Shows: SCM-2 */
static void bound_of_links(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct scome_unit *unit;
	long links;

	fill_links(test, proc, file);
	unit = kproc_unit(test, proc, PLACE);
	links = atomic_long_read(&scome_nr_links);

	mmap_write_lock(proc->mm);
	KUNIT_EXPECT_NULL(test, scome_link_get(proc->mm, unit, 0));
	mmap_write_unlock(proc->mm);
	KUNIT_EXPECT_EQ(test, links_listed(proc), SCOME_MAX_LINKS);
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), SCOME_MAX_LINKS);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_links), links);
	KUNIT_EXPECT_EQ(
		test, kproc_mmap(proc, file, 0, SZ_2M, PROT_RW, MAP_LINKED, 0),
		-EOPNOTSUPP);

	/* One goes, one comes. */
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_2M));
	kproc_link_at(test, proc, file, PLACE, SZ_2M, SZ_2M);
	KUNIT_EXPECT_EQ(test, links_listed(proc), SCOME_MAX_LINKS);
}

/* Shows: SCM-2 */
static void bound_lets_known_links_be_shared(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct scome_link *link, *again;

	fill_links(test, proc, file);
	link = kproc_link(test, proc, PLACE);
	mmap_write_lock(proc->mm);
	again = scome_link_get(proc->mm, link->unit, link->bias);
	if (again)
		scome_link_put(again, NULL);
	mmap_write_unlock(proc->mm);
	KUNIT_EXPECT_PTR_EQ(test, again, link);

	/* The same from outside: 2 MiB further in the file and in memory. */
	kproc_link_at(test, proc, file, PLACE + SZ_2M, SZ_2M, SZ_2M);
	KUNIT_EXPECT_PTR_EQ(test, kproc_link(test, proc, PLACE + SZ_2M), link);
	KUNIT_EXPECT_EQ(test, links_listed(proc), SCOME_MAX_LINKS);
}

/* What changes of a mapping do. 16 MiB are linked and touched. */

struct linked {
	struct file *file;
	struct kproc *proc;
	struct scome_link *link;
};

#define LEN SZ_16M

static void touch(struct kunit *test, struct kproc *proc, unsigned long len)
{
	unsigned long offset;

	for (offset = 0; offset < len; offset += SZ_2M)
		KUNIT_ASSERT_EQ(test, 0,
				kproc_write(proc, PLACE + offset, offset + 1));
}

static struct linked linked_new(struct kunit *test)
{
	struct linked l = {
		.file = kfile_new(test, FILE_SIZE),
		.proc = kproc_new(test, 0),
	};

	kproc_link_at(test, l.proc, l.file, PLACE, LEN, 0);
	l.link = kproc_link(test, l.proc, PLACE);
	touch(test, l.proc, LEN);
	return l;
}

/* A bit for each range of 2 MiB that is linked. */
static unsigned int linked_ranges(struct kproc *proc)
{
	unsigned int i, ranges = 0;

	for (i = 0; i < LEN / SZ_2M; i++)
		if (kproc_linked(proc, PLACE + i * SZ_2M))
			ranges |= BIT(i);
	return ranges;
}

/* Shows: SCM-6 */
static void touch_links(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xff);
	KUNIT_EXPECT_EQ(test, scome_linked_bytes(l.proc->mm), 8 * PAGE_SIZE);
}

/* Shows: SCM-6 */
static void link_costs_no_table(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	unsigned long bytes;

	kproc_link_at(test, proc, file, PLACE, LEN, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 1));
	bytes = mm_pgtables_bytes(proc->mm);
	touch(test, proc, LEN);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(proc->mm), bytes);
}

/* Shows: SCM-6 */
static void head_and_tail_are_not_linked(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, file, PLACE + SZ_1M, SZ_4M, SZ_1M);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_1M, 1));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_2M, 1));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_4M, 1));
	KUNIT_EXPECT_EQ(test, linked_ranges(proc), 0x02);
}

/* Shows: SCM-6 */
static void aligned_split_keeps(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE + SZ_4M, SZ_4M));
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xf3);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 2);
	KUNIT_EXPECT_PTR_EQ(test, kproc_link(test, l.proc, PLACE), l.link);
	KUNIT_EXPECT_PTR_EQ(test, kproc_link(test, l.proc, PLACE + SZ_8M),
			    l.link);
}

/* Shows: SCM-6 */
static void unaligned_split_drops_its_range(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0,
			kproc_munmap(l.proc, PLACE + SZ_4M + SZ_1M, SZ_4K));
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xfb);
	KUNIT_EXPECT_EQ(test, scome_linked_bytes(l.proc->mm), 7 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 2);
	/* The process has entries of its own there now. */
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE + SZ_4M), SZ_4M + 1);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xfb);
}

/* Shows: SCM-6 */
static void split_over_two_tables(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0,
			kproc_munmap(l.proc, PLACE + SZ_4M + SZ_1M, SZ_4M));
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xe3);
}

/* Shows: SCM-6 */
static void trimmed_front(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE, SZ_4K));
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xfe);
	KUNIT_EXPECT_PTR_EQ(test, kproc_link(test, l.proc, PLACE + SZ_4K),
			    l.link);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE + SZ_2M), SZ_2M + 1);
}

/* Shows: SCM-6 */
static void trimmed_back(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0,
			kproc_munmap(l.proc, PLACE + LEN - SZ_4K, SZ_4K));
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0x7f);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
}

/* Shows: SCM-2 */
static void merge_ends_in_one(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE + SZ_4M, SZ_4M));
	kproc_link_at(test, l.proc, l.file, PLACE + SZ_4M, SZ_4M, SZ_4M);
	KUNIT_ASSERT_PTR_EQ(test, kproc_vma(l.proc, PLACE),
			    kproc_vma(l.proc, PLACE + LEN - SZ_4K));
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
	KUNIT_EXPECT_EQ(test, l.proc->mm->scome->nr_links, 1);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xf3);
}

/* Shows: SCM-6 */
static void merge_links_again(struct kunit *test)
{
	unsigned long hole = PLACE + SZ_4M + SZ_1M;
	struct linked l = linked_new(test);
	unsigned long bytes;

	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, hole, SZ_4M));
	bytes = mm_pgtables_bytes(l.proc->mm);
	/* Entries of its own below and above, in one table each. */
	KUNIT_ASSERT_EQ(test, 0, kproc_write(l.proc, hole - SZ_4K, 3));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(l.proc, hole + SZ_4M, 4));
	KUNIT_ASSERT_EQ(test, mm_pgtables_bytes(l.proc->mm),
			bytes + 2 * PAGE_SIZE);
	kproc_link_at(test, l.proc, l.file, hole, SZ_4M, hole - PLACE);
	KUNIT_ASSERT_PTR_EQ(test, kproc_vma(l.proc, PLACE),
			    kproc_vma(l.proc, PLACE + LEN - SZ_4K));
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, hole - SZ_4K), 3);
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, hole + SZ_4M), 4);
	/* The range between was not touched: a fault links what lies around. */
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xff);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(l.proc->mm), bytes);
}

/* Shows: SCM-2 */
static void ordinary_neighbour_does_not_merge(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, PLACE + LEN,
			kproc_mmap(l.proc, l.file, PLACE + LEN, SZ_2M, PROT_RW,
				   MAP_SHARED | MAP_FIXED, LEN));
	KUNIT_EXPECT_FALSE(test, vma_scome(kproc_vma(l.proc, PLACE + LEN)));
	KUNIT_EXPECT_PTR_NE(test, kproc_vma(l.proc, PLACE),
			    kproc_vma(l.proc, PLACE + LEN));
}

/* Shows: SCM-2 */
static void last_mapping_drops_the_link(struct kunit *test)
{
	struct linked l = linked_new(test);
	long links = atomic_long_read(&scome_nr_links);

	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE + SZ_4M, SZ_4M));
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE, SZ_4M));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_links), links);
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE, LEN));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_links), links - 1);
	KUNIT_EXPECT_EQ(test, l.proc->mm->scome->nr_links, 0);
	KUNIT_EXPECT_EQ(test, scome_linked_bytes(l.proc->mm), 0);
}

/* mprotect() */

/* Shows: SCM-15 */
static void read_only_is_in_the_pmd(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_EXPECT_TRUE(test, pmd_write(kproc_pmd(l.proc, PLACE)));
	KUNIT_ASSERT_EQ(test, 0, kproc_protect(l.proc, PLACE, LEN, VM_READ));
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xff);
	KUNIT_EXPECT_FALSE(test, pmd_write(kproc_pmd(l.proc, PLACE)));
	KUNIT_EXPECT_EQ(test, kproc_write(l.proc, PLACE, 7), -EFAULT);
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE), 1);
	KUNIT_ASSERT_EQ(test, 0,
			kproc_protect(l.proc, PLACE, LEN, VM_READ | VM_WRITE));
	KUNIT_EXPECT_TRUE(test, pmd_write(kproc_pmd(l.proc, PLACE)));
	KUNIT_EXPECT_EQ(test, kproc_write(l.proc, PLACE, 7), 0);
}

/* Shows: SCM-15 */
static void restriction_is_the_process_s_own(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct kproc *other = kproc_new(test, 0);

	kproc_link_at(test, other, l.file, PLACE, LEN, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_protect(l.proc, PLACE, LEN, VM_READ));
	KUNIT_EXPECT_EQ(test, kproc_write(other, PLACE, 7), 0);
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE), 7);
	KUNIT_EXPECT_TRUE(test, pmd_write(kproc_pmd(other, PLACE)));
}

static bool pmd_noexec(pmd_t pmd)
{
	return pmd_flags(pmd) & _PAGE_NX;
}

/* Shows: SCM-15 */
static void no_exec_is_in_the_pmd(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct kproc *other = kproc_new(test, 0);

	KUNIT_EXPECT_TRUE(test, pmd_noexec(kproc_pmd(l.proc, PLACE)));
	KUNIT_ASSERT_EQ(test, PLACE,
			kproc_mmap(other, l.file, PLACE, SZ_2M,
				   PROT_READ | PROT_EXEC,
				   MAP_LINKED | MAP_FIXED, 0));
	KUNIT_ASSERT_EQ(test, kproc_read(other, PLACE), 1);
	KUNIT_EXPECT_FALSE(test, pmd_noexec(kproc_pmd(other, PLACE)));
	KUNIT_EXPECT_FALSE(test, pmd_write(kproc_pmd(other, PLACE)));
	KUNIT_ASSERT_EQ(test, 0, kproc_protect(other, PLACE, SZ_2M, VM_READ));
	KUNIT_EXPECT_TRUE(test, pmd_noexec(kproc_pmd(other, PLACE)));
}

/* Shows: SCM-15 */
static void no_access_unlinks(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0, kproc_protect(l.proc, PLACE, SZ_4M, VM_NONE));
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xfc);
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE), -EFAULT);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xfc);
	KUNIT_EXPECT_TRUE(test, vma_scome(kproc_vma(l.proc, PLACE)));
	KUNIT_ASSERT_EQ(test, 0, kproc_protect(l.proc, PLACE, SZ_4M, VM_READ));
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE), 1);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xff);
}

/* Shows: SCM-15 */
static void protecting_a_page_keeps_its_range(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0,
			kproc_protect(l.proc, PLACE + SZ_4M + SZ_1M, SZ_4K,
				      VM_READ));
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xfb);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 3);
	KUNIT_EXPECT_EQ(test, kproc_write(l.proc, PLACE + SZ_4M + SZ_1M, 7),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, kproc_write(l.proc, PLACE + SZ_4M, 7), 0);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xff);

	/* Back: one mapping, one link, all of it. */
	KUNIT_ASSERT_EQ(test, 0,
			kproc_protect(l.proc, PLACE + SZ_4M + SZ_1M, SZ_4K,
				      VM_READ | VM_WRITE));
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE + SZ_4M), 7);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xff);
}

/* Copies: mremap() and fork() */

static struct vm_area_struct *copy(struct kunit *test, struct kproc *proc)
{
	struct vm_area_struct *copy;

	mmap_write_lock(proc->mm);
	copy = vm_area_dup(vma_lookup(proc->mm, PLACE));
	mmap_write_unlock(proc->mm);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	return copy;
}

struct leave {
	u64 unit;
	unsigned long start;
	unsigned long end;
	int cause;
	unsigned int count;
};

static void leave_probe(void *data, u64 unit, unsigned long start,
			unsigned long end, int cause)
{
	struct leave *leave = data;

	leave->unit = unit;
	leave->start = start;
	leave->end = end;
	leave->cause = cause;
	leave->count++;
}

static struct leave *watch_leave(struct kunit *test)
{
	struct leave *leave = kunit_kzalloc(test, sizeof(*leave), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, leave);
	kwatch(test, "scome_leave", leave_probe, leave);
	return leave;
}

/* Shows: SCM-2 */
static void copy_counts(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct vm_area_struct *vma = copy(test, l.proc);

	KUNIT_EXPECT_PTR_EQ(test, vma->vm_scome, l.link);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 2);
	vm_area_free(vma);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
}

/* As mremap() does it with a copy, @distance further up. */
static struct vm_area_struct *move(struct kunit *test, struct kproc *proc,
				   unsigned long distance)
{
	struct vm_area_struct *vma = copy(test, proc);

	mmap_write_lock(proc->mm);
	vma->vm_start += distance;
	vma->vm_end += distance;
	scome_vma_moved(vma);
	mmap_write_unlock(proc->mm);
	return vma;
}

/* Shows: SCM-10 */
static void move_keeps_by_another_link(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct leave *leave = watch_leave(test);
	struct vm_area_struct *vma = move(test, l.proc, SZ_1G + SZ_2M);

	KUNIT_EXPECT_NOT_NULL(test, vma->vm_scome);
	KUNIT_EXPECT_PTR_NE(test, vma->vm_scome, l.link);
	if (vma->vm_scome)
		KUNIT_EXPECT_EQ(test, vma->vm_scome->bias,
				l.link->bias + SZ_1G + SZ_2M);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->unit->links), 2);
	KUNIT_EXPECT_EQ(test, leave->count, 0);
	vm_area_free(vma);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->unit->links), 1);
	KUNIT_EXPECT_EQ(test, links_listed(l.proc), 1);
}

/* Shows: SCM-10 */
static void odd_move_leaves(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct leave *leave = watch_leave(test);
	struct vm_area_struct *vma = move(test, l.proc, SZ_1G + SZ_4K);

	KUNIT_EXPECT_FALSE(test, vma_scome(vma));
	KUNIT_EXPECT_EQ(test, leave->count, 1);
	KUNIT_EXPECT_EQ(test, leave->cause, SCOME_LEAVE_MREMAP);
	KUNIT_EXPECT_EQ(test, leave->start, PLACE + SZ_1G + SZ_4K);
	KUNIT_EXPECT_EQ(test, leave->unit, l.link->unit->id);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->unit->links), 1);
	vm_area_free(vma);
}

/* Shows: SCM-10 */
static void move_beyond_the_window_leaves(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct leave *leave = watch_leave(test);
	struct vm_area_struct *vma = copy(test, l.proc);

	/* All that a manager can map, then a page more. */
	mmap_write_lock(l.proc->mm);
	vma->vm_end = vma->vm_start + SCOME_SPAN;
	scome_vma_moved(vma);
	KUNIT_EXPECT_TRUE(test, vma_scome(vma));
	vma->vm_end += SZ_4K;
	scome_vma_moved(vma);
	mmap_write_unlock(l.proc->mm);
	KUNIT_EXPECT_FALSE(test, vma_scome(vma));
	KUNIT_EXPECT_EQ(test, leave->count, 1);
	KUNIT_EXPECT_EQ(test, leave->cause, SCOME_LEAVE_SPAN);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
	vm_area_free(vma);
}

static void fork_into(struct vm_area_struct *vma, struct kproc *child)
{
	struct mm_struct *mm = vma->vm_mm;

	mmap_write_lock(child->mm);
	vma->vm_mm = child->mm;
	scome_vma_fork(vma, vma_lookup(mm, vma->vm_start));
	mmap_write_unlock(child->mm);
}

/* Shows: SCM-2 */
static void fork_links_the_child(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct kproc *child = kproc_new(test, 0);
	struct vm_area_struct *vma = copy(test, l.proc);

	fork_into(vma, child);
	KUNIT_EXPECT_NOT_NULL(test, vma->vm_scome);
	if (vma->vm_scome) {
		KUNIT_EXPECT_PTR_EQ(test, vma->vm_scome->smm, child->mm->scome);
		KUNIT_EXPECT_EQ(test, vma->vm_scome->bias, l.link->bias);
		KUNIT_EXPECT_PTR_EQ(test, vma->vm_scome->unit, l.link->unit);
	}
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
	KUNIT_EXPECT_EQ(test, links_listed(child), 1);
	vm_area_free(vma);
	KUNIT_EXPECT_EQ(test, links_listed(child), 0);
}

/* Shows: SCM-2 */
static void fork_without_room_leaves(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct kproc *child = kproc_new(test, 0);
	struct leave *leave = watch_leave(test);
	struct vm_area_struct *vma;

	fill_links(test, child, kfile_new(test, FILE_SIZE));
	vma = copy(test, l.proc);
	fork_into(vma, child);
	KUNIT_EXPECT_FALSE(test, vma_scome(vma));
	KUNIT_EXPECT_EQ(test, leave->cause, SCOME_LEAVE_NOMEM);
	KUNIT_EXPECT_EQ(test, leave->count, 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->unit->links), 1);
	vm_area_free(vma);
}

/* Leaving */

static const enum scome_cause causes[] = {
	SCOME_LEAVE_MLOCK,    SCOME_LEAVE_USERFAULTFD, SCOME_LEAVE_PKEY,
	SCOME_LEAVE_NOTIFIER, SCOME_LEAVE_SOFT_DIRTY,  SCOME_LEAVE_MREMAP,
	SCOME_LEAVE_NOMEM,    SCOME_LEAVE_SPAN,
};

static void cause_name(const enum scome_cause *cause, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "cause %d", *cause);
}

KUNIT_ARRAY_PARAM(causes, causes, cause_name);

static long do_leave(struct kproc *proc, void *arg)
{
	const enum scome_cause *cause = arg;

	mmap_write_lock(proc->mm);
	__scome_leave(vma_lookup(proc->mm, PLACE), *cause);
	mmap_write_unlock(proc->mm);
	return 0;
}

/* Shows: SCM-6 */
static void leaves_for(struct kunit *test)
{
	enum scome_cause cause = *(const enum scome_cause *)test->param_value;
	struct linked l = linked_new(test);
	struct leave *leave = watch_leave(test);
	u64 id = l.link->unit->id;

	kproc_run(l.proc, do_leave, &cause);
	KUNIT_EXPECT_EQ(test, leave->count, 1);
	KUNIT_EXPECT_EQ(test, leave->cause, cause);
	KUNIT_EXPECT_EQ(test, leave->unit, id);
	KUNIT_EXPECT_EQ(test, leave->start, PLACE);
	KUNIT_EXPECT_EQ(test, leave->end, PLACE + LEN);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0);
	KUNIT_EXPECT_EQ(test, scome_linked_bytes(l.proc->mm), 0);
	KUNIT_EXPECT_FALSE(test, vma_scome(kproc_vma(l.proc, PLACE)));
	KUNIT_EXPECT_EQ(test, l.proc->mm->scome->nr_links, 0);
	/* An ordinary mapping of the same file, and it stays one. */
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE + SZ_4M), SZ_4M + 1);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0);
}

/* Shows: SCM-6 */
static void leaving_is_one_process_s(struct kunit *test)
{
	enum scome_cause cause = SCOME_LEAVE_MLOCK;
	struct linked l = linked_new(test);
	struct kproc *other = kproc_new(test, 0);

	kproc_link_at(test, other, l.file, PLACE, LEN, 0);
	touch(test, other, LEN);
	kproc_run(l.proc, do_leave, &cause);
	KUNIT_EXPECT_EQ(test, linked_ranges(other), 0xff);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(other, PLACE + SZ_2M, 99));
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE + SZ_2M), 99);
}

static long do_leave_all(struct kproc *proc, void *arg)
{
	mmap_write_lock(proc->mm);
	scome_leave_mm(proc->mm, SCOME_LEAVE_SOFT_DIRTY);
	mmap_write_unlock(proc->mm);
	return 0;
}

/* Shows: SCM-6 */
static void whole_mm_leaves(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct leave *leave = watch_leave(test);

	kproc_link_at(test, l.proc, l.file, PLACE + SZ_1G, SZ_4M, SZ_8M);
	kproc_link_at(test, l.proc, kfile_new(test, FILE_SIZE),
		      PLACE + 2ul * SZ_1G, SZ_4M, 0);
	kproc_run(l.proc, do_leave_all, NULL);
	KUNIT_EXPECT_EQ(test, leave->count, 3);
	KUNIT_EXPECT_EQ(test, l.proc->mm->scome->nr_links, 0);
	/* Leaving twice is nothing. */
	kproc_run(l.proc, do_leave_all, NULL);
	KUNIT_EXPECT_EQ(test, leave->count, 3);
}

static long do_leave_manager(struct kproc *proc, void *arg)
{
	struct scome_unit *unit = arg;

	mmap_write_lock(unit->mm);
	scome_leave_mm(unit->mm, SCOME_LEAVE_SOFT_DIRTY);
	mmap_write_unlock(unit->mm);
	return 0;
}

/* Shows: SCM-5 */
static void manager_does_not_leave(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct leave *leave = watch_leave(test);

	kproc_run(l.proc, do_leave_manager, l.link->unit);
	KUNIT_EXPECT_EQ(test, leave->count, 0);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0xff);
}

/* Shows: SCM-15 */
static void protection_key_leaves(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct leave *leave = watch_leave(test);
	struct kproc_protect p = {
		.start = PLACE,
		.end = PLACE + LEN,
		.set = VM_PKEY_BIT0,
	};

	KUNIT_ASSERT_EQ(test, 0, kproc_run(l.proc, kproc_do_protect, &p));
	KUNIT_EXPECT_EQ(test, leave->count, 1);
	KUNIT_EXPECT_EQ(test, leave->cause, SCOME_LEAVE_PKEY);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), 0);
}

struct part {
	const char *name;
	unsigned long start;
	unsigned long end;
	unsigned int linked;
	unsigned int vmas;
};

static const struct part parts[] = {
	{ "the front", 0, SZ_4M, 0xfc, 1 },
	{ "the back", LEN - SZ_4M, LEN, 0x3f, 1 },
	{ "the middle", SZ_4M, SZ_8M, 0xf3, 2 },
	{ "a page", SZ_4M + SZ_1M, SZ_4M + SZ_1M + SZ_4K, 0xfb, 2 },
	{ "a page in front", 0, SZ_4K, 0xfe, 1 },
	{ "a page at the back", LEN - SZ_4K, LEN, 0x7f, 1 },
	{ "parts of two tables", SZ_4M + SZ_1M, SZ_8M + SZ_1M, 0xe3, 2 },
};

static void part_name(const struct part *part, char *name)
{
	strscpy(name, part->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(parts, parts, part_name);

/* Shows: SCM-6, SCM-15 */
static void part_leaves(struct kunit *test)
{
	const struct part *part = test->param_value;
	struct linked l = linked_new(test);
	struct leave *leave = watch_leave(test);
	struct kproc_protect p = {
		.start = PLACE + part->start,
		.end = PLACE + part->end,
		.set = VM_PKEY_BIT0,
	};

	KUNIT_ASSERT_EQ(test, 0, kproc_run(l.proc, kproc_do_protect, &p));
	KUNIT_EXPECT_EQ(test, leave->count, 1);
	KUNIT_EXPECT_EQ(test, leave->start, PLACE + part->start);
	KUNIT_EXPECT_EQ(test, leave->end, PLACE + part->end);
	KUNIT_EXPECT_FALSE(test,
			   vma_scome(kproc_vma(l.proc, PLACE + part->start)));
	KUNIT_EXPECT_EQ(test, refcount_read(&l.link->vmas), part->vmas);
	KUNIT_EXPECT_EQ(test, linked_ranges(l.proc), part->linked);
}

/* Shows: SCM-5 */
static void sole_user_is_told(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct vm_area_struct *manager;

	mmap_read_lock(l.proc->mm);
	manager = scome_lock_sole_user(vma_lookup(l.proc->mm, PLACE));
	if (manager)
		mmap_read_unlock(manager->vm_mm);
	mmap_read_unlock(l.proc->mm);
	KUNIT_EXPECT_PTR_EQ(test, manager, l.link->unit->vma);

	kproc_link_at(test, kproc_new(test, 0), l.file, PLACE, SZ_2M, 0);
	mmap_read_lock(l.proc->mm);
	manager = scome_lock_sole_user(vma_lookup(l.proc->mm, PLACE));
	if (manager)
		mmap_read_unlock(manager->vm_mm);
	mmap_read_unlock(l.proc->mm);
	KUNIT_EXPECT_NULL(test, manager);
}

/* The reverse map */

struct interval {
	const char *name;
	unsigned long start;
	unsigned long end;
	unsigned long rmap_start;
	unsigned long rmap_end;
};

static const struct interval intervals[] = {
	{ "head", SZ_2M - SZ_4K, SZ_8M, SZ_2M - SZ_4K, SZ_2M },
	{ "tail", SZ_2M, SZ_8M + SZ_4K, SZ_8M, SZ_8M + SZ_4K },
	{ "head and tail", SZ_1M, SZ_8M + SZ_4K, SZ_1M, SZ_8M + SZ_4K },
	{ "less than a table, at its start", SZ_2M, SZ_2M + SZ_4K, SZ_2M,
	  SZ_2M + SZ_4K },
	{ "less than a table, at its end", SZ_4M - SZ_4K, SZ_4M, SZ_4M - SZ_4K,
	  SZ_4M },
	{ "less than a table, inside", SZ_1M, SZ_1M + SZ_4K, SZ_1M,
	  SZ_1M + SZ_4K },
};

static void interval_name(const struct interval *interval, char *name)
{
	strscpy(name, interval->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(intervals, intervals, interval_name);

static struct vm_area_struct *vma_of(struct kunit *test, unsigned long start,
				     unsigned long end)
{
	struct vm_area_struct *vma =
		kunit_kzalloc(test, sizeof(*vma), GFP_KERNEL);
	struct scome_link *link =
		kunit_kzalloc(test, sizeof(*link), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vma);
	KUNIT_ASSERT_NOT_NULL(test, link);
	vma->vm_start = PLACE + start;
	vma->vm_end = PLACE + end;
	vma->vm_pgoff = PHYS_PFN(start);
	link->bias = PLACE;
	xa_init(&link->views);
	vma->vm_scome = link;
	return vma;
}

/* Shows: SCM-6 */
static void rmap_interval(struct kunit *test)
{
	const struct interval *i = test->param_value;
	struct vm_area_struct *vma = vma_of(test, i->start, i->end);

	KUNIT_EXPECT_FALSE(test, scome_rmap_hidden(vma));
	KUNIT_EXPECT_EQ(test, scome_rmap_first(vma), PHYS_PFN(i->rmap_start));
	KUNIT_EXPECT_EQ(test, scome_rmap_last(vma), PHYS_PFN(i->rmap_end) - 1);
}

/* Shows: SCM-6 */
static void aligned_is_hidden(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, scome_rmap_hidden(vma_of(test, 0, SZ_2M)));
	KUNIT_EXPECT_TRUE(test, scome_rmap_hidden(vma_of(test, SZ_2M, SZ_8M)));
}

struct covered {
	const char *name;
	unsigned long start;
	unsigned long end;
	unsigned long addr;
	bool linked;
	bool covers;
};

static const struct covered covereds[] = {
	{ "exactly", SZ_2M, SZ_4M, SZ_2M, true, true },
	{ "its last page", SZ_2M, SZ_4M, SZ_4M - SZ_4K, true, true },
	{ "a page late", SZ_2M + SZ_4K, SZ_8M, SZ_4M - SZ_4K, true, false },
	{ "the table behind", SZ_2M + SZ_4K, SZ_8M, SZ_4M, true, true },
	{ "a page short", SZ_2M, SZ_4M - SZ_4K, SZ_2M, true, false },
	{ "not linked", SZ_2M, SZ_4M, SZ_2M, false, false },
};

static void covered_name(const struct covered *covered, char *name)
{
	strscpy(name, covered->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(covereds, covereds, covered_name);

/* Shows: SCM-16 */
static void covers(struct kunit *test)
{
	const struct covered *c = test->param_value;
	struct vm_area_struct *vma = vma_of(test, c->start, c->end);

	if (!c->linked)
		vma->vm_scome = NULL;
	KUNIT_EXPECT_EQ(test, scome_covers(vma, PLACE + c->addr), c->covers);
}

/* Shows: SCM-5, SCM-6 */
static void rmap_has_only_the_manager(struct kunit *test)
{
	struct linked l = linked_new(test);
	struct kproc *other = kproc_new(test, 0);

	kproc_link_at(test, other, l.file, PLACE, LEN, 0);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.link->unit->mm, 0, LEN), 1);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, 0, LEN), 0);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, other->mm, 0, LEN), 0);
}

/* Shows: SCM-6 */
static void rmap_has_the_tail(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0,
			kproc_munmap(l.proc, PLACE + LEN - SZ_4K, SZ_4K));
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, 0, LEN - SZ_2M),
			0);
	KUNIT_EXPECT_EQ(
		test, rmap_finds(l.file, l.proc->mm, LEN - SZ_2M, LEN - SZ_4K),
		1);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, LEN - SZ_4K, LEN),
			0);
}

/* Shows: SCM-6 */
static void rmap_has_the_head(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE, SZ_4K));
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, SZ_4K, SZ_2M), 1);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, SZ_2M, LEN), 0);
}

/* Shows: SCM-6 */
static void rmap_follows_a_split_and_a_merge(struct kunit *test)
{
	unsigned long hole = SZ_4M + SZ_1M;
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE + hole, SZ_4M));
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, 0, LEN), 2);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, 0, SZ_4M), 0);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, SZ_4M, hole), 1);
	KUNIT_EXPECT_EQ(test,
			rmap_finds(l.file, l.proc->mm, hole, hole + SZ_4M), 0);
	kproc_link_at(test, l.proc, l.file, PLACE + hole, SZ_4M, hole);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, 0, LEN), 0);
}

/* Shows: SCM-6 */
static void rmap_has_who_left(struct kunit *test)
{
	enum scome_cause cause = SCOME_LEAVE_MLOCK;
	struct linked l = linked_new(test);

	kproc_run(l.proc, do_leave, &cause);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, 0, SZ_4K), 1);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, LEN - SZ_4K, LEN),
			1);
	KUNIT_EXPECT_EQ(test, rmap_finds(l.file, l.proc->mm, LEN, FILE_SIZE),
			0);
}

/* Shows: SCM-6 */
static void unmapping_the_file_reaches_head_and_middle(struct kunit *test)
{
	struct linked l = linked_new(test);

	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(l.proc, PLACE, SZ_4K));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(l.proc, PLACE + SZ_1M, 3));
	/* Truncate: all of it is gone, whoever mapped it. */
	truncate_setsize(file_inode(l.file), 0);
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE + SZ_1M), -EFAULT);
	KUNIT_EXPECT_EQ(test, kproc_read(l.proc, PLACE + SZ_2M), -EFAULT);
}

static struct kunit_case scome_link_cases[] = {
	KUNIT_CASE_PARAM(geometry, geometries_gen_params),
	KUNIT_CASE_PARAM(place, places_gen_params),
	KUNIT_CASE(place_is_the_best),
	KUNIT_CASE(kernel_places_so_that_it_links),
	KUNIT_CASE(same_bias_same_link),
	KUNIT_CASE(other_bias_other_link),
	KUNIT_CASE(other_file_other_link),
	KUNIT_CASE(other_mm_other_link),
	KUNIT_CASE(offset_beyond_the_address),
	KUNIT_CASE(bound_of_links),
	KUNIT_CASE(bound_lets_known_links_be_shared),
	KUNIT_CASE(touch_links),
	KUNIT_CASE(link_costs_no_table),
	KUNIT_CASE(head_and_tail_are_not_linked),
	KUNIT_CASE(aligned_split_keeps),
	KUNIT_CASE(unaligned_split_drops_its_range),
	KUNIT_CASE(split_over_two_tables),
	KUNIT_CASE(trimmed_front),
	KUNIT_CASE(trimmed_back),
	KUNIT_CASE(merge_ends_in_one),
	KUNIT_CASE(merge_links_again),
	KUNIT_CASE(ordinary_neighbour_does_not_merge),
	KUNIT_CASE(last_mapping_drops_the_link),
	KUNIT_CASE(read_only_is_in_the_pmd),
	KUNIT_CASE(restriction_is_the_process_s_own),
	KUNIT_CASE(no_exec_is_in_the_pmd),
	KUNIT_CASE(no_access_unlinks),
	KUNIT_CASE(protecting_a_page_keeps_its_range),
	KUNIT_CASE(copy_counts),
	KUNIT_CASE(move_keeps_by_another_link),
	KUNIT_CASE(odd_move_leaves),
	KUNIT_CASE(move_beyond_the_window_leaves),
	KUNIT_CASE(fork_links_the_child),
	KUNIT_CASE(fork_without_room_leaves),
	KUNIT_CASE_PARAM(leaves_for, causes_gen_params),
	KUNIT_CASE(leaving_is_one_process_s),
	KUNIT_CASE(whole_mm_leaves),
	KUNIT_CASE(manager_does_not_leave),
	KUNIT_CASE(protection_key_leaves),
	KUNIT_CASE_PARAM(part_leaves, parts_gen_params),
	KUNIT_CASE(sole_user_is_told),
	KUNIT_CASE_PARAM(rmap_interval, intervals_gen_params),
	KUNIT_CASE(aligned_is_hidden),
	KUNIT_CASE_PARAM(covers, covereds_gen_params),
	KUNIT_CASE(rmap_has_only_the_manager),
	KUNIT_CASE(rmap_has_the_tail),
	KUNIT_CASE(rmap_has_the_head),
	KUNIT_CASE(rmap_follows_a_split_and_a_merge),
	KUNIT_CASE(rmap_has_who_left),
	KUNIT_CASE(unmapping_the_file_reaches_head_and_middle),
	{}
};

static struct kunit_suite scome_link_suite = {
	.name = "scome_link",
	.test_cases = scome_link_cases,
};

kunit_test_suite(scome_link_suite);

MODULE_DESCRIPTION("KUnit suite of scome's links");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
