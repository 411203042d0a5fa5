// SPDX-License-Identifier: GPL-2.0
/* A suite that fails: a run that loads it must fail. */
#include <kunit/test.h>
#include <linux/bitops.h>

static void holds(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, hweight32(0x400000), 1);
}

static void fails(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, hweight32(0x400001), 1);
}

static struct kunit_case planted_second_cases[] = { KUNIT_CASE(holds),
						    KUNIT_CASE(fails),
						    {} };

static struct kunit_suite planted_second_suite = {
	.name = "planted_second",
	.test_cases = planted_second_cases,
};

kunit_test_suite(planted_second_suite);

MODULE_DESCRIPTION("A suite that fails, for the test of the runner");
MODULE_LICENSE("GPL");
