// SPDX-License-Identifier: GPL-2.0
/*
 * Shared parents: when one entry of a process links all leaf tables of an aligned
 * GiB, what it lets the process do, and what makes it go.
 */

#include "scome_kunit.h"

#define FILE_SIZE (3 * GIB)

/* PLACE is at a GiB. A process that has written to the first page there. */
static struct kproc *process(struct kunit *test, struct file *file,
			     unsigned long len, unsigned long offset)
{
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, file, PLACE, len, offset);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 7));
	return proc;
}

static long linked(struct kproc *proc)
{
	return atomic_long_read(&proc->mm->scome->linked);
}

struct covered {
	const char *name;
	unsigned long start;
	unsigned long end;
	unsigned long addr;
	bool covered;
};

static const struct covered covers[] = {
	{ "exactly, first byte", 0, SZ_1G, 0, true },
	{ "exactly, last byte", 0, SZ_1G, SZ_1G - 1, true },
	{ "a page short at the end", 0, SZ_1G - SZ_4K, 0, false },
	{ "a page short at the start", SZ_4K, SZ_1G, SZ_1M, false },
	{ "a table short", SZ_2M, SZ_1G, SZ_4M, false },
	{ "the second of two", 0, 2 * GIB, SZ_1G, true },
	{ "head of more", SZ_1M, 2 * GIB, SZ_2M, false },
	{ "middle of more", SZ_1M, 3 * GIB - SZ_1M, SZ_1G + SZ_1M, true },
	{ "tail of more", SZ_1M, 3 * GIB - SZ_1M, 2 * GIB, false },
};

static void covered_name(const struct covered *covered, char *name)
{
	strscpy(name, covered->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(covers, covers, covered_name);

/* Shows: SCM-6 */
static void covers_parent(struct kunit *test)
{
	const struct covered *c = test->param_value;
	struct scome_link link = {};
	struct vm_area_struct vma = {
		.vm_start = PLACE + c->start,
		.vm_end = PLACE + c->end,
		.vm_scome = &link,
	};

	KUNIT_EXPECT_EQ(test, scome_covers_parent(&vma, PLACE + c->addr),
			c->covered);
	vma.vm_scome = NULL;
	KUNIT_EXPECT_FALSE(test, scome_covers_parent(&vma, PLACE + c->addr));
}

/* Shows: SCM-6, SCM-16 */
static void one_entry_for_a_gib(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = process(test, file, SZ_1G, SZ_1G);
	struct kproc *second = kproc_new(test, 0);
	struct scome_unit *unit = kproc_unit(test, first, PLACE);
	pud_t pud;

	KUNIT_ASSERT_EQ(test, 0, kproc_write(first, PLACE + SZ_512M, 8));
	kproc_link_at(test, second, file, PLACE, SZ_1G, SZ_1G);
	KUNIT_EXPECT_EQ(test, 7, kproc_read(second, PLACE));
	KUNIT_EXPECT_EQ(test, 8, kproc_read(second, PLACE + SZ_512M));
	KUNIT_EXPECT_EQ(test, linked(second), 1);

	/* It points to the manager's own table, for that part of the file. */
	pud = mm_pud(second->mm, PLACE);
	KUNIT_ASSERT_TRUE(test, pud_linked(pud));
	KUNIT_EXPECT_PTR_EQ(test, pud_pgtable(pud),
			    pud_pgtable(mm_pud(unit->mm, SCOME_BASE + GIB)));
	KUNIT_EXPECT_FALSE(test,
			   pud_linked(mm_pud(unit->mm, SCOME_BASE + GIB)));
	/* Nothing of that is the process's. */
	KUNIT_EXPECT_EQ(test, pmd_val(kproc_pmd(second, PLACE)), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->tables), 2);
}

/* Shows: SCM-6, SCM-15 */
static void entry_restricts(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = process(test, file, SZ_1G, 0);
	struct kproc *second = kproc_new(test, 0);
	pud_t pud;

	KUNIT_ASSERT_EQ(test, PLACE,
			kproc_mmap(second, file, PLACE, SZ_1G, PROT_READ,
				   MAP_LINKED | MAP_FIXED, 0));
	KUNIT_EXPECT_EQ(test, 7, kproc_read(second, PLACE));
	pud = mm_pud(second->mm, PLACE);
	KUNIT_EXPECT_TRUE(test, pud_linked(pud));
	KUNIT_EXPECT_FALSE(test, pud_write(pud));
	KUNIT_EXPECT_TRUE(test, pud_val(pud) & _PAGE_NX);
	KUNIT_EXPECT_EQ(test, -EFAULT, kproc_write(second, PLACE, 9));

	KUNIT_EXPECT_TRUE(test, pud_write(mm_pud(first->mm, PLACE)));
	KUNIT_EXPECT_EQ(test, 0,
			kproc_protect(first, PLACE, SZ_1G, VM_READ | VM_EXEC));
	pud = mm_pud(first->mm, PLACE);
	KUNIT_EXPECT_TRUE(test, pud_linked(pud));
	KUNIT_EXPECT_FALSE(test, pud_write(pud));
	KUNIT_EXPECT_FALSE(test, pud_val(pud) & _PAGE_NX);
	KUNIT_EXPECT_EQ(test, 0, kproc_protect(first, PLACE, SZ_1G, VM_NONE));
	KUNIT_EXPECT_TRUE(test, pud_none(mm_pud(first->mm, PLACE)));
	KUNIT_EXPECT_EQ(test, linked(first), 0);
}

/* Shows: SCM-6, SCM-10 */
static void not_congruent_by_tables(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process(test, file, SZ_1G, SZ_2M);

	KUNIT_EXPECT_FALSE(test, pud_linked(mm_pud(proc->mm, PLACE)));
	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE));
}

/* Shows: SCM-6 */
static void own_table_stays(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process(test, file, SZ_2M, 0);

	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE));
	kproc_link_at(test, proc, file, PLACE + SZ_2M, SZ_1G - SZ_2M, SZ_2M);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_4M, 3));
	/* One VMA by now, and still by its own table. */
	KUNIT_EXPECT_TRUE(test,
			  scome_covers_parent(kproc_vma(proc, PLACE), PLACE));
	KUNIT_EXPECT_FALSE(test, pud_linked(mm_pud(proc->mm, PLACE)));
	KUNIT_EXPECT_TRUE(test, kproc_linked(proc, PLACE + SZ_4M));
	KUNIT_EXPECT_EQ(test, 7, kproc_read(proc, PLACE));
}

struct border {
	const char *name;
	unsigned long start;
	unsigned long len;
};

static const struct border borders[] = {
	{ "a page in the middle", SZ_512M + SZ_1M, SZ_4K },
	{ "a table in the middle", SZ_512M, SZ_2M },
	{ "the first page", 0, SZ_4K },
	{ "the last page", SZ_1G - SZ_4K, SZ_4K },
	{ "the second half", SZ_512M, SZ_512M },
};

static void border_name(const struct border *border, char *name)
{
	strscpy(name, border->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(borders, borders, border_name);

/* Shows: SCM-6, SCM-16 */
static void unmapping_a_part(struct kunit *test)
{
	const struct border *b = test->param_value;
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process(test, file, SZ_1G, 0);
	struct kproc *other = process(test, file, SZ_1G, 0);
	unsigned long left = b->start ? PLACE : PLACE + SZ_4M;

	KUNIT_ASSERT_EQ(test, 0, kproc_write(other, left, 11));
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE + b->start, b->len));
	KUNIT_EXPECT_TRUE(test, pud_none(mm_pud(proc->mm, PLACE)));
	KUNIT_EXPECT_EQ(test, linked(proc), 0);
	KUNIT_EXPECT_EQ(test, -EFAULT, kproc_read(proc, PLACE + b->start));
	KUNIT_EXPECT_EQ(test, 11, kproc_read(proc, left));
	KUNIT_EXPECT_FALSE(test, pud_linked(mm_pud(proc->mm, PLACE)));
	KUNIT_EXPECT_TRUE(test, pud_linked(mm_pud(other->mm, PLACE)));
}

/* Shows: SCM-6, SCM-15 */
static void restricting_a_part(struct kunit *test)
{
	const struct border *b = test->param_value;
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process(test, file, SZ_1G, 0);
	unsigned long left = b->start ? PLACE : PLACE + SZ_4M;

	KUNIT_ASSERT_EQ(test, 0,
			kproc_protect(proc, PLACE + b->start, b->len, VM_READ));
	KUNIT_EXPECT_TRUE(test, pud_none(mm_pud(proc->mm, PLACE)));
	KUNIT_EXPECT_EQ(test, -EFAULT, kproc_write(proc, PLACE + b->start, 1));
	KUNIT_EXPECT_EQ(test, 0, kproc_write(proc, left, 2));
	KUNIT_EXPECT_FALSE(test, pud_linked(mm_pud(proc->mm, PLACE)));
}

/* Shows: SCM-6, SCM-8 */
static void unit_outlives_a_process(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = process(test, file, SZ_1G, 0);
	struct kproc *other = process(test, file, SZ_1G, 0);

	kproc_exit(proc);
	KUNIT_EXPECT_EQ(test, 7, kproc_read(other, PLACE));
	KUNIT_EXPECT_TRUE(test, pud_linked(mm_pud(other->mm, PLACE)));
	KUNIT_EXPECT_EQ(test, 0, kproc_munmap(other, PLACE, SZ_1G));
	KUNIT_EXPECT_TRUE(test, pud_none(mm_pud(other->mm, PLACE)));
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(covers_parent, covers_gen_params),
	KUNIT_CASE(one_entry_for_a_gib),
	KUNIT_CASE(entry_restricts),
	KUNIT_CASE(not_congruent_by_tables),
	KUNIT_CASE(own_table_stays),
	KUNIT_CASE_PARAM(unmapping_a_part, borders_gen_params),
	KUNIT_CASE_PARAM(restricting_a_part, borders_gen_params),
	KUNIT_CASE(unit_outlives_a_process),
	{}
};

static struct kunit_suite suite = {
	.name = "scome_parent",
	.init = retire_all,
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("KUnit suite of scome: one entry for a GiB");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
