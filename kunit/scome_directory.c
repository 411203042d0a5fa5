// SPDX-License-Identifier: GPL-2.0
/*
 * The directory of units: one unit a file, as long as anybody is linked.
 */

#include <linux/anon_inodes.h>
#include <linux/dcache.h>
#include <linux/linkage.h>
#include <linux/mount.h>
#include <linux/objtool.h>
#include <linux/pagemap.h>

#include "scome_kunit.h"

#define FILE_SIZE SZ_16M

/* As they were when a case began. */
struct totals {
	long units;
	long links;
	long tables;
};

static struct totals totals_now(void)
{
	struct totals now = {
		.units = atomic_long_read(&scome_nr_units),
		.links = atomic_long_read(&scome_nr_links),
		.tables = atomic_long_read(&scome_nr_tables),
	};

	return now;
}

/* Shows: SCM-2 */
static void second_process_same_unit(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, second, file, PLACE + SZ_1G, SZ_4M, SZ_2M);
	KUNIT_EXPECT_PTR_EQ(test, kproc_unit(test, first, PLACE),
			    kproc_unit(test, second, PLACE + SZ_1G));
}

/* Shows: SCM-2 */
static void one_file_counts_once(struct kunit *test)
{
	struct totals before = totals_now();
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, first, file, PLACE + SZ_1G, SZ_4M, 0);
	kproc_link_at(test, second, file, PLACE, SZ_4M, 0);
	KUNIT_EXPECT_EQ(test, totals_now().units, before.units + 1);
}

/* Shows: SCM-16 */
static void second_file_another_unit(struct kunit *test)
{
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, kfile_new(test, FILE_SIZE), PLACE, SZ_4M, 0);
	kproc_link_at(test, proc, kfile_new(test, FILE_SIZE), PLACE + SZ_4M,
		      SZ_4M, SZ_4M);
	KUNIT_EXPECT_NE(test, kproc_unit(test, proc, PLACE)->id,
			kproc_unit(test, proc, PLACE + SZ_4M)->id);
}

/* Shows: SCM-16 */
static void second_file_another_table(struct kunit *test)
{
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, kfile_new(test, FILE_SIZE), PLACE, SZ_2M, 0);
	kproc_link_at(test, proc, kfile_new(test, FILE_SIZE), PLACE + SZ_2M,
		      SZ_2M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 1));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_2M, 2));
	KUNIT_EXPECT_NE(test, pmd_pfn(kproc_pmd(proc, PLACE)),
			pmd_pfn(kproc_pmd(proc, PLACE + SZ_2M)));
}

/* Shows: SCM-2, SCM-6 */
static void second_process_same_table(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, second, file, PLACE + SZ_1G, SZ_2M, SZ_2M);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(first, PLACE + SZ_2M, 1));
	KUNIT_ASSERT_EQ(test, 1, kproc_read(second, PLACE + SZ_1G));
	KUNIT_EXPECT_EQ(test, pmd_pfn(kproc_pmd(first, PLACE + SZ_2M)),
			pmd_pfn(kproc_pmd(second, PLACE + SZ_1G)));
}

/* Shows: SCM-5 */
static void table_is_the_managers(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct scome_unit *unit;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, SZ_4M);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 1));
	unit = kproc_unit(test, proc, PLACE);
	KUNIT_EXPECT_EQ(test, pmd_pfn(kproc_pmd(proc, PLACE)),
			pmd_pfn(mm_pmd(unit->mm, SCOME_BASE + SZ_4M)));
}

/* Shows: SCM-2 */
static void each_link_counts(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);
	struct scome_unit *unit;

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	unit = kproc_unit(test, first, PLACE);
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), 1);
	kproc_link_at(test, second, file, PLACE, SZ_4M, 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), 2);
	kproc_link_at(test, second, file, PLACE + SZ_1G, SZ_4M, 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), 3);
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(second, PLACE, SZ_4M));
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), 2);
	kproc_exit(second);
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), 1);
}

/* Shows: SCM-2 */
static void get_finds_and_counts(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct scome_unit *unit;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	unit = scome_unit_get(file);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, unit);
	KUNIT_EXPECT_PTR_EQ(test, unit, kproc_unit(test, proc, PLACE));
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), 2);
	scome_unit_put(unit, NULL);
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), 1);
}

/* Shows: SCM-5 */
static void survives_its_first_process(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);
	struct scome_unit *unit;
	u64 id;

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(first, PLACE, 0x5c03e));
	kproc_link_at(test, second, file, PLACE, SZ_4M, 0);
	unit = kproc_unit(test, second, PLACE);
	id = unit->id;
	kproc_exit(first);
	KUNIT_EXPECT_EQ(test, kproc_read(second, PLACE), 0x5c03e);
	KUNIT_EXPECT_EQ(test, kproc_unit(test, second, PLACE)->id, id);
}

/* Shows: SCM-8 */
static void last_munmap_retires(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, second, file, PLACE, SZ_4M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(first, PLACE, SZ_4M));
	KUNIT_EXPECT_TRUE(test, file_has_unit(file));
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(second, PLACE, SZ_4M));
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
}

/* Shows: SCM-8 */
static void last_exit_retires(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, second, file, PLACE, SZ_4M, 0);
	kproc_exit(first);
	KUNIT_EXPECT_TRUE(test, file_has_unit(file));
	kproc_exit(second);
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
}

/* Shows: SCM-8 */
static void contents_outlive_the_unit(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_2M, 0x5c03e));
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	KUNIT_ASSERT_FALSE(test, file_has_unit(file));
	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	KUNIT_EXPECT_EQ(test, kproc_read(proc, PLACE + SZ_2M), 0x5c03e);
}

/* Shows: SCM-16 */
static void ids_are_never_used_again(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	u64 last = 0, lowest = U64_MAX;
	int i;

	for (i = 0; i < 10; i++) {
		u64 id;

		kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
		id = kproc_unit(test, proc, PLACE)->id;
		lowest = min(lowest, id > last ? id - last : 0);
		last = id;
		KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	}
	KUNIT_EXPECT_GE(test, lowest, 1);
	/* The TLB batch has them for "none" and "several". */
	KUNIT_EXPECT_LT(test, last, U64_MAX);
}

/* Shows: SCM-3 */
static void one_table_for_2_mib(struct kunit *test)
{
	struct totals before = totals_now();
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);
	struct scome_unit *unit;
	unsigned long offset;

	kproc_link_at(test, first, file, PLACE, FILE_SIZE, 0);
	kproc_link_at(test, second, file, PLACE + SZ_1G, FILE_SIZE, 0);
	unit = kproc_unit(test, first, PLACE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->tables), 0);
	/* Every other range, at several pages each. */
	for (offset = 0; offset < FILE_SIZE; offset += SZ_4M) {
		KUNIT_ASSERT_EQ(test, 0, kproc_write(first, PLACE + offset, 1));
		KUNIT_ASSERT_EQ(test, 0,
				kproc_write(first, PLACE + offset + SZ_1M, 1));
		KUNIT_ASSERT_EQ(test, 1,
				kproc_read(second, PLACE + SZ_1G + offset));
	}
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->tables),
			FILE_SIZE / SZ_4M);
	KUNIT_EXPECT_EQ(test, totals_now().tables,
			before.tables + FILE_SIZE / SZ_4M);
}

/* Shows: SCM-8 */
static void totals_come_back(struct kunit *test)
{
	struct totals before = totals_now();
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, second, file, PLACE, SZ_8M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(first, PLACE, 1));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(second, PLACE + SZ_4M, 1));
	KUNIT_ASSERT_EQ(test, totals_now().links, before.links + 2);
	kproc_exit(first);
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(second, PLACE, SZ_8M));
	KUNIT_EXPECT_EQ(test, totals_now().units, before.units);
	KUNIT_EXPECT_EQ(test, totals_now().links, before.links);
	KUNIT_EXPECT_EQ(test, totals_now().tables, before.tables);
}

/* Shows: SCM-6 */
static void faults_are_counted(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);
	struct scome_unit *unit;
	unsigned long before, i;

	kproc_link_at(test, first, file, PLACE, SZ_2M, 0);
	kproc_link_at(test, second, file, PLACE, SZ_2M, 0);
	unit = kproc_unit(test, first, PLACE);
	before = scome_sum_faults();
	KUNIT_ASSERT_EQ(test, 0, kproc_write(first, PLACE, 1));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(first, PLACE + SZ_1M, 1));
	KUNIT_EXPECT_EQ(test, scome_sum_faults() - before, 2);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->faults), 2);

	/* One for the range, and the manager has nothing to do. */
	before = scome_sum_faults();
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, 0,
				kproc_write(second, PLACE + i * SZ_1M, 2));
	KUNIT_EXPECT_EQ(test, scome_sum_faults() - before, 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->faults), 2);
}

/* Shows: SCM-5 */
static void manager_has_one_window(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct scome_unit *unit;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, SZ_4M);
	unit = kproc_unit(test, proc, PLACE);
	KUNIT_EXPECT_EQ(test, unit->mm->map_count, 1);
	KUNIT_EXPECT_EQ(test, unit->vma->vm_start, SCOME_BASE);
	KUNIT_EXPECT_EQ(test, unit->vma->vm_end, SCOME_BASE + SCOME_SPAN);
	KUNIT_EXPECT_EQ(test, unit->vma->vm_pgoff, 0);
	KUNIT_EXPECT_PTR_EQ(test, unit->vma->vm_file->f_mapping,
			    file->f_mapping);
}

/* Shows: SCM-15 */
static void manager_allows_everything(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	vm_flags_t flags;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	flags = kproc_unit(test, proc, PLACE)->vma->vm_flags;
	KUNIT_EXPECT_EQ(test, flags & (VM_ACCESS_FLAGS | VM_SHARED),
			VM_ACCESS_FLAGS | VM_SHARED);
	/* Or it would be a writer of the file in the eyes of F_SEAL_WRITE. */
	KUNIT_EXPECT_EQ(test, flags & VM_MAYWRITE, 0);
	/* Whoever needs a leaf table sees to that; see the suite scome_huge. */
	KUNIT_EXPECT_EQ(test, flags & (VM_NOHUGEPAGE | VM_HUGEPAGE), 0);
	/* Nothing grows into or merges with it. */
	KUNIT_EXPECT_EQ(test, flags & VM_DONTEXPAND, VM_DONTEXPAND);
	KUNIT_EXPECT_EQ(test, flags & (VM_LOCKED | VM_SHARED_PT), 0);
}

/* Shows: SCM-5 */
static void manager_is_nobodys(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct scome_unit *unit;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	unit = kproc_unit(test, proc, PLACE);
	KUNIT_EXPECT_TRUE(test, mm_scome_manager(unit->mm));
	KUNIT_EXPECT_FALSE(test, mm_scome_manager(proc->mm));
#ifdef CONFIG_MEMCG
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(unit->mm->owner));
#endif
	KUNIT_EXPECT_TRUE(test, cpumask_empty(mm_cpumask(unit->mm)));
	/* Neither flocks nor file position of the opener. */
	KUNIT_EXPECT_PTR_NE(test, unit->vma->vm_file, file);
}

/* Shows: SCM-8 */
static void writer_gone_lets_seal(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	KUNIT_EXPECT_EQ(test, mapping_deny_writable(file->f_mapping), -EBUSY);
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	/* What F_SEAL_WRITE asks, at once. */
	KUNIT_EXPECT_EQ(test, mapping_deny_writable(file->f_mapping), 0);
}

/* Shows: SCM-5 */
static void reader_lets_seal(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct vm_area_struct *vma;
	struct file *reader;

	reader = dentry_open(&file->f_path, O_RDONLY, current_cred());
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, reader);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, scome_kunit_fput,
						  reader));
	KUNIT_ASSERT_EQ(test, PLACE,
			kproc_mmap(proc, reader, PLACE, SZ_4M, PROT_READ,
				   MAP_LINKED | MAP_FIXED, 0));
	vma = kproc_vma(proc, PLACE);
	KUNIT_ASSERT_TRUE(test, vma_scome(vma));
	KUNIT_EXPECT_EQ(test, mapping_deny_writable(file->f_mapping), 0);
}

static void end_mount(void *mnt)
{
	flush_delayed_fput();
	kern_unmount(mnt);
}

/* Shows: SCM-8 */
static void last_munmap_lets_umount(struct kunit *test)
{
	struct kproc *proc = kproc_new(test, 0);
	struct file_system_type *type = get_fs_type("tmpfs");
	struct vfsmount *mnt;
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, type);
	mnt = kern_mount(type);
	module_put(type->owner);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, end_mount, mnt));
	file = shmem_file_setup_with_mnt(mnt, "scome_kunit", FILE_SIZE,
					 VM_NORESERVE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	fput(file);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, may_umount(mnt), 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	KUNIT_EXPECT_EQ(test, may_umount(mnt), 1);
	kproc_exit(proc);
}

static int other_mmap(struct file *file, struct vm_area_struct *vma)
{
	return 0;
}

static const struct file_operations other_fops = {
	.owner = THIS_MODULE,
	.mmap = other_mmap,
};

/* Shows: SCM-2 */
static void other_file_never_gets_there(struct kunit *test)
{
	struct totals before = totals_now();
	struct kproc *proc = kproc_new(test, 0);
	struct file *file;

	file = anon_inode_getfile("[scome_kunit]", &other_fops, NULL, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, scome_kunit_fput,
						  file));
	/* It can be mapped, but not linked. */
	KUNIT_ASSERT_EQ(test, PLACE,
			kproc_mmap(proc, file, PLACE, SZ_4M, PROT_RW,
				   MAP_SHARED | MAP_FIXED, 0));
	KUNIT_EXPECT_EQ(test,
			kproc_mmap(proc, file, PLACE, SZ_4M, PROT_RW,
				   MAP_LINKED | MAP_FIXED, 0),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, totals_now().units, before.units);
}

/* Failures: a function that a step relies on says no, to one thread only. */

asmlinkage void scome_kunit_return(void);

/* clang-format off */
asm(".text\n"
	".type scome_kunit_return, @function\n"
	".globl scome_kunit_return\n"
	"scome_kunit_return:\n"
		ANNOTATE_NOENDBR
		ASM_RET
	".size scome_kunit_return, .-scome_kunit_return\n");
/* clang-format on */

struct failure {
	struct kprobe probe;
	struct task_struct *task;
	unsigned long value;
	/* Calls that are let through. */
	unsigned int skip;
	unsigned int hits;
};

static int failure_now(struct kprobe *probe, struct pt_regs *regs)
{
	struct failure *failure = container_of(probe, struct failure, probe);

	if (current != failure->task || failure->hits)
		return 0;
	if (failure->skip) {
		failure->skip--;
		return 0;
	}
	failure->hits++;
	regs_set_return_value(regs, failure->value);
	regs->ip = (unsigned long)scome_kunit_return;
	return 1;
}

/* That there is one keeps the probe from being made a jump. */
static void failure_post(struct kprobe *probe, struct pt_regs *regs,
			 unsigned long flags)
{
}

static void failure_end(void *arg)
{
	struct failure *failure = arg;

	unregister_kprobe(&failure->probe);
}

static struct failure *fail(struct kunit *test, struct kproc *proc,
			    const char *function, long value)
{
	struct failure *failure =
		kunit_kzalloc(test, sizeof(*failure), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, failure);
	failure->probe.symbol_name = function;
	failure->probe.pre_handler = failure_now;
	failure->probe.post_handler = failure_post;
	failure->task = proc->worker->task;
	failure->value = value;
	KUNIT_ASSERT_EQ(test, 0, register_kprobe(&failure->probe));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, failure_end, failure));
	return failure;
}

struct step {
	const char *name;
	const char *function;
	unsigned int skip;
	long value;
	long error;
};

static const struct step steps[] = {
	{ "open", "alloc_file_clone", 0, -ENFILE, -ENFILE },
	{ "unit", "__kmalloc_cache_noprof", 0, 0, -ENOMEM },
	{ "side structure", "__kmalloc_cache_noprof", 1, 0, -ENOMEM },
	{ "mm", "mm_alloc", 0, 0, -ENOMEM },
	{ "notifier", "__mmu_notifier_register", 0, -ENOMEM, -ENOMEM },
	{ "vma", "vm_area_alloc", 0, 0, -ENOMEM },
	{ "insert", "insert_vm_struct", 0, -ENOMEM, -ENOMEM },
};

static void step_name(const struct step *step, char *name)
{
	strscpy(name, step->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(steps, steps, step_name);

static long do_get(struct kproc *proc, void *file)
{
	struct scome_unit *unit = scome_unit_get(file);

	if (IS_ERR(unit))
		return PTR_ERR(unit);
	scome_unit_put(unit, NULL);
	return 0;
}

/* Shows: SCM-2 */
static void failed_step_leaves_nothing(struct kunit *test)
{
	const struct step *step = test->param_value;
	struct totals before = totals_now();
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	int dentries = d_count(file->f_path.dentry);
	struct failure *failure;

	failure = fail(test, proc, step->function, step->value);
	failure->skip = step->skip;
	KUNIT_EXPECT_EQ(test, kproc_run(proc, do_get, file), step->error);
	kunit_release_action(test, failure_end, failure);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, failure->hits, 1);
	KUNIT_EXPECT_EQ(test, totals_now().units, before.units);
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
	KUNIT_EXPECT_EQ(test, d_count(file->f_path.dentry), dentries);
	KUNIT_EXPECT_EQ(test, atomic_read(&file->f_mapping->i_mmap_writable),
			0);
	/* And the next one gets it. */
	KUNIT_EXPECT_EQ(test, kproc_run(proc, do_get, file), 0);
}

/* Shows: SCM-2 */
static void failed_create_fails_mmap(struct kunit *test)
{
	struct totals before = totals_now();
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct failure *failure;

	failure = fail(test, proc, "alloc_file_clone", -ENFILE);
	KUNIT_EXPECT_EQ(test,
			kproc_mmap(proc, file, PLACE, SZ_4M, PROT_RW,
				   MAP_LINKED | MAP_FIXED, 0),
			-ENFILE);
	kunit_release_action(test, failure_end, failure);
	KUNIT_EXPECT_NULL(test, kproc_vma(proc, PLACE));
	KUNIT_EXPECT_EQ(test, totals_now().links, before.links);
	KUNIT_EXPECT_EQ(test, mapping_deny_writable(file->f_mapping), 0);
}

/* Shows: SCM-2 */
static void failed_link_fails_mmap(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);
	struct totals before;
	struct failure *failure;

	kproc_link_at(test, first, file, PLACE, SZ_4M, 0);
	before = totals_now();
	failure = fail(test, second, "scome_mm_alloc", 0);
	KUNIT_EXPECT_EQ(test,
			kproc_mmap(second, file, PLACE, SZ_4M, PROT_RW,
				   MAP_LINKED | MAP_FIXED, 0),
			-ENOMEM);
	kunit_release_action(test, failure_end, failure);
	KUNIT_EXPECT_EQ(test, failure->hits, 1);
	KUNIT_EXPECT_NULL(test, kproc_vma(second, PLACE));
	KUNIT_EXPECT_EQ(test, totals_now().links, before.links);
	KUNIT_EXPECT_EQ(
		test, refcount_read(&kproc_unit(test, first, PLACE)->links), 1);
}

/* Shows: SCM-2 */
static void failed_create_is_nothing_to_who_did_not_ask(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	struct failure *failure;

	/* As after prctl(PR_SET_SHARED_PT). */
	kproc_link_at(test, proc, kfile_new(test, FILE_SIZE), PLACE + SZ_1G,
		      SZ_4M, 0);
	proc->mm->shared_pt_min = SZ_2M;
	failure = fail(test, proc, "alloc_file_clone", -ENFILE);
	KUNIT_EXPECT_EQ(test,
			kproc_mmap(proc, file, PLACE, SZ_4M, PROT_RW,
				   MAP_SHARED | MAP_FIXED, 0),
			PLACE);
	kunit_release_action(test, failure_end, failure);
	KUNIT_EXPECT_EQ(test, failure->hits, 1);
	KUNIT_ASSERT_NOT_NULL(test, kproc_vma(proc, PLACE));
	KUNIT_EXPECT_FALSE(test, vma_scome(kproc_vma(proc, PLACE)));
	KUNIT_EXPECT_EQ(test, kproc_write(proc, PLACE, 1), 0);
	KUNIT_EXPECT_FALSE(test, kproc_linked(proc, PLACE));
	KUNIT_EXPECT_EQ(test,
			kproc_mmap(proc, file, PLACE, SZ_4M, PROT_RW,
				   MAP_SHARED | MAP_FIXED, 0),
			PLACE);
	KUNIT_EXPECT_TRUE(test, vma_scome(kproc_vma(proc, PLACE)));
}

static struct kunit_case scome_directory_cases[] = {
	KUNIT_CASE(second_process_same_unit),
	KUNIT_CASE(one_file_counts_once),
	KUNIT_CASE(second_file_another_unit),
	KUNIT_CASE(second_file_another_table),
	KUNIT_CASE(second_process_same_table),
	KUNIT_CASE(table_is_the_managers),
	KUNIT_CASE(each_link_counts),
	KUNIT_CASE(get_finds_and_counts),
	KUNIT_CASE(survives_its_first_process),
	KUNIT_CASE(last_munmap_retires),
	KUNIT_CASE(last_exit_retires),
	KUNIT_CASE(contents_outlive_the_unit),
	KUNIT_CASE(ids_are_never_used_again),
	KUNIT_CASE(one_table_for_2_mib),
	KUNIT_CASE(totals_come_back),
	KUNIT_CASE(faults_are_counted),
	KUNIT_CASE(manager_has_one_window),
	KUNIT_CASE(manager_allows_everything),
	KUNIT_CASE(manager_is_nobodys),
	KUNIT_CASE(writer_gone_lets_seal),
	KUNIT_CASE(reader_lets_seal),
	KUNIT_CASE(last_munmap_lets_umount),
	KUNIT_CASE(other_file_never_gets_there),
	KUNIT_CASE_PARAM(failed_step_leaves_nothing, steps_gen_params),
	KUNIT_CASE(failed_create_fails_mmap),
	KUNIT_CASE(failed_link_fails_mmap),
	KUNIT_CASE(failed_create_is_nothing_to_who_did_not_ask),
	{}
};

static struct kunit_suite scome_directory_suite = {
	.name = "scome_directory",
	.test_cases = scome_directory_cases,
};

kunit_test_suite(scome_directory_suite);

MODULE_DESCRIPTION("KUnit suite of scome's directory of units");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
