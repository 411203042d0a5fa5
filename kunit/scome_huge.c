// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of a unit: what maps them, who sees them, and what whoever needs a leaf
 * table does about them.
 */

#include <linux/types.h>
#include <linux/falloc.h>
#include <linux/mount.h>

#include <fs/mount.h>

#include "scome_kunit.h"

#define FILE_SIZE (4 * GIB)

static struct vfsmount *tmpfs;

static int huge_init(struct kunit_suite *suite)
{
	static char options[] = "huge=always";
	struct file_system_type *type = get_fs_type("tmpfs");

	if (!type)
		return -ENODEV;
	tmpfs = vfs_kern_mount(type, 0, "scome_kunit", options);
	module_put(type->owner);
	if (IS_ERR(tmpfs))
		return PTR_ERR(tmpfs);
	/* As kern_mount() does, which knows no options: it is in use. */
	real_mount(tmpfs)->mnt_ns = MNT_NS_INTERNAL;
	return 0;
}

static void huge_exit(struct kunit_suite *suite)
{
	if (!IS_ERR_OR_NULL(tmpfs))
		kern_unmount(tmpfs);
}

/* Its pages are huge, whoever touches them first. */
static struct file *huge_file(struct kunit *test)
{
	struct file *file = shmem_file_setup_with_mnt(tmpfs, "scome_kunit",
						      FILE_SIZE, VM_NORESERVE);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, scome_kunit_fput,
						  file));
	return file;
}

static struct kproc *process(struct kunit *test, struct file *file)
{
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, file, PLACE, SZ_1G, 0);
	return proc;
}

static pmd_t unit_pmd(struct kunit *test, struct kproc *proc,
		      unsigned long offset)
{
	return mm_pmd(kproc_unit(test, proc, PLACE)->mm, SCOME_BASE + offset);
}

/* Shows: SCM-6 */
static void parents_see_huge_pages(struct kunit *test)
{
	struct file *file = huge_file(test);
	struct kproc *proc = process(test, file), *other = process(test, file);

	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_4M, 5));
	KUNIT_EXPECT_TRUE(test, pmd_trans_huge(unit_pmd(test, proc, SZ_4M)));
	KUNIT_EXPECT_TRUE(test, pud_linked(mm_pud(proc->mm, PLACE)));
	KUNIT_EXPECT_EQ(test, 5, kproc_read(other, PLACE + SZ_4M));
	KUNIT_EXPECT_EQ(test, 0, kproc_read(other, PLACE + SZ_4M + SZ_4K));
	/* A huge page has no table. */
	KUNIT_EXPECT_EQ(
		test, 0,
		atomic_long_read(&kproc_unit(test, proc, PLACE)->tables));
}

/* Shows: SCM-6, SCM-2 */
static void small_links_get_a_table(struct kunit *test)
{
	struct file *file = huge_file(test);
	struct kproc *proc = process(test, file), *other = kproc_new(test, 0);

	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_4M, 5));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_8M, 6));
	kproc_link_at(test, other, file, PLACE, SZ_2M, SZ_4M);
	KUNIT_EXPECT_EQ(test, 5, kproc_read(other, PLACE));
	KUNIT_EXPECT_TRUE(test, kproc_linked(other, PLACE));
	KUNIT_EXPECT_TRUE(test, scome_is_table(unit_pmd(test, proc, SZ_4M)));
	KUNIT_EXPECT_EQ(
		test, 1,
		atomic_long_read(&kproc_unit(test, proc, PLACE)->tables));

	/* What is next to it stays as it was, and nobody sees anything else. */
	KUNIT_EXPECT_TRUE(test, pmd_trans_huge(unit_pmd(test, proc, SZ_8M)));
	KUNIT_EXPECT_EQ(test, 0, kproc_write(other, PLACE + SZ_4K, 9));
	KUNIT_EXPECT_EQ(test, 9, kproc_read(proc, PLACE + SZ_4M + SZ_4K));
	KUNIT_EXPECT_EQ(test, 5, kproc_read(proc, PLACE + SZ_4M));
	KUNIT_EXPECT_EQ(test, 6, kproc_read(proc, PLACE + SZ_8M));
}

/* Shows: SCM-6, SCM-2 */
static void a_table_stays(struct kunit *test)
{
	struct file *file = huge_file(test);
	struct kproc *proc = kproc_new(test, 0), *other;

	kproc_link_at(test, proc, file, PLACE, SZ_2M, SZ_4M);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 5));
	other = process(test, file);
	KUNIT_EXPECT_EQ(test, 5, kproc_read(other, PLACE + SZ_4M));
	KUNIT_EXPECT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_2M));
	KUNIT_EXPECT_EQ(
		test, 0,
		vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      SZ_4M, SZ_2M));
	KUNIT_EXPECT_EQ(test, 0, kproc_write(other, PLACE + SZ_4M, 8));
	KUNIT_EXPECT_TRUE(test, scome_is_table(unit_pmd(test, other, SZ_4M)));
}

/* Shows: SCM-6, SCM-15 */
static void without_access_nothing_is_linked(struct kunit *test)
{
	struct file *file = huge_file(test);
	struct kproc *proc = process(test, file);
	struct vm_area_struct *vma;

	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_4M, 5));
	KUNIT_ASSERT_EQ(test, 0, kproc_protect(proc, PLACE, SZ_1G, VM_NONE));
	vma = kproc_vma(proc, PLACE);
	/* There is no leaf table that GUP could look into. */
	KUNIT_EXPECT_NULL(test, __scome_inaccessible_pmd(vma, PLACE + SZ_4M));
	KUNIT_EXPECT_TRUE(test, pud_none(mm_pud(proc->mm, PLACE)));
}

struct spared {
	const char *name;
	unsigned long start;
	unsigned long len;
	unsigned long offset;
	/* what stays linked, from the start of the mapping on */
	unsigned long from;
	unsigned long to;
};

static const struct spared spares[] = {
	{ "less than a GiB", 0, SZ_2M, 0, 0, 0 },
	{ "a GiB", 0, SZ_1G, 0, 0, SZ_1G },
	{ "two of them", 0, 2 * GIB, GIB, 0, 2 * GIB },
	{ "a GiB not congruent", 0, SZ_1G, SZ_2M, 0, 0 },
	{ "a GiB across a border", SZ_2M, SZ_1G, SZ_2M, 0, 0 },
	{ "a tail", 0, GIB + SZ_2M, 0, 0, SZ_1G },
	{ "a head", GIB - SZ_2M, GIB + SZ_2M, GIB - SZ_2M, SZ_2M, GIB + SZ_2M },
	{ "both", GIB - SZ_2M, GIB + SZ_4M, GIB - SZ_2M, SZ_2M, GIB + SZ_2M },
};

static void spared_name(const struct spared *spared, char *name)
{
	strscpy(name, spared->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(spares, spares, spared_name);

static long set_shared(struct kproc *proc, void *arg)
{
	return scome_prctl_set(1, SZ_2M, 0, 0);
}

/* Shows: SCM-6, SCM-3 */
static void who_did_not_ask_is_spared(struct kunit *test)
{
	const struct spared *s = test->param_value;
	struct kproc *proc = kproc_new(test, 0);
	struct file *file = huge_file(test);
	unsigned long start = PLACE + s->start, at;

	KUNIT_ASSERT_EQ(test, 0, kproc_run(proc, set_shared, NULL));
	KUNIT_ASSERT_EQ(test, start,
			kproc_mmap(proc, file, start, s->len, PROT_RW,
				   MAP_SHARED | MAP_FIXED, s->offset));
	for (at = 0; at < s->len; at += SZ_2M) {
		struct vm_area_struct *vma = kproc_vma(proc, start + at);

		KUNIT_ASSERT_NOT_NULL(test, vma);
		KUNIT_EXPECT_EQ_MSG(test, !!vma->vm_scome,
				    at >= s->from && at < s->to, "at %#lx", at);
	}
	KUNIT_EXPECT_EQ(test, 0, kproc_write(proc, start, 3));
	KUNIT_EXPECT_EQ(test, 3, kproc_read(proc, start));
	/* Whoever asks gets what was asked for. */
	KUNIT_ASSERT_EQ(test, start,
			kproc_mmap(proc, file, start, s->len, PROT_RW,
				   MAP_LINKED | MAP_FIXED, s->offset));
	KUNIT_EXPECT_NOT_NULL(test, kproc_vma(proc, start)->vm_scome);
	KUNIT_EXPECT_EQ(test, 3, kproc_read(proc, start));
}

/* MADV_HUGEPAGE of the whole VMA at PLACE. */
static long advise(struct kproc *proc, void *arg)
{
	struct vm_area_struct *vma;

	mmap_write_lock(proc->mm);
	vma = vma_lookup(proc->mm, PLACE);
	scome_advise_huge(&vma, vma->vm_start, vma->vm_end);
	mmap_write_unlock(proc->mm);
	return 0;
}

/* Shows: SCM-6 */
static void advice_is_for_the_unit(struct kunit *test)
{
	struct file *file = huge_file(test);
	struct kproc *proc = process(test, file), *other = kproc_new(test, 0);
	struct scome_unit *unit = kproc_unit(test, proc, PLACE);

	kproc_link_at(test, other, file, PLACE, SZ_2M, 0);
	KUNIT_EXPECT_FALSE(test, unit->vma->vm_flags & VM_HUGEPAGE);
	kproc_run(proc, advise, NULL);
	KUNIT_EXPECT_TRUE(test, unit->vma->vm_flags & VM_HUGEPAGE);
	KUNIT_EXPECT_NOT_NULL(test, kproc_vma(proc, PLACE)->vm_scome);
	/* This one gets huge pages only by itself. */
	kproc_run(other, advise, NULL);
	KUNIT_EXPECT_NULL(test, kproc_vma(other, PLACE)->vm_scome);
	KUNIT_EXPECT_EQ(test, 0, kproc_write(other, PLACE, 4));
	KUNIT_EXPECT_EQ(test, 4, kproc_read(proc, PLACE));
}

/* Shows: SCM-6, SCM-8 */
static void retired_with_huge_pages(struct kunit *test)
{
	long tables = atomic_long_read(&scome_nr_tables);
	struct file *file = huge_file(test);
	struct kproc *proc = process(test, file);

	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_4M, 5));
	KUNIT_EXPECT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_1G));
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
	KUNIT_EXPECT_EQ(test, tables, atomic_long_read(&scome_nr_tables));
	kproc_link_at(test, proc, file, PLACE, SZ_1G, 0);
	KUNIT_EXPECT_EQ(test, 5, kproc_read(proc, PLACE + SZ_4M));
}

/* Shows: SCM-6, SCM-8 */
static void kept_with_huge_pages(struct kunit *test)
{
	long tables = atomic_long_read(&scome_kept_tables);
	struct file *file = huge_file(test);
	struct kproc *proc = process(test, file);
	struct scome_unit *unit = kproc_unit(test, proc, PLACE);

	unit->policy.when = SCOME_RETIRE_PRESSURE_ONLY;
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_4M, 5));
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_1G));
	/* Warm, without a leaf table, and memory pressure hears of it. */
	KUNIT_EXPECT_TRUE(test, file_has_unit(file));
	KUNIT_EXPECT_EQ(test, tables + 1, atomic_long_read(&scome_kept_tables));
	scome_retire_kept();
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
	KUNIT_EXPECT_EQ(test, tables, atomic_long_read(&scome_kept_tables));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(parents_see_huge_pages),
	KUNIT_CASE(small_links_get_a_table),
	KUNIT_CASE(a_table_stays),
	KUNIT_CASE(without_access_nothing_is_linked),
	KUNIT_CASE_PARAM(who_did_not_ask_is_spared, spares_gen_params),
	KUNIT_CASE(advice_is_for_the_unit),
	KUNIT_CASE(retired_with_huge_pages),
	KUNIT_CASE(kept_with_huge_pages),
	{}
};

static struct kunit_suite suite = {
	.name = "scome_huge",
	.suite_init = huge_init,
	.suite_exit = huge_exit,
	.init = retire_all,
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("KUnit suite of scome: huge pages");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
