/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of the library in one process share, and all of them. */
#ifndef UNIT_H
#define UNIT_H

/* what cmocka.h needs */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "heap.h"

#define MIB (1UL << 20)
#define GIB (1UL << 30)
#define SMALL_LIMIT (32 * MIB)

/* the call gives NULL, 0 or -1, and this error */
#define fails_with(error, call)                     \
	do {                                        \
		errno = 0;                          \
		assert_false((intptr_t)(call) > 0); \
		assert_int_equal(errno, error);     \
	} while (0)

int memory_file(void);
/* made in that file, or opened */
struct scome_heap *open_limited(int fd, uint64_t limit);
/* in a file of its own, up to SMALL_LIMIT */
struct scome_heap *new_heap(void);
/* the check finds nothing */
void in_order(struct scome_heap *heap);
struct scome_heap_stats stats_of(struct scome_heap *heap);

/* unit-open.c */
void test_a_new_heap(void **state);
void test_opened_again_it_is_the_same(void **state);
void test_by_path(void **state);
void test_what_is_no_heap(void **state);
void test_options_that_cannot_be(void **state);
void test_an_address_of_choice(void **state);
void test_something_lies_there(void **state);
void test_a_header_with_a_wrong_bit(void **state);
void test_a_header_that_somebody_made_up(void **state);
void test_a_state_that_is_nonsense(void **state);
void test_a_log_that_is_nonsense(void **state);
void test_a_log_that_leads_astray(void **state);
void test_a_file_that_was_cut(void **state);
void test_damage_at_random(void **state);
void test_making_is_taken_up_again(void **state);
void test_a_lock_of_another_boot(void **state);
void test_a_sealed_file(void **state);
void test_no_addresses(void **state);
void test_no_permission(void **state);
void test_no_fallocate(void **state);

/* unit-object.c */
void test_sizes_of_objects(void **state);
void test_slabs_are_well_used(void **state);
void test_lists_of_runs_are_by_length(void **state);
void test_objects_of_every_size(void **state);
void test_zeros(void **state);
void test_alignments(void **state);
void test_sizes_that_are_too_large(void **state);
void test_up_to_the_limit(void **state);
void test_small_objects_give_their_pages_back(void **state);
void test_what_is_no_object(void **state);
void test_it_grows_in_place(void **state);
void test_trim(void **state);
void test_a_full_file_system(void **state);
void test_roots(void **state);
void test_walk_and_stats(void **state);
void test_the_check_sees_damage(void **state);

/* unit-tx.c */
void test_commit(void **state);
void test_abort(void **state);
void test_errors_of_transactions(void **state);
void test_a_transaction_that_is_too_large(void **state);
void test_a_transaction_that_frees_much(void **state);
void test_words_of_an_operation(void **state);
void test_threads_wait(void **state);
void test_a_wake_up_that_is_lost(void **state);
void test_threads_allocate(void **state);
void test_a_thread_that_ends(void **state);
void test_a_child(void **state);
void test_a_child_keeps_it_open(void **state);
void test_a_log_destroyed_under_a_dead_one(void **state);

#endif
