// SPDX-License-Identifier: GPL-2.0
/*
 * How long a unit that nobody links is kept, and what ends it.
 */

#include <linux/delay.h>

#include "scome_kunit.h"

#define FILE_SIZE SZ_16M
/* Far longer than any case takes. */
#define LONG_MS 600000

/* When, delay, time kept, faults a second, told, reachable: the cause. */
struct cause_param {
	const char *name;
	struct scome_retire_policy policy;
	unsigned int kept_ms;
	unsigned long faults;
	enum scome_retire_cause told;
	bool unreachable;
	enum scome_retire_cause cause;
};

static const struct cause_param cause_params[] = {
	{ "at once",
	  { SCOME_RETIRE_AT_ONCE, 0 },
	  0,
	  1000,
	  0,
	  false,
	  SCOME_RETIRED_UNUSED },
	{ "before the delay is over",
	  { SCOME_RETIRE_AT_ONCE, 1000 },
	  900,
	  0,
	  0,
	  false,
	  SCOME_NOT_RETIRED },
	{ "after the delay",
	  { SCOME_RETIRE_AT_ONCE, 1000 },
	  1000,
	  1000,
	  0,
	  false,
	  SCOME_RETIRED_DELAY },
	{ "idle", { SCOME_RETIRE_IDLE, 0 }, 0, 99, 0, false, SCOME_RETIRED_IDLE },
	{ "busy",
	  { SCOME_RETIRE_IDLE, 0 },
	  100000,
	  100,
	  0,
	  false,
	  SCOME_NOT_RETIRED },
	{ "idle before the delay is over",
	  { SCOME_RETIRE_IDLE, 1000 },
	  900,
	  0,
	  0,
	  false,
	  SCOME_NOT_RETIRED },
	{ "idle after the delay",
	  { SCOME_RETIRE_IDLE, 1000 },
	  1000,
	  0,
	  0,
	  false,
	  SCOME_RETIRED_IDLE },
	{ "pressure waits",
	  { SCOME_RETIRE_PRESSURE_ONLY, 0 },
	  LONG_MS,
	  0,
	  0,
	  false,
	  SCOME_NOT_RETIRED },
	{ "pressure comes before the delay",
	  { SCOME_RETIRE_PRESSURE_ONLY, LONG_MS },
	  0,
	  1000,
	  SCOME_RETIRED_PRESSURE,
	  false,
	  SCOME_RETIRED_PRESSURE },
	{ "asked comes before the delay",
	  { SCOME_RETIRE_AT_ONCE, LONG_MS },
	  0,
	  1000,
	  SCOME_RETIRED_ASKED,
	  false,
	  SCOME_RETIRED_ASKED },
	{ "unreachable comes before the delay",
	  { SCOME_RETIRE_PRESSURE_ONLY, LONG_MS },
	  0,
	  1000,
	  0,
	  true,
	  SCOME_RETIRED_UNREACHABLE },
};

KUNIT_ARRAY_PARAM_DESC(cause, cause_params, name);

/* Shows: SCM-8 */
static void cause_of_a_policy(struct kunit *test)
{
	const struct cause_param *p = test->param_value;

	KUNIT_EXPECT_EQ(
		test, p->cause,
		scome_retire_cause(&p->policy, msecs_to_jiffies(p->kept_ms),
				   p->faults, p->told, !p->unreachable));
}

static void set_policy(enum scome_retire_when when, unsigned int delay_ms)
{
	WRITE_ONCE(scome_retire_policy.when, when);
	WRITE_ONCE(scome_retire_policy.delay_ms, delay_ms);
}

static long kept_now(void)
{
	return atomic_long_read(&scome_nr_kept);
}

/* Waits for at most so many milliseconds until so many units are kept. */
static bool kept_becomes(long wanted, unsigned int ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);

	while (kept_now() != wanted) {
		if (time_after(jiffies, end))
			return false;
		msleep(20);
	}
	return true;
}

/* Links the file, fills two ranges, and lets go. */
static u64 use_file(struct kunit *test, struct kproc *proc, struct file *file)
{
	u64 id;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 0x5c03e));
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE + SZ_2M, 0x5c03f));
	id = kproc_unit(test, proc, PLACE)->id;
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	return id;
}

/* Shows: SCM-8 */
static void at_once_unless_asked(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	long kept = kept_now();

	use_file(test, proc, file);
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
	KUNIT_EXPECT_EQ(test, kept_now(), kept);
}

/* Shows: SCM-8 */
static void kept_unit_is_warm(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *first = kproc_new(test, 0);
	struct kproc *second = kproc_new(test, 0);
	long kept = kept_now(), tables, faults;
	struct scome_unit *unit;
	u64 id;

	set_policy(SCOME_RETIRE_AT_ONCE, LONG_MS);
	id = use_file(test, first, file);
	tables = atomic_long_read(&scome_nr_tables);
	kproc_exit(first);
	KUNIT_EXPECT_TRUE(test, file_has_unit(file));
	KUNIT_EXPECT_EQ(test, kept_now(), kept + 1);

	kproc_link_at(test, second, file, PLACE + SZ_1G, SZ_4M, 0);
	KUNIT_EXPECT_EQ(test, kept_now(), kept);
	unit = kproc_unit(test, second, PLACE + SZ_1G);
	KUNIT_EXPECT_EQ(test, unit->id, id);
	KUNIT_EXPECT_EQ(test, refcount_read(&unit->links), 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_tables), tables);
	faults = atomic_long_read(&unit->faults);
	KUNIT_EXPECT_EQ(test, kproc_read(second, PLACE + SZ_1G), 0x5c03e);
	KUNIT_EXPECT_EQ(test, kproc_read(second, PLACE + SZ_1G + SZ_2M),
			0x5c03f);
	/* Not one was passed on: the entries were there. */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&unit->faults), faults);
}

/* Shows: SCM-8 */
static void delay_ends(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	long kept = kept_now();

	set_policy(SCOME_RETIRE_AT_ONCE, 100);
	use_file(test, proc, file);
	KUNIT_EXPECT_EQ(test, kept_now(), kept + 1);
	KUNIT_EXPECT_TRUE(test, kept_becomes(kept, 10000));
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
}

/* Shows: SCM-8 */
static void a_new_policy_counts_for_kept_units(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	long kept = kept_now();

	set_policy(SCOME_RETIRE_PRESSURE_ONLY, 0);
	use_file(test, proc, file);
	KUNIT_EXPECT_FALSE(test, kept_becomes(kept, 2500));
	set_policy(SCOME_RETIRE_AT_ONCE, 0);
	scome_retire_look();
	KUNIT_EXPECT_TRUE(test, kept_becomes(kept, 10000));
}

/* Shows: SCM-8 */
static void own_policy_comes_first(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	long kept = kept_now();
	struct scome_unit *unit;

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 1));
	unit = kproc_unit(test, proc, PLACE);
	unit->policy.delay_ms = LONG_MS;
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	KUNIT_EXPECT_EQ(test, kept_now(), kept + 1);

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	set_policy(SCOME_RETIRE_PRESSURE_ONLY, LONG_MS);
	unit->policy.when = SCOME_RETIRE_AT_ONCE;
	unit->policy.delay_ms = 0;
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
}

/* Shows: SCM-8 */
static void all_go_when_asked(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct file *other = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);

	set_policy(SCOME_RETIRE_PRESSURE_ONLY, LONG_MS);
	use_file(test, proc, file);
	use_file(test, proc, other);
	scome_retire_kept();
	KUNIT_EXPECT_EQ(test, kept_now(), 0);
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
	KUNIT_EXPECT_FALSE(test, file_has_unit(other));
}

/* Shows: SCM-8 */
static void told_and_linked_again_stays(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);
	long kept = kept_now(), tables = atomic_long_read(&scome_kept_tables);
	struct scome_unit *unit;
	u64 id;

	set_policy(SCOME_RETIRE_PRESSURE_ONLY, LONG_MS);
	id = use_file(test, proc, file);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_kept_tables), tables + 2);
	/* As the shrinker does, but the worker is not called. */
	mutex_lock(&scome_units_lock);
	unit = scome_unit_find(file->f_mapping);
	if (unit) {
		scome_unit_tell(unit, SCOME_RETIRED_PRESSURE);
		scome_unit_tell(unit, SCOME_RETIRED_ASKED);
	}
	mutex_unlock(&scome_units_lock);
	KUNIT_ASSERT_NOT_NULL(test, unit);
	KUNIT_EXPECT_EQ(test, unit->told, SCOME_RETIRED_PRESSURE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_kept_tables), tables);

	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	scome_retire_kept();
	KUNIT_EXPECT_EQ(test, kept_now(), kept);
	KUNIT_ASSERT_EQ(test, kproc_unit(test, proc, PLACE)->id, id);
	KUNIT_EXPECT_EQ(test, kproc_read(proc, PLACE), 0x5c03e);
	/* What it was told does not count the next time. */
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_kept_tables), tables + 2);
	KUNIT_EXPECT_FALSE(test, kept_becomes(kept, 2500));
}

/* Shows: SCM-8 */
static void untouched_is_not_kept(struct kunit *test)
{
	struct file *file = kfile_new(test, FILE_SIZE);
	struct kproc *proc = kproc_new(test, 0);

	set_policy(SCOME_RETIRE_PRESSURE_ONLY, LONG_MS);
	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	KUNIT_EXPECT_FALSE(test, file_has_unit(file));
}

/* Shows: SCM-8 */
static void nameless_goes_with_its_mapping(struct kunit *test)
{
	struct kproc *proc = kproc_new(test, 0);
	long units = atomic_long_read(&scome_nr_units);
	struct file *file;

	set_policy(SCOME_RETIRE_PRESSURE_ONLY, LONG_MS);
	file = shmem_file_setup("scome_kunit", FILE_SIZE, VM_NORESERVE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	kproc_link_at(test, proc, file, PLACE, SZ_4M, 0);
	fput(file);
	flush_delayed_fput();
	KUNIT_ASSERT_EQ(test, 0, kproc_write(proc, PLACE, 1));
	KUNIT_ASSERT_EQ(test, 0, kproc_munmap(proc, PLACE, SZ_4M));
	/* Not after a second: its memory may be wanted. */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_nr_units), units);
}

/* Shows: SCM-8 */
static void nobody_keeps_what_nobody_can_open(struct kunit *test)
{
	struct kproc *proc = kproc_new(test, 0);
	long kept = kept_now();
	struct file *file;

	set_policy(SCOME_RETIRE_PRESSURE_ONLY, LONG_MS);
	file = shmem_file_setup("scome_kunit", FILE_SIZE, VM_NORESERVE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	use_file(test, proc, file);
	/* It is open: somebody may map it again. */
	KUNIT_EXPECT_FALSE(test, kept_becomes(kept, 2500));
	fput(file);
	flush_delayed_fput();
	KUNIT_EXPECT_TRUE(test, kept_becomes(kept, 10000));
}

/* Shows: SCM-8 */
static void counts_come_back(struct kunit *test)
{
	scome_retire_kept();
	KUNIT_EXPECT_EQ(test, kept_now(), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&scome_kept_tables), 0);
}

static int keep_nothing(struct kunit *test)
{
	set_policy(SCOME_RETIRE_AT_ONCE, 0);
	return 0;
}

static void keep_nothing_more(struct kunit *test)
{
	set_policy(SCOME_RETIRE_AT_ONCE, 0);
	retire_all(test);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(cause_of_a_policy, cause_gen_params),
	KUNIT_CASE(at_once_unless_asked),
	KUNIT_CASE(kept_unit_is_warm),
	KUNIT_CASE(delay_ends),
	KUNIT_CASE(a_new_policy_counts_for_kept_units),
	KUNIT_CASE(own_policy_comes_first),
	KUNIT_CASE(all_go_when_asked),
	KUNIT_CASE(told_and_linked_again_stays),
	KUNIT_CASE(untouched_is_not_kept),
	KUNIT_CASE(nameless_goes_with_its_mapping),
	KUNIT_CASE(nobody_keeps_what_nobody_can_open),
	KUNIT_CASE(counts_come_back),
	{}
};

static struct kunit_suite suite = {
	.name = "scome_retire",
	.init = keep_nothing,
	.exit = keep_nothing_more,
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_DESCRIPTION("KUnit suite of scome: when unused units are retired");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
