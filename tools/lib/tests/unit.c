// SPDX-License-Identifier: GPL-2.0
/* What the library promises to one process: every call, every error, every limit. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

/* leaks are not looked for: that needs ptrace, which not every host permits */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:detect_leaks=0";
}

int memory_file(void)
{
	int fd = memfd_create("heap", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	return fd;
}

struct scome_heap *open_limited(int fd, uint64_t limit)
{
	struct scome_heap_options options = { .size = sizeof(options),
					      .limit = limit };
	struct scome_heap *heap = scome_heap_open_fd(fd, O_CREAT, &options);

	assert_non_null(heap);
	return heap;
}

struct scome_heap *new_heap(void)
{
	int fd = memory_file();
	struct scome_heap *heap = open_limited(fd, SMALL_LIMIT);

	close(fd);
	return heap;
}

static void report(void *context, const char *sentence)
{
	(void)context;
	print_error("%s\n", sentence);
}

void in_order(struct scome_heap *heap)
{
	assert_int_equal(scome_heap_check(heap, report, NULL), 0);
}

struct scome_heap_stats stats_of(struct scome_heap *heap)
{
	struct scome_heap_stats stats;

	assert_int_equal(scome_heap_stats(heap, &stats, sizeof(stats)), 0);
	return stats;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_of_objects),
		cmocka_unit_test(test_slabs_are_well_used),
		cmocka_unit_test(test_lists_of_runs_are_by_length),
		cmocka_unit_test(test_a_new_heap),
		cmocka_unit_test(test_opened_again_it_is_the_same),
		cmocka_unit_test(test_by_path),
		cmocka_unit_test(test_what_is_no_heap),
		cmocka_unit_test(test_options_that_cannot_be),
		cmocka_unit_test(test_an_address_of_choice),
		cmocka_unit_test(test_something_lies_there),
		cmocka_unit_test(test_a_header_with_a_wrong_bit),
		cmocka_unit_test(test_a_header_that_somebody_made_up),
		cmocka_unit_test(test_a_state_that_is_nonsense),
		cmocka_unit_test(test_a_log_that_is_nonsense),
		cmocka_unit_test(test_a_log_that_leads_astray),
		cmocka_unit_test(test_a_file_that_was_cut),
		cmocka_unit_test(test_damage_at_random),
		cmocka_unit_test(test_making_is_taken_up_again),
		cmocka_unit_test(test_a_lock_of_another_boot),
		cmocka_unit_test(test_a_sealed_file),
		cmocka_unit_test(test_no_addresses),
		cmocka_unit_test(test_no_permission),
		cmocka_unit_test(test_no_fallocate),
		cmocka_unit_test(test_objects_of_every_size),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_sizes_that_are_too_large),
		cmocka_unit_test(test_up_to_the_limit),
		cmocka_unit_test(test_small_objects_give_their_pages_back),
		cmocka_unit_test(test_what_is_no_object),
		cmocka_unit_test(test_it_grows_in_place),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_a_full_file_system),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_walk_and_stats),
		cmocka_unit_test(test_the_check_sees_damage),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_errors_of_transactions),
		cmocka_unit_test(test_a_transaction_that_is_too_large),
		cmocka_unit_test(test_a_transaction_that_frees_much),
		cmocka_unit_test(test_words_of_an_operation),
		cmocka_unit_test(test_threads_wait),
		cmocka_unit_test(test_a_wake_up_that_is_lost),
		cmocka_unit_test(test_threads_allocate),
		cmocka_unit_test(test_a_thread_that_ends),
		cmocka_unit_test(test_a_child),
		cmocka_unit_test(test_a_child_keeps_it_open),
		cmocka_unit_test(test_a_log_destroyed_under_a_dead_one),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
