// SPDX-License-Identifier: GPL-2.0
/* The arithmetic and the formatting of mmscope, without a kernel. */
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counters.h"
#include "counts.h"
#include "format.h"
#include "json.h"
#include "table.h"
#include "unitlist.h"

/* A request for too much memory shall fail here as it does elsewhere. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static struct fault_row row(__u32 pid, enum fault_kind kind, const char *comm,
			    __u64 minor)
{
	struct fault_row r = { .key = { .pid = pid, .kind = kind } };

	strncpy(r.key.comm, comm, sizeof(r.key.comm) - 1);
	r.n.minor = minor;
	r.n.latency_ns = 10 * minor;
	return r;
}

static void push(struct fault_table *t, struct fault_row r)
{
	assert_true(table_push(t, &r));
}

static void test_diff_counts_from_the_earlier_reading(void **state)
{
	struct fault_table then = {}, now = {}, out = {};

	(void)state;
	push(&then, row(7, FAULT_SHMEM, "b", 100));
	push(&then, row(3, FAULT_ANON, "a", 5));
	push(&now, row(3, FAULT_ANON, "a", 5));
	push(&now, row(9, FAULT_ANON, "new", 11));
	push(&now, row(7, FAULT_SHMEM, "b", 1109));
	push(&now, row(7, FAULT_ANON, "b", 2));
	table_sort_keys(&then);
	table_sort_keys(&now);
	assert_true(table_diff(&out, &now, &then));
	assert_int_equal(out.count, 3);
	assert_int_equal(out.rows[0].key.pid, 7);
	assert_int_equal(out.rows[0].key.kind, FAULT_ANON);
	assert_int_equal(out.rows[0].n.minor, 2);
	assert_int_equal(out.rows[1].key.kind, FAULT_SHMEM);
	assert_int_equal(out.rows[1].n.minor, 1009);
	assert_int_equal(out.rows[1].n.latency_ns, 10090);
	assert_int_equal(out.rows[2].key.pid, 9);
	assert_int_equal(out.rows[2].n.minor, 11);
	table_free(&then);
	table_free(&now);
	table_free(&out);
}

static void test_diff_survives_a_removed_key(void **state)
{
	struct fault_table then = {}, now = {}, out = {};

	(void)state;
	push(&then, row(3, FAULT_ANON, "a", 50));
	push(&then, row(4, FAULT_ANON, "gone", 50));
	push(&now, row(3, FAULT_ANON, "a", 7));
	assert_true(table_diff(&out, &now, &then));
	assert_int_equal(out.count, 1);
	assert_int_equal(out.rows[0].n.minor, 7);
	table_free(&then);
	table_free(&now);
	table_free(&out);
}

static void test_diff_tells_reused_pids_apart(void **state)
{
	struct fault_table then = {}, now = {}, out = {};
	struct fault_row young = row(3, FAULT_ANON, "a", 60);

	(void)state;
	young.key.start_ns = 1000;
	push(&then, row(3, FAULT_ANON, "a", 50));
	push(&now, row(3, FAULT_ANON, "a", 50));
	push(&now, young);
	table_sort_keys(&now);
	assert_true(table_diff(&out, &now, &then));
	assert_int_equal(out.count, 1);
	assert_int_equal(out.rows[0].key.start_ns, 1000);
	assert_int_equal(out.rows[0].n.minor, 60);
	table_free(&then);
	table_free(&now);
	table_free(&out);
}

static void test_diff_of_empty_readings(void **state)
{
	struct fault_table then = {}, now = {}, out = {};

	(void)state;
	table_sort_keys(&now);
	table_sort_top(&now);
	table_merge(&now);
	assert_true(table_diff(&out, &now, &then));
	assert_int_equal(out.count, 0);
	push(&then, row(1, FAULT_FILE, "x", 1));
	assert_true(table_diff(&out, &now, &then));
	assert_int_equal(out.count, 0);
	table_free(&then);
}

static void test_top_puts_most_attempts_first(void **state)
{
	struct fault_table t = {};
	struct fault_row retries = row(5, FAULT_FILE, "r", 1);

	(void)state;
	retries.n.retry = 50;
	push(&t, row(1, FAULT_ANON, "a", 20));
	push(&t, retries);
	push(&t, row(2, FAULT_ANON, "b", 20));
	push(&t, row(3, FAULT_ANON, "c", 30));
	table_sort_top(&t);
	assert_int_equal(t.rows[0].key.pid, 5);
	assert_int_equal(t.rows[1].key.pid, 3);
	assert_int_equal(t.rows[2].key.pid, 1);
	assert_int_equal(t.rows[3].key.pid, 2);
	table_free(&t);
}

static void test_merge_adds_equal_keys(void **state)
{
	struct fault_table t = {};

	(void)state;
	push(&t, row(0, FAULT_ANON, "sh", 1));
	push(&t, row(0, FAULT_FILE, "sh", 10));
	push(&t, row(0, FAULT_ANON, "sh", 2));
	push(&t, row(0, FAULT_ANON, "ls", 4));
	push(&t, row(0, FAULT_ANON, "sh", 8));
	table_sort_keys(&t);
	table_merge(&t);
	assert_int_equal(t.count, 3);
	assert_string_equal(t.rows[0].key.comm, "ls");
	assert_int_equal(t.rows[0].n.minor, 4);
	assert_int_equal(t.rows[1].n.minor, 11);
	assert_int_equal(t.rows[2].key.kind, FAULT_FILE);
	assert_int_equal(t.rows[2].n.minor, 10);
	table_free(&t);
}

static void test_table_grows(void **state)
{
	struct fault_table t = {};
	int i;

	(void)state;
	for (i = 1000; i > 0; i--)
		push(&t, row(i, FAULT_ANON, "x", i));
	table_sort_keys(&t);
	for (i = 0; i < 1000; i++)
		assert_int_equal(t.rows[i].n.minor, i + 1);
	table_free(&t);
}

static void test_counters_reach_every_field(void **state)
{
	struct unit_counts a, b, zero = {};
	__u64 *x = (__u64 *)&a, *y = (__u64 *)&b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(a) / sizeof(*x); i++) {
		x[i] = 3 * (i + 1);
		y[i] = 5 * (i + 1);
	}
	counters_add(&a, &b, sizeof(a));
	for (i = 0; i < sizeof(a) / sizeof(*x); i++)
		assert_int_equal(x[i], 8 * (i + 1));
	counters_sub(&a, &b, sizeof(a));
	for (i = 0; i < sizeof(a) / sizeof(*x); i++)
		assert_int_equal(x[i], 3 * (i + 1));
	counters_sub(&a, &a, sizeof(a));
	assert_memory_equal(&a, &zero, sizeof(a));
}

static void test_table_keeps_what_it_has(void **state)
{
	size_t room = 0, before, i;
	int *items = NULL;
	void *grown;

	(void)state;
	for (i = 0; i < 1000; i++) {
		items = table_grow(items, i, &room, sizeof(*items));
		assert_non_null(items);
		assert_true(room > i);
		items[i] = i;
	}
	for (i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	/* Larger than any memory: the array stays. */
	before = room;
	grown = table_grow(items, room, &room, SIZE_MAX);
	assert_null(grown);
	assert_int_equal(room, before);
	assert_int_equal(items[999], 999);
	free(items);
}

static void test_totals_sum_is_over_all_kinds(void **state)
{
	struct fault_totals t = {};
	struct fault_histogram sum;
	int kind;

	(void)state;
	for (kind = 0; kind < FAULT_KINDS; kind++) {
		fault_histogram_of(&t, kind)->counts.major = 1ULL << kind;
		fault_histogram_of(&t, kind)->slots[9] = 100ULL << kind;
		fault_histogram_of(&t, kind)->slots[FAULT_SLOTS - 1] = 1;
	}
	totals_sum(&sum, &t);
	assert_int_equal(sum.counts.major, (1 << FAULT_KINDS) - 1);
	assert_int_equal(sum.slots[9], 100 * ((1 << FAULT_KINDS) - 1));
	assert_int_equal(sum.slots[FAULT_SLOTS - 1], FAULT_KINDS);
	assert_int_equal(sum.slots[0], 0);
}

static void test_kinds_have_names(void **state)
{
	int kind;

	(void)state;
	for (kind = 0; kind < FAULT_KINDS; kind++)
		assert_int_equal(kind_by_name(kind_names[kind]), kind);
	assert_int_equal(kind_by_name("anonymous"), -1);
	assert_int_equal(kind_by_name(""), -1);
}

static void test_attempts_counts_every_outcome(void **state)
{
	struct fault_counts n = { .minor = 1,
				  .major = 10,
				  .retry = 100,
				  .error = 1000,
				  .latency_ns = 5555 };

	(void)state;
	assert_int_equal(attempts(&n), 1111);
}

static void test_slots_are_written_as_ranges(void **state)
{
	static const struct {
		unsigned int power;
		const char *text;
	} cases[] = {
		{ 0, "[0, 2)" },       { 1, "[2, 4)" },
		{ 8, "[256, 512)" },   { 9, "[512, 1K)" },
		{ 10, "[1K, 2K)" },    { 19, "[512K, 1M)" },
		{ 29, "[512M, 1G)" },  { 38, "[256G, 512G)" },
		{ 39, "[512G, ...)" }, { 99, "[512G, ...)" },
	};
	char text[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		format_range(text, sizeof(text), cases[i].power,
			     FAULT_SLOTS - 1);
		assert_string_equal(text, cases[i].text);
		assert_true(strlen(text) <= 12);
	}
}

static void test_numbers_fit_their_column(void **state)
{
	static const struct {
		double value;
		int width;
		bool decimal;
		const char *text;
	} cases[] = {
		{ 0, 8, true, "0" },
		{ 0.4, 8, true, "0.4" },
		{ 0.04, 8, true, "0.0" },
		{ 9.94, 8, true, "9.9" },
		{ 9.96, 8, true, "10" },
		{ 1009, 8, true, "1009" },
		{ 1009, 8, false, "1009" },
		{ 7, 8, false, "7" },
		{ 99999999, 8, false, "99999999" },
		{ 100000000, 8, false, "100.0M" },
		{ 123456789, 8, false, "123.5M" },
		{ 123456, 5, false, "123k" },
		{ 12345678, 4, false, "12M" },
		{ 999999.9, 5, false, "1.0M" },
		{ 1.8e19, 8, false, "18.0E" },
	};
	char text[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		format_number(text, sizeof(text), cases[i].value,
			      cases[i].width, cases[i].decimal);
		assert_string_equal(text, cases[i].text);
	}
}

static void test_numbers_fit_for_every_magnitude(void **state)
{
	double value;
	char text[32];
	int width;

	(void)state;
	for (width = 4; width < 12; width++)
		for (value = 1; value < 1e20; value *= 1.37) {
			format_number(text, sizeof(text), value, width, true);
			assert_true((int)strlen(text) <= width);
		}
}

static void assert_json(const char *text, const char *expected)
{
	char *written = NULL;
	size_t size;
	FILE *out = open_memstream(&written, &size);

	assert_non_null(out);
	json_string(out, text);
	fclose(out);
	assert_string_equal(written, expected);
	free(written);
}

static void test_json_strings(void **state)
{
	(void)state;
	assert_json("", "\"\"");
	assert_json("sh", "\"sh\"");
	assert_json("a\"b\\c", "\"a\\\"b\\\\c\"");
	assert_json("a\n\x7f\x01", "\"a\\u000a\\u007f\\u0001\"");
	assert_json("gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"");
	/* Cut in the middle of a character, as a process name may be. */
	assert_json("gr\xc3", "\"gr\\ufffd\"");
	assert_json("\xe2\x82", "\"\\ufffd\\ufffd\"");
	/* Overlong, a surrogate, beyond the last character. */
	assert_json("\xc0\xaf", "\"\\ufffd\\ufffd\"");
	assert_json("\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"");
	assert_json("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
	assert_json("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	assert_json("\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"");
}

static void test_names_are_padded_to_columns(void **state)
{
	char text[80];

	(void)state;
	pad_text(text, sizeof(text), "sh", 5);
	assert_string_equal(text, "sh   ");
	pad_text(text, sizeof(text), "longer", 5);
	assert_string_equal(text, "longe");
	pad_text(text, sizeof(text), "a\033[2Jb", 8);
	assert_string_equal(text, "a?[2Jb  ");
	pad_text(text, sizeof(text), "x\xff\xc3", 5);
	assert_string_equal(text, "x??  ");
	pad_text(text, sizeof(text), "gr\xc3\xbc\xc3\x9f", 6);
	assert_string_equal(text, "gr\xc3\xbc\xc3\x9f  ");
	/* A wide character that would need one column more is left out. */
	pad_text(text, sizeof(text), "ab\xe6\xbc\xa2", 3);
	assert_string_equal(text, "ab ");
	pad_text(text, 4, "abcdef", 10);
	assert_string_equal(text, "abc");
}

static int read_list(const char *text, struct unit_table *t)
{
	FILE *list = fmemopen((void *)text, strlen(text), "r");
	int err;

	assert_non_null(list);
	err = unit_list_read(list, t);
	fclose(list);
	return err;
}

static void test_unit_list_is_read_by_its_columns(void **state)
{
	struct unit_table t = {};
	struct unit_row *row;

	(void)state;
	assert_int_equal(
		read_list(
			"unit tables views faults links inode file\n"
			"7 128 2 99 64 1031 /memfd:shared\\040buffers\\040(deleted)\n"
			"3 1 0 2 3 4 /dev/zero\n",
			&t),
		0);
	assert_int_equal(t.count, 2);
	unit_table_sort(&t);
	row = unit_table_find(&t, 7);
	assert_non_null(row);
	assert_true(row->listed);
	assert_int_equal(row->tables, 128);
	assert_int_equal(row->views, 2);
	assert_int_equal(row->faults, 99);
	assert_int_equal(row->links, 64);
	assert_int_equal(row->inode, 1031);
	assert_string_equal(row->file, "/memfd:shared buffers (deleted)");
	assert_ptr_equal(unit_table_find(&t, 3), &t.rows[0]);
	assert_null(unit_table_find(&t, 4));
	table_free(&t);
	/* Another order, and a column of the future. */
	assert_int_equal(
		read_list("file age links unit\n/a 5 2 18446744073709551615\n",
			  &t),
		0);
	assert_int_equal(t.count, 1);
	assert_true(t.rows[0].unit == ~0ULL);
	assert_int_equal(t.rows[0].links, 2);
	assert_string_equal(t.rows[0].file, "/a");
	table_free(&t);
}

static void test_unit_list_of_nothing(void **state)
{
	struct unit_table t = {};

	(void)state;
	assert_int_equal(read_list("unit tables\n", &t), 0);
	assert_int_equal(t.count, 0);
	assert_null(unit_table_find(&t, 1));
	unit_table_sort(&t);
	unit_table_top(&t);
}

static void test_unit_list_that_makes_no_sense(void **state)
{
	static const char *const texts[] = {
		"tables links\n1 2\n",
		"unit tables\n1\n",
		"unit tables\nx 1\n",
		"unit tables\n1 2k\n",
		"\n",
	};
	struct unit_table t = {};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(read_list(texts[i], &t), -EPROTO);
	table_free(&t);
}

static void test_unit_names_are_cut_to_fit(void **state)
{
	struct unit_table t = {};
	char text[1000];
	int used;

	(void)state;
	used = sprintf(text, "unit file\n1 ");
	memset(text + used, 'x', 600);
	strcpy(text + used + 600, "\n");
	assert_int_equal(read_list(text, &t), 0);
	assert_int_equal(strlen(t.rows[0].file), UNIT_FILE_LEN - 1);
	table_free(&t);
}

static void test_busiest_units_come_first(void **state)
{
	struct unit_row rows[] = {
		{ .unit = 1, .links = 5 },
		{ .unit = 2, .n.faults = 10 },
		{ .unit = 3, .links = 50 },
		{ .unit = 4, .n.shootdowns = 11, .n.shootdown_cpus = 1000 },
		{ .unit = 5, .links = 5 },
	};
	static const int order[] = { 4, 2, 3, 1, 5 };
	struct unit_table t = { .rows = rows, .count = 5, .room = 5 };
	size_t i;

	(void)state;
	unit_table_top(&t);
	for (i = 0; i < 5; i++)
		assert_int_equal(t.rows[i].unit, order[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diff_counts_from_the_earlier_reading),
		cmocka_unit_test(test_diff_survives_a_removed_key),
		cmocka_unit_test(test_diff_tells_reused_pids_apart),
		cmocka_unit_test(test_diff_of_empty_readings),
		cmocka_unit_test(test_top_puts_most_attempts_first),
		cmocka_unit_test(test_merge_adds_equal_keys),
		cmocka_unit_test(test_table_grows),
		cmocka_unit_test(test_counters_reach_every_field),
		cmocka_unit_test(test_table_keeps_what_it_has),
		cmocka_unit_test(test_totals_sum_is_over_all_kinds),
		cmocka_unit_test(test_kinds_have_names),
		cmocka_unit_test(test_attempts_counts_every_outcome),
		cmocka_unit_test(test_slots_are_written_as_ranges),
		cmocka_unit_test(test_numbers_fit_their_column),
		cmocka_unit_test(test_numbers_fit_for_every_magnitude),
		cmocka_unit_test(test_json_strings),
		cmocka_unit_test(test_names_are_padded_to_columns),
		cmocka_unit_test(test_unit_list_is_read_by_its_columns),
		cmocka_unit_test(test_unit_list_of_nothing),
		cmocka_unit_test(test_unit_list_that_makes_no_sense),
		cmocka_unit_test(test_unit_names_are_cut_to_fit),
		cmocka_unit_test(test_busiest_units_come_first),
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("mmscope_unit", tests, NULL, NULL);
}
