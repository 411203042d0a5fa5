/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the suites of scome share: processes without user space, which map, read
 * and write real files, and eyes on what the kernel did about it.
 *
 * A process is an mm and a thread on one CPU that runs what it is told. The
 * thread that runs a test has no mm and sleeps or spins on the first CPU.
 */
#ifndef _SCOME_KUNIT_H
#define _SCOME_KUNIT_H

#include <kunit/resource.h>
#include <kunit/test.h>

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/scome.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

#include <mm/scome/internal.h>

/* What asm/tlbflush.h does not tell modules. */
struct arch_tlbflush_unmap_batch;

void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start,
			unsigned long end, unsigned int stride_shift,
			bool freed_tables);
void scome_tlb_sync(struct mm_struct *mm);
void __scome_shootdown(struct mm_struct *mm, unsigned long start,
		       unsigned long end);
void __scome_tlbbatch_add(struct arch_tlbflush_unmap_batch *batch,
			  struct mm_struct *mm);
void __scome_tlbbatch_cpus(struct arch_tlbflush_unmap_batch *batch);

#include <asm/tlb.h>
#include <asm/tlbbatch.h>

#define MAP_LINKED (MAP_SHARED_VALIDATE | MAP_SHARED_PT)
#define PROT_RW (PROT_READ | PROT_WRITE)

#define GIB ((unsigned long)SZ_1G)

/* A place with free space all around it, in every mm of a test. */
#define PLACE (SZ_1T + SZ_1G)

struct kproc {
	struct kthread_worker *worker;
	struct mm_struct *mm;
	unsigned int cpu;
};

struct kproc_call {
	struct kthread_work work;
	long (*fn)(struct kproc *proc, void *arg);
	struct kproc *proc;
	void *arg;
	long ret;
};

static void kproc_call_work(struct kthread_work *work)
{
	struct kproc_call *call = container_of(work, struct kproc_call, work);

	call->ret = call->fn(call->proc, call->arg);
}

static inline void kproc_start(struct kproc *proc, struct kproc_call *call,
			       long (*fn)(struct kproc *, void *), void *arg)
{
	call->fn = fn;
	call->proc = proc;
	call->arg = arg;
	kthread_init_work(&call->work, kproc_call_work);
	kthread_queue_work(proc->worker, &call->work);
}

static inline long kproc_wait(struct kproc_call *call)
{
	kthread_flush_work(&call->work);
	return call->ret;
}

/* Runs @fn as the process and waits for it. */
static inline long kproc_run(struct kproc *proc,
			     long (*fn)(struct kproc *, void *), void *arg)
{
	struct kproc_call call;

	kproc_start(proc, &call, fn, arg);
	return kproc_wait(&call);
}

/* In the thread that is going to use it: it becomes the owner. */
static inline long kproc_enter(struct kproc *proc, void *arg)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return -ENOMEM;
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	kthread_use_mm(mm);
	proc->mm = mm;
	return 0;
}

static inline long kproc_leave(struct kproc *proc, void *arg)
{
	kthread_unuse_mm(proc->mm);
	mmput(proc->mm);
	proc->mm = NULL;
	return 0;
}

/* Ends the process, as exit() does; nothing if it has ended. */
static inline void kproc_exit(struct kproc *proc)
{
	if (!proc->worker)
		return;
	if (proc->mm)
		kproc_run(proc, kproc_leave, NULL);
	kthread_destroy_worker(proc->worker);
	proc->worker = NULL;
	/* A kernel thread's last fput() is done by a work item. */
	flush_delayed_fput();
}

KUNIT_DEFINE_ACTION_WRAPPER(kproc_exit_action, kproc_exit, struct kproc *);

static inline struct kproc *kproc_new(struct kunit *test, unsigned int cpu)
{
	struct kproc *proc = kunit_kzalloc(test, sizeof(*proc), GFP_KERNEL);
	struct kthread_worker *worker;

	KUNIT_ASSERT_NOT_NULL(test, proc);
	worker = kthread_create_worker_on_cpu(cpu, 0, "scome_kunit/%u", cpu);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, worker);
	proc->worker = worker;
	proc->cpu = cpu;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, kproc_exit_action,
						  proc));
	KUNIT_ASSERT_EQ(test, 0, kproc_run(proc, kproc_enter, NULL));
	return proc;
}

/* What a process does */

struct kproc_mmap {
	struct file *file;
	unsigned long addr;
	unsigned long len;
	unsigned long prot;
	unsigned long flags;
	unsigned long offset;
};

static inline long kproc_do_mmap(struct kproc *proc, void *arg)
{
	struct kproc_mmap *m = arg;

	return vm_mmap(m->file, m->addr, m->len, m->prot, m->flags, m->offset);
}

/* The address or a negative error. */
static inline long kproc_mmap(struct kproc *proc, struct file *file,
			      unsigned long addr, unsigned long len,
			      unsigned long prot, unsigned long flags,
			      unsigned long offset)
{
	struct kproc_mmap m = {
		.file = file,
		.addr = addr,
		.len = len,
		.prot = prot,
		.flags = flags,
		.offset = offset,
	};

	return kproc_run(proc, kproc_do_mmap, &m);
}

/* A linked mapping at @addr, readable and writable, from @offset on. */
static inline void kproc_link_at(struct kunit *test, struct kproc *proc,
				 struct file *file, unsigned long addr,
				 unsigned long len, unsigned long offset)
{
	KUNIT_ASSERT_EQ(test, addr,
			kproc_mmap(proc, file, addr, len, PROT_RW,
				   MAP_LINKED | MAP_FIXED, offset));
}

static inline long kproc_do_munmap(struct kproc *proc, void *arg)
{
	struct kproc_mmap *m = arg;

	return vm_munmap(m->addr, m->len);
}

static inline long kproc_munmap(struct kproc *proc, unsigned long addr,
				unsigned long len)
{
	struct kproc_mmap m = { .addr = addr, .len = len };
	long ret = kproc_run(proc, kproc_do_munmap, &m);

	flush_delayed_fput();
	return ret;
}

struct kproc_word {
	unsigned long addr;
	unsigned long value;
};

static inline long kproc_do_write(struct kproc *proc, void *arg)
{
	struct kproc_word *w = arg;

	return put_user(w->value, (unsigned long __user *)w->addr);
}

static inline long kproc_write(struct kproc *proc, unsigned long addr,
			       unsigned long value)
{
	struct kproc_word w = { .addr = addr, .value = value };

	return kproc_run(proc, kproc_do_write, &w);
}

static inline long kproc_do_read(struct kproc *proc, void *arg)
{
	struct kproc_word *w = arg;

	return get_user(w->value, (unsigned long __user *)w->addr);
}

/* The word there, or -EFAULT. */
static inline long kproc_read(struct kproc *proc, unsigned long addr)
{
	struct kproc_word w = { .addr = addr };
	long ret = kproc_run(proc, kproc_do_read, &w);

	return ret ?: (long)w.value;
}

struct kproc_protect {
	unsigned long start;
	unsigned long end;
	vm_flags_t clear;
	vm_flags_t set;
};

/* What mprotect() does, to one VMA. */
static inline long kproc_do_protect(struct kproc *proc, void *arg)
{
	struct kproc_protect *p = arg;
	struct vm_area_struct *vma, *prev;
	struct mmu_gather tlb;
	long ret = -ENOMEM;

	VMA_ITERATOR(vmi, proc->mm, p->start);

	mmap_write_lock(proc->mm);
	vma = vma_find(&vmi, p->end);
	if (vma && vma->vm_start <= p->start && vma->vm_end >= p->end) {
		prev = vma_prev(&vmi);
		vma = vma_find(&vmi, p->end);
		if (p->start > vma->vm_start)
			prev = vma;
		tlb_gather_mmu(&tlb, proc->mm);
		ret = mprotect_fixup(&vmi, &tlb, vma, &prev, p->start, p->end,
				     (vma->vm_flags & ~p->clear) | p->set);
		tlb_finish_mmu(&tlb);
		scome_views_attach(proc->mm, p->start, p->end);
	}
	mmap_write_unlock(proc->mm);
	return ret;
}

static inline long kproc_protect(struct kproc *proc, unsigned long start,
				 unsigned long len, vm_flags_t access)
{
	struct kproc_protect p = {
		.start = start,
		.end = start + len,
		.clear = VM_ACCESS_FLAGS,
		.set = access,
	};

	return kproc_run(proc, kproc_do_protect, &p);
}

/* What can be seen from outside. No process of a test runs by itself. */

static inline struct vm_area_struct *kproc_vma(struct kproc *proc,
					       unsigned long addr)
{
	struct vm_area_struct *vma;

	mmap_read_lock(proc->mm);
	vma = vma_lookup(proc->mm, addr);
	mmap_read_unlock(proc->mm);
	return vma;
}

static inline struct scome_link *
kproc_link(struct kunit *test, struct kproc *proc, unsigned long addr)
{
	struct vm_area_struct *vma = kproc_vma(proc, addr);

	KUNIT_ASSERT_NOT_NULL(test, vma);
	KUNIT_ASSERT_NOT_NULL(test, vma->vm_scome);
	return vma->vm_scome;
}

static inline struct scome_unit *
kproc_unit(struct kunit *test, struct kproc *proc, unsigned long addr)
{
	return kproc_link(test, proc, addr)->unit;
}

static inline pmd_t mm_pmd(struct mm_struct *mm, unsigned long addr)
{
	pmd_t ret = __pmd(0);
	pmd_t *pmd;

	mmap_read_lock(mm);
	pmd = scome_find_pmd(mm, addr);
	if (pmd)
		ret = pmdp_get(pmd);
	mmap_read_unlock(mm);
	return ret;
}

static inline pud_t mm_pud(struct mm_struct *mm, unsigned long addr)
{
	pud_t ret = __pud(0);
	pud_t *pud;

	mmap_read_lock(mm);
	pud = scome_find_pud(mm, addr);
	if (pud)
		ret = pudp_get(pud);
	mmap_read_unlock(mm);
	return ret;
}

static inline pmd_t kproc_pmd(struct kproc *proc, unsigned long addr)
{
	return mm_pmd(proc->mm, addr);
}

static inline bool kproc_linked(struct kproc *proc, unsigned long addr)
{
	return pmd_linked(kproc_pmd(proc, addr));
}

static inline bool scome_kunit_same(struct scome_unit *unit, void *arg)
{
	return unit->mapping != arg;
}

/* Is there a unit for the file? */
static inline bool file_has_unit(struct file *file)
{
	return !scome_unit_for_each(scome_kunit_same, file->f_mapping);
}

static inline void scome_kunit_fput(void *file)
{
	fput(file);
	flush_delayed_fput();
}

/* A memory file of @size bytes that nobody else has. */
static inline struct file *kfile_new(struct kunit *test, loff_t size)
{
	struct file *file = shmem_file_setup("scome_kunit", size, VM_NORESERVE);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, scome_kunit_fput,
						  file));
	return file;
}

/* Of no earlier test: units that are kept, and files that are still to be put. */
static inline int retire_all(struct kunit *test)
{
	scome_retire_kept();
	flush_delayed_fput();
	return 0;
}

/* VMAs of an mm that reclaim and truncate find for a part of the file. */
static inline unsigned int rmap_finds(struct file *file, struct mm_struct *mm,
				      unsigned long start, unsigned long end)
{
	struct address_space *mapping = file->f_mapping;
	struct vm_area_struct *vma;
	unsigned int n = 0;

	i_mmap_lock_read(mapping);
	vma_interval_tree_foreach(vma, &mapping->i_mmap, start >> PAGE_SHIFT,
				  (end - 1) >> PAGE_SHIFT)
		n += vma->vm_mm == mm;
	i_mmap_unlock_read(mapping);
	return n;
}

/* Tracepoints, by name: scome exports none to modules */

struct kwatch {
	const char *name;
	struct tracepoint *tp;
	void *probe;
	void *data;
};

static inline void kwatch_match(struct tracepoint *tp, void *arg)
{
	struct kwatch *watch = arg;

	if (!strcmp(tp->name, watch->name))
		watch->tp = tp;
}

static inline void kwatch_end(void *arg)
{
	struct kwatch *watch = arg;

	tracepoint_probe_unregister(watch->tp, watch->probe, watch->data);
	tracepoint_synchronize_unregister();
}

/* @probe gets @data, then what the tracepoint has. */
static inline void kwatch(struct kunit *test, const char *name, void *probe,
			  void *data)
{
	struct kwatch *watch = kunit_kzalloc(test, sizeof(*watch), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, watch);
	watch->name = name;
	watch->probe = probe;
	watch->data = data;
	for_each_kernel_tracepoint(kwatch_match, watch);
	KUNIT_ASSERT_NOT_NULL_MSG(test, watch->tp, "no tracepoint %s", name);
	KUNIT_ASSERT_EQ(test, 0,
			tracepoint_probe_register(watch->tp, probe, data));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, kwatch_end, watch));
}

#endif /* _SCOME_KUNIT_H */
