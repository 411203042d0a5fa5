// SPDX-License-Identifier: GPL-2.0
/*
 * Shootdowns of units: which CPUs hear of them, and what those that do not
 * hear find when they come back.
 */

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/jiffies.h>

#include "scome_kunit.h"

#define FILE_SIZE SZ_16M

/* The test itself; not a CPU of any process. */
#define HERE 0

/* Where processes run. */
static unsigned int there;

/* A process that does not sleep. */

enum spin {
	SPIN_RUNNING,
	/* Off the mm and back on it at the end; the CPU keeps it meanwhile. */
	SPIN_LAZY,
};

#define SPIN_PLACES 2

struct spinner {
	struct kproc_call call;
	struct kproc *proc;
	enum spin how;
	/* What it reads again and again, and what came of it the last time. */
	unsigned long place[SPIN_PLACES];
	long result[SPIN_PLACES];
	unsigned long rounds;
	bool stop;
	bool waited;
};

static void spin_read(struct spinner *s)
{
	unsigned long word;
	int i;

	for (i = 0; i < SPIN_PLACES; i++) {
		void __user *place = (void __user *)s->place[i];
		long ret;

		if (!place)
			continue;
		ret = copy_from_user_nofault(&word, place, sizeof(word));
		WRITE_ONCE(s->result[i], ret);
	}
}

/* Without preemption: nothing but interrupts gets between. */
static long spin(struct kproc *proc, void *arg)
{
	unsigned long end = jiffies + 10 * HZ;
	struct spinner *s = arg;

	preempt_disable();
	spin_read(s);
	if (s->how == SPIN_LAZY)
		kthread_unuse_mm(proc->mm);
	while (!READ_ONCE(s->stop) && time_before(jiffies, end)) {
		if (s->how == SPIN_RUNNING)
			spin_read(s);
		/* Pairs with spin_round(): the results come before. */
		smp_store_release(&s->rounds, s->rounds + 1);
		cpu_relax();
	}
	if (s->how == SPIN_LAZY) {
		kthread_use_mm(proc->mm);
		spin_read(s);
	}
	preempt_enable();
	return READ_ONCE(s->stop) ? 0 : -ETIMEDOUT;
}

/* Lets it read at least once more, from beginning to end. */
static void spin_round(struct kunit *test, struct spinner *s)
{
	unsigned long rounds = READ_ONCE(s->rounds);
	unsigned long end = jiffies + 10 * HZ;

	/* Pairs with spin(): then the results can be read. */
	while (smp_load_acquire(&s->rounds) - rounds < 2) {
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, end));
		cpu_relax();
	}
}

static void spin_end(void *arg)
{
	struct spinner *s = arg;

	WRITE_ONCE(s->stop, true);
	if (!s->waited)
		kproc_wait(&s->call);
	s->waited = true;
}

static struct spinner *spin_at(struct kunit *test, struct kproc *proc,
			       enum spin how, unsigned long first,
			       unsigned long second)
{
	struct spinner *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	s->proc = proc;
	s->how = how;
	s->place[0] = first;
	s->place[1] = second;
	kproc_start(proc, &s->call, spin, s);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, spin_end, s));
	spin_round(test, s);
	return s;
}

static struct spinner *spin_on(struct kunit *test, struct kproc *proc,
			       enum spin how)
{
	return spin_at(test, proc, how, 0, 0);
}

/* Linked processes on the other CPU, which have used their links. */

static struct kproc *linked_to(struct kunit *test, struct file *file)
{
	struct kproc *proc = kproc_new(test, there);

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 1));
	return proc;
}

static struct scome_unit *unit_of(struct kunit *test, struct kproc *proc)
{
	return kproc_unit(test, proc, PLACE);
}

/* What reclaim would interrupt for a change in these managers. */
static unsigned long batch_cpus(struct kunit *test, struct scome_unit *first,
				struct scome_unit *second)
{
	struct arch_tlbflush_unmap_batch *batch;

	batch = kunit_kzalloc(test, sizeof(*batch), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, batch);
	__scome_tlbbatch_add(batch, first->mm);
	if (second)
		__scome_tlbbatch_add(batch, second->mm);
	preempt_disable();
	__scome_tlbbatch_cpus(batch);
	preempt_enable();
	return cpumask_bits(&batch->cpumask)[0];
}

struct shootdown {
	u64 id;
	unsigned int count;
	unsigned int cpus;
	unsigned int mms;
	unsigned long start;
	unsigned long end;
};

static void shootdown_probe(void *data, u64 unit, unsigned long start,
			    unsigned long end, unsigned int cpus,
			    unsigned int mms)
{
	struct shootdown *s = data;

	if (s->id != unit)
		return;
	s->count++;
	s->cpus = cpus;
	s->mms = mms;
	s->start = start;
	s->end = end;
}

static struct shootdown *watch_shootdown(struct kunit *test, u64 id)
{
	struct shootdown *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	s->id = id;
	kwatch(test, "scome_shootdown", shootdown_probe, s);
	return s;
}

static void unmap(struct file *file, unsigned long offset, unsigned long len)
{
	unmap_mapping_range(file->f_mapping, offset, len, 1);
}

/* Which CPUs a batch concerns */

/* Shows: SCM-6 */
static void nobody_runs(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct kproc *other = kproc_new(test, there);

	/* That CPU is busy with a process that has no links. */
	spin_on(test, other, SPIN_RUNNING);
	KUNIT_EXPECT_EQ(test, batch_cpus(test, unit_of(test, proc), NULL), 0);
}

/* Shows: SCM-6 */
static void linked_process_runs(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);

	spin_on(test, proc, SPIN_RUNNING);
	KUNIT_EXPECT_EQ(test, batch_cpus(test, unit_of(test, proc), NULL),
			BIT(there));
}

/* Shows: SCM-6 */
static void lazy_cpu_is_left_alone(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);

	spin_on(test, proc, SPIN_LAZY);
	KUNIT_EXPECT_EQ(test, batch_cpus(test, unit_of(test, proc), NULL), 0);
}

/* Shows: SCM-16 */
static void another_units_process_runs(struct kunit *test)
{
	struct kproc *proc = linked_to(test, kfile_new(test, FILE_SIZE));
	struct kproc *other = linked_to(test, kfile_new(test, FILE_SIZE));

	spin_on(test, other, SPIN_RUNNING);
	KUNIT_EXPECT_EQ(test, batch_cpus(test, unit_of(test, proc), NULL), 0);
}

/* Shows: SCM-16 */
static void second_link_counts_as_well(struct kunit *test)
{
	struct kproc *proc = linked_to(test, kfile_new(test, FILE_SIZE));
	struct file *second = kfile_new(test, FILE_SIZE);

	kproc_link_at(test, proc, second, PLACE + SZ_1G, SZ_4M, 0);
	spin_on(test, proc, SPIN_RUNNING);
	KUNIT_EXPECT_EQ(test,
			batch_cpus(test, kproc_unit(test, proc, PLACE + SZ_1G),
				   NULL),
			BIT(there));
}

/* Shows: SCM-6 */
static void batch_of_two_units(struct kunit *test)
{
	struct kproc *first = linked_to(test, kfile_new(test, FILE_SIZE));
	struct kproc *second = linked_to(test, kfile_new(test, FILE_SIZE));

	spin_on(test, second, SPIN_RUNNING);
	KUNIT_EXPECT_EQ(test,
			batch_cpus(test, unit_of(test, first),
				   unit_of(test, second)),
			BIT(there));
	KUNIT_EXPECT_EQ(test,
			batch_cpus(test, unit_of(test, second),
				   unit_of(test, first)),
			BIT(there));
}

static long twin_enter(struct kproc *twin, void *arg)
{
	struct kproc *proc = arg;

	mmget(proc->mm);
	kthread_use_mm(proc->mm);
	twin->mm = proc->mm;
	return 0;
}

/* Shows: SCM-6 */
static void first_link_is_published(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, there);
	struct kproc *twin = kproc_new(test, HERE);

	/* A second thread of the process, on this CPU. */
	kproc_run(twin, kproc_leave, NULL);
	kproc_run(twin, twin_enter, proc);

	/* The first one runs while the second makes the first link. */
	spin_on(test, proc, SPIN_RUNNING);
	kproc_link_at(test, twin, file, PLACE, SZ_4M, 0);
	KUNIT_EXPECT_EQ(test, batch_cpus(test, unit_of(test, proc), NULL),
			BIT(there));
}

/* Shows: SCM-6 */
static void batch_names_its_unit(struct kunit *test)
{
	struct kproc *first = linked_to(test, kfile_new(test, FILE_SIZE));
	struct kproc *second = linked_to(test, kfile_new(test, FILE_SIZE));
	struct scome_unit *unit = unit_of(test, first);
	struct arch_tlbflush_unmap_batch *batch;

	batch = kunit_kzalloc(test, sizeof(*batch), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, batch);
	/* A process is nobody's manager, linked or not. */
	__scome_tlbbatch_add(batch, first->mm);
	KUNIT_EXPECT_EQ(test, batch->scome_unit, 0);
	__scome_tlbbatch_add(batch, unit->mm);
	KUNIT_EXPECT_EQ(test, batch->scome_unit, unit->id);
	__scome_tlbbatch_add(batch, unit->mm);
	KUNIT_EXPECT_EQ(test, batch->scome_unit, unit->id);
	__scome_tlbbatch_add(batch, unit_of(test, second)->mm);
	KUNIT_EXPECT_EQ(test, batch->scome_unit, U64_MAX);
	__scome_tlbbatch_add(batch, unit->mm);
	KUNIT_EXPECT_EQ(test, batch->scome_unit, U64_MAX);
	preempt_disable();
	__scome_tlbbatch_cpus(batch);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, batch->scome_unit, 0);
}

/* Shows: SCM-6 */
static void batch_keeps_its_cpus(struct kunit *test)
{
	struct kproc *proc = linked_to(test, kfile_new(test, FILE_SIZE));
	struct arch_tlbflush_unmap_batch *batch;

	batch = kunit_kzalloc(test, sizeof(*batch), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, batch);
	cpumask_set_cpu(HERE, &batch->cpumask);
	/* Flushed a second time it is about nobody's unit any more. */
	spin_on(test, proc, SPIN_RUNNING);
	preempt_disable();
	__scome_tlbbatch_cpus(batch);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, cpumask_bits(&batch->cpumask)[0], BIT(HERE));
	__scome_tlbbatch_add(batch, unit_of(test, proc)->mm);
	preempt_disable();
	__scome_tlbbatch_cpus(batch);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, cpumask_bits(&batch->cpumask)[0],
			BIT(HERE) | BIT(there));
}

/* Which CPUs a shootdown interrupts */

/* Shows: SCM-6 */
static void shootdown_without_runners(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct kproc *other = kproc_new(test, there);
	struct shootdown *s = watch_shootdown(test, unit_of(test, proc)->id);

	spin_on(test, other, SPIN_RUNNING);
	unmap(file, 0, SZ_2M);
	KUNIT_EXPECT_EQ(test, s->count, 1);
	KUNIT_EXPECT_EQ(test, s->cpus, 0);
}

/* Shows: SCM-6 */
static void shootdown_of_a_runner(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct shootdown *s = watch_shootdown(test, unit_of(test, proc)->id);

	spin_on(test, proc, SPIN_RUNNING);
	unmap(file, 0, SZ_2M);
	KUNIT_EXPECT_EQ(test, s->count, 1);
	KUNIT_EXPECT_EQ(test, s->cpus, 1);
}

static long do_unmap(struct kproc *proc, void *file)
{
	unmap(file, 0, SZ_2M);
	return 0;
}

/* Shows: SCM-6 */
static void shootdown_of_itself(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct shootdown *s = watch_shootdown(test, unit_of(test, proc)->id);

	kproc_run(proc, do_unmap, file);
	KUNIT_EXPECT_EQ(test, s->cpus, 1);
}

#define MANY 24

/* Shows: SCM-6 */
static void cpus_do_not_grow_with_processes(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct shootdown *s = watch_shootdown(test, unit_of(test, proc)->id);
	unsigned int i;

	spin_end(spin_on(test, proc, SPIN_RUNNING));
	for (i = 1; i < MANY; i++)
		linked_to(test, file);
	spin_on(test, proc, SPIN_RUNNING);
	s->count = 0;
	unmap(file, 0, SZ_2M);
	KUNIT_EXPECT_EQ(test, s->mms, MANY);
	KUNIT_EXPECT_EQ(test, s->count, 1);
	KUNIT_EXPECT_EQ(test, s->cpus, 1);
}

/* Shows: SCM-6 */
static void process_is_no_manager(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct scome_unit *unit = unit_of(test, proc);
	struct shootdown *s = watch_shootdown(test, unit->id);
	u64 gen = atomic64_read(&unit->tlb_gen);

	__scome_shootdown(proc->mm, PLACE, PLACE + SZ_4K);
	KUNIT_EXPECT_EQ(test, s->count, 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&unit->tlb_gen), gen);
}

/* Shows: SCM-16 */
static void shootdown_raises_one_unit(struct kunit *test)
{
	struct kproc *first = linked_to(test, kfile_new(test, FILE_SIZE));
	struct kproc *second = linked_to(test, kfile_new(test, FILE_SIZE));
	struct scome_unit *unit = unit_of(test, first);
	struct scome_unit *other = unit_of(test, second);
	u64 gen = atomic64_read(&unit->tlb_gen);
	u64 other_gen = atomic64_read(&other->tlb_gen);

	__scome_shootdown(unit->mm, SCOME_BASE, SCOME_BASE + SZ_4K);
	KUNIT_EXPECT_GT(test, atomic64_read(&unit->tlb_gen), gen);
	KUNIT_EXPECT_EQ(test, atomic64_read(&other->tlb_gen), other_gen);
}

/* Generations: what a CPU finds that comes back to a linked process */

static u64 tlb_gen(struct kproc *proc)
{
	return atomic64_read(&proc->mm->context.tlb_gen);
}

static void sync_gen(struct kproc *proc)
{
	local_irq_disable();
	scome_tlb_sync(proc->mm);
	local_irq_enable();
}

static void raise_gen(struct scome_unit *unit)
{
	struct arch_tlbflush_unmap_batch batch = {};

	__scome_tlbbatch_add(&batch, unit->mm);
}

/* Shows: SCM-6 */
static void sync_raises_once(struct kunit *test)
{
	struct kproc *proc = linked_to(test, kfile_new(test, FILE_SIZE));
	struct scome_link *link = kproc_link(test, proc, PLACE);
	u64 gen;

	sync_gen(proc);
	gen = tlb_gen(proc);
	raise_gen(link->unit);
	KUNIT_EXPECT_EQ(test, tlb_gen(proc), gen);
	sync_gen(proc);
	KUNIT_EXPECT_EQ(test, tlb_gen(proc), gen + 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&link->seen),
			atomic64_read(&link->unit->tlb_gen));
	sync_gen(proc);
	KUNIT_EXPECT_EQ(test, tlb_gen(proc), gen + 1);
}

/* Shows: SCM-6 */
static void sync_makes_up_for_several(struct kunit *test)
{
	struct kproc *proc = linked_to(test, kfile_new(test, FILE_SIZE));
	u64 gen;
	int i;

	sync_gen(proc);
	gen = tlb_gen(proc);
	for (i = 0; i < 100; i++)
		raise_gen(unit_of(test, proc));
	sync_gen(proc);
	KUNIT_EXPECT_EQ(test, tlb_gen(proc), gen + 1);
}

/* Shows: SCM-6 */
static void sync_looks_at_every_link(struct kunit *test)
{
	struct kproc *proc = linked_to(test, kfile_new(test, FILE_SIZE));
	struct scome_link *first = kproc_link(test, proc, PLACE);
	struct scome_link *second;
	u64 gen;

	kproc_link_at(test, proc, kfile_new(test, FILE_SIZE), PLACE + SZ_1G,
		      SZ_4M, 0);
	second = kproc_link(test, proc, PLACE + SZ_1G);
	sync_gen(proc);
	gen = tlb_gen(proc);
	raise_gen(second->unit);
	sync_gen(proc);
	KUNIT_EXPECT_GT(test, tlb_gen(proc), gen);
	KUNIT_EXPECT_EQ(test, atomic64_read(&second->seen),
			atomic64_read(&second->unit->tlb_gen));
	gen = tlb_gen(proc);
	raise_gen(second->unit);
	raise_gen(first->unit);
	sync_gen(proc);
	KUNIT_EXPECT_GT(test, tlb_gen(proc), gen);
	KUNIT_EXPECT_EQ(test, atomic64_read(&first->seen),
			atomic64_read(&first->unit->tlb_gen));
	KUNIT_EXPECT_EQ(test, atomic64_read(&second->seen),
			atomic64_read(&second->unit->tlb_gen));
}

/* Shows: SCM-16 */
static void another_units_flush_is_nothing(struct kunit *test)
{
	struct kproc *proc = linked_to(test, kfile_new(test, FILE_SIZE));
	struct kproc *other = linked_to(test, kfile_new(test, FILE_SIZE));
	u64 gen, seen;

	sync_gen(proc);
	gen = tlb_gen(proc);
	seen = atomic64_read(&proc->mm->scome->seen);
	raise_gen(unit_of(test, other));
	sync_gen(proc);
	KUNIT_EXPECT_EQ(test, tlb_gen(proc), gen);
	/* And the next switch need not look at the links again. */
	KUNIT_EXPECT_EQ(test, atomic64_read(&proc->mm->scome->seen), seen + 1);
}

/* Shows: SCM-6 */
static void new_link_owes_nothing(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct kproc *later = kproc_new(test, there);
	struct scome_link *link;
	u64 gen;

	raise_gen(unit_of(test, proc));
	kproc_link_at(test, later, file, PLACE, SZ_4M, 0);
	link = kproc_link(test, later, PLACE);
	KUNIT_EXPECT_EQ(test, atomic64_read(&link->seen),
			atomic64_read(&link->unit->tlb_gen));
	gen = tlb_gen(later);
	sync_gen(later);
	KUNIT_EXPECT_EQ(test, tlb_gen(later), gen);
}

/* Shows: SCM-6 */
static void sync_without_links(struct kunit *test)
{
	struct kproc *proc = kproc_new(test, there);
	struct kproc *other = linked_to(test, kfile_new(test, FILE_SIZE));
	u64 gen = tlb_gen(proc);

	raise_gen(unit_of(test, other));
	sync_gen(proc);
	KUNIT_EXPECT_EQ(test, tlb_gen(proc), gen);
	KUNIT_EXPECT_NULL(test, proc->mm->scome);
}

#define RACES 20000

struct race {
	struct kproc *proc;
	bool stop;
};

/* On the other CPU, without the mm: only what is asked for here syncs. */
static long sync_all_the_time(struct kproc *runner, void *arg)
{
	struct race *race = arg;
	unsigned long end = jiffies + 15 * HZ;

	while (!READ_ONCE(race->stop) && time_before(jiffies, end)) {
		sync_gen(race->proc);
		cond_resched();
	}
	return READ_ONCE(race->stop) ? 0 : -ETIMEDOUT;
}

/* Shows: SCM-6 */
static void whoever_finds_it_seen_finds_it_raised(struct kunit *test)
{
	struct kproc *proc = linked_to(test, kfile_new(test, FILE_SIZE));
	struct kproc *runner = kproc_new(test, there);
	struct scome_link *link = kproc_link(test, proc, PLACE);
	unsigned long end = jiffies + 10 * HZ;
	struct race race = { .proc = proc };
	unsigned int i, late = 0;
	struct kproc_call call;
	u64 before, now;

	sync_gen(proc);
	kproc_start(runner, &call, sync_all_the_time, &race);
	for (i = 0; i < RACES && time_before(jiffies, end); i++) {
		before = tlb_gen(proc);
		raise_gen(link->unit);
		now = atomic64_read(&link->unit->tlb_gen);
		while (atomic64_read_acquire(&link->seen) != now &&
		       time_before(jiffies, end))
			;
		late += tlb_gen(proc) == before;
	}
	WRITE_ONCE(race.stop, true);
	KUNIT_EXPECT_EQ(test, kproc_wait(&call), 0);
	KUNIT_EXPECT_EQ(test, late, 0);
	/* Enough of them to say so. */
	KUNIT_EXPECT_GE(test, i, RACES / 20);
}

/* Translations: what a CPU can still read */

/* Shows: SCM-6 */
static void running_reader_loses_the_page(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct spinner *s = spin_at(test, proc, SPIN_RUNNING, PLACE, 0);

	KUNIT_ASSERT_EQ(test, READ_ONCE(s->result[0]), 0);
	unmap(file, 0, SZ_4K);
	spin_round(test, s);
	KUNIT_EXPECT_EQ(test, READ_ONCE(s->result[0]), -EFAULT);
}

/* Shows: SCM-10 */
static void reader_loses_both_places(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, there);
	unsigned long first = PLACE + SZ_2M + SZ_4K;
	unsigned long second = PLACE + SZ_1G + SZ_4K;
	struct spinner *s;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	kproc_link_at(test, proc, file, PLACE + SZ_1G, SZ_4M, SZ_2M);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, first, 1));
	KUNIT_ASSERT_EQ(test, 1, kproc_read(proc, second));
	s = spin_at(test, proc, SPIN_RUNNING, first, second);
	KUNIT_ASSERT_EQ(test, READ_ONCE(s->result[0]), 0);
	KUNIT_ASSERT_EQ(test, READ_ONCE(s->result[1]), 0);
	unmap(file, SZ_2M + SZ_4K, SZ_4K);
	spin_round(test, s);
	KUNIT_EXPECT_EQ(test, READ_ONCE(s->result[0]), -EFAULT);
	KUNIT_EXPECT_EQ(test, READ_ONCE(s->result[1]), -EFAULT);
}

/* Shows: SCM-6 */
static void reader_loses_a_large_range(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct shootdown *sd = watch_shootdown(test, unit_of(test, proc)->id);
	struct spinner *s;
	int i;

	for (i = 0; i < 100; i++)
		KUNIT_ASSERT_EQ(test, 0,
				kproc_write(proc, PLACE + i * SZ_4K, 1));
	s = spin_at(test, proc, SPIN_RUNNING, PLACE, PLACE + 99 * SZ_4K);
	KUNIT_ASSERT_EQ(test, READ_ONCE(s->result[0]), 0);
	KUNIT_ASSERT_EQ(test, READ_ONCE(s->result[1]), 0);
	unmap(file, 0, SZ_2M);
	spin_round(test, s);
	/* Too many for one by one. */
	KUNIT_EXPECT_EQ(test, sd->end, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, READ_ONCE(s->result[0]), -EFAULT);
	KUNIT_EXPECT_EQ(test, READ_ONCE(s->result[1]), -EFAULT);
}

/* Shows: SCM-6 */
static void lazy_reader_finds_out(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = linked_to(test, file);
	struct shootdown *sd = watch_shootdown(test, unit_of(test, proc)->id);
	struct spinner *s = spin_at(test, proc, SPIN_LAZY, PLACE, 0);

	KUNIT_ASSERT_EQ(test, READ_ONCE(s->result[0]), 0);
	unmap(file, 0, SZ_4K);
	/* Nobody was told, and yet it does not read what has gone. */
	KUNIT_EXPECT_EQ(test, sd->cpus, 0);
	spin_end(s);
	KUNIT_EXPECT_EQ(test, READ_ONCE(s->result[0]), -EFAULT);
}

static int scome_flush_init(struct kunit *test)
{
	there = cpumask_next(HERE, cpu_online_mask);
	if (there >= nr_cpu_ids || there >= BITS_PER_LONG)
		kunit_skip(test, "needs two CPUs");
	return set_cpus_allowed_ptr(current, cpumask_of(HERE));
}

static struct kunit_case scome_flush_cases[] = {
	KUNIT_CASE(nobody_runs),
	KUNIT_CASE(linked_process_runs),
	KUNIT_CASE(lazy_cpu_is_left_alone),
	KUNIT_CASE(another_units_process_runs),
	KUNIT_CASE(second_link_counts_as_well),
	KUNIT_CASE(batch_of_two_units),
	KUNIT_CASE(first_link_is_published),
	KUNIT_CASE(batch_names_its_unit),
	KUNIT_CASE(batch_keeps_its_cpus),
	KUNIT_CASE(shootdown_without_runners),
	KUNIT_CASE(shootdown_of_a_runner),
	KUNIT_CASE(shootdown_of_itself),
	KUNIT_CASE(cpus_do_not_grow_with_processes),
	KUNIT_CASE(process_is_no_manager),
	KUNIT_CASE(shootdown_raises_one_unit),
	KUNIT_CASE(sync_raises_once),
	KUNIT_CASE(sync_makes_up_for_several),
	KUNIT_CASE(sync_looks_at_every_link),
	KUNIT_CASE(another_units_flush_is_nothing),
	KUNIT_CASE(new_link_owes_nothing),
	KUNIT_CASE(sync_without_links),
	KUNIT_CASE(whoever_finds_it_seen_finds_it_raised),
	KUNIT_CASE(running_reader_loses_the_page),
	KUNIT_CASE(reader_loses_both_places),
	KUNIT_CASE(reader_loses_a_large_range),
	KUNIT_CASE(lazy_reader_finds_out),
	{}
};

static struct kunit_suite scome_flush_suite = {
	.name = "scome_flush",
	.init = scome_flush_init,
	.test_cases = scome_flush_cases,
};

kunit_test_suite(scome_flush_suite);

MODULE_DESCRIPTION("KUnit suite of the shootdown of scome's units");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
