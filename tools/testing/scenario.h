/* SPDX-License-Identifier: GPL-2.0 */
/* Scenarios as tests of the kernel's own harness: a process and a time limit each. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "kselftest_harness.h"
#include "pair.h"

/* the debug kernel is slow, and so is a guest without help of the processor */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 120

#define SCENARIO_ON(scenario, ids, sides, skipped)                             \
	static void scenario##_scenario(struct side *s);                       \
	TEST(scenario)                                                         \
	{                                                                      \
		if (skipped)                                                   \
			return;                                                \
		EXPECT_TRUE(                                                   \
			pair_run(#scenario, ids, sides, scenario##_scenario)); \
	}                                                                      \
	static void scenario##_scenario(struct side *s)

/* on both mappings, compared */
#define SCENARIO(scenario, ids) SCENARIO_ON(scenario, ids, BOTH_SIDES, false)
/* the same, where a disk has nothing like it */
#define SCENARIO_IN_MEMORY(scenario, ids) \
	SCENARIO_ON(scenario, ids, BOTH_SIDES, files_on_disk())
/* what ordinary mappings have no counterpart of */
#define SCENARIO_LINKED(scenario, ids) \
	SCENARIO_ON(scenario, ids, LINKED_SIDE, false)

#endif
