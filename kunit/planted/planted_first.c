// SPDX-License-Identifier: GPL-2.0
/* A suite that passes: the failing one is loaded after it. */
#include <kunit/test.h>
#include <linux/bitops.h>

static void holds(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, hweight32(0x400000), 1);
}

static const u32 masks[] = { 1, 2, 4 };

static void describe(const u32 *mask, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "mask %u", *mask);
}

KUNIT_ARRAY_PARAM(masks, masks, describe);

static void holds_for_each(struct kunit *test)
{
	const u32 *mask = test->param_value;

	KUNIT_EXPECT_EQ(test, hweight32(*mask), 1);
}

static void not_here(struct kunit *test)
{
	kunit_skip(test, "skipped on purpose");
}

static struct kunit_case planted_first_cases[] = {
	KUNIT_CASE(holds),
	KUNIT_CASE_PARAM(holds_for_each, masks_gen_params),
	KUNIT_CASE(not_here),
	{}
};

static struct kunit_suite planted_first_suite = {
	.name = "planted_first",
	.test_cases = planted_first_cases,
};

kunit_test_suite(planted_first_suite);

MODULE_DESCRIPTION("A suite that passes, for the test of the runner");
MODULE_LICENSE("GPL");
