// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to each unit of shared leaf tables: who links, what is flushed,
 * how many CPUs have to listen?
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "result.h"
#include "units.h"

/* The unit of a shootdown that concerned several. */
#define NO_UNIT (~0ULL)

#define TABLE_BYTES (1UL << 21)

char LICENSE[] SEC("license") = "GPL";

const volatile bool filter_on;
const volatile __u64 filter_unit;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 10240);
	__type(key, __u64);
	__type(value, struct unit_counts);
} units SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unit_totals);
} totals SEC(".maps");

static __always_inline bool passes(__u64 unit)
{
	return !filter_on || unit == filter_unit;
}

static __always_inline struct unit_totals *sums(void)
{
	__u32 index = 0;

	return bpf_map_lookup_elem(&totals, &index);
}

static __always_inline struct unit_counts *counts_of(__u64 unit,
						     struct unit_totals *t)
{
	static const struct unit_counts zero;
	struct unit_counts *n;

	n = bpf_map_lookup_elem(&units, &unit);
	if (n)
		return n;
	/* Another CPU may have been first: only the lookup decides. */
	bpf_map_update_elem(&units, &unit, &zero, BPF_NOEXIST);
	n = bpf_map_lookup_elem(&units, &unit);
	if (!n)
		t->lost++;
	return n;
}

/* Add to a field of the sums and of the unit. */
#define COUNT(t, n, field, value)              \
	do {                                   \
		(t)->all.field += (value);     \
		if (n)                         \
			(n)->field += (value); \
	} while (0)

static __always_inline void count_cause(__u64 *by_cause, int cause)
{
	__u64 slot = (__u32)cause;

	if (slot >= UNIT_CAUSES)
		slot = UNIT_CAUSES - 1;
	/* For the verifier, which must see the bound on the very register. */
	barrier_var(slot);
	slot &= UNIT_CAUSES - 1;
	by_cause[slot]++;
}

SEC("tp_btf/scome_unit_create")
int BPF_PROG(scome_unit_create, u64 unit)
{
	struct unit_totals *t = sums();
	struct unit_counts *n;

	if (!t || !passes(unit))
		return 0;
	n = counts_of(unit, t);
	COUNT(t, n, created, 1);
	return 0;
}

SEC("tp_btf/scome_unit_retire")
int BPF_PROG(scome_unit_retire, u64 unit, unsigned long tables, int cause)
{
	struct unit_totals *t = sums();
	struct unit_counts *n;

	if (!t || !passes(unit))
		return 0;
	n = counts_of(unit, t);
	COUNT(t, n, retired, 1);
	count_cause(t->retired_by_cause, cause);
	return 0;
}

SEC("tp_btf/scome_link")
int BPF_PROG(scome_link, u64 unit, unsigned long addr, unsigned long bytes)
{
	struct unit_totals *t = sums();
	struct unit_counts *n;

	if (!t || !passes(unit))
		return 0;
	n = counts_of(unit, t);
	COUNT(t, n, links, 1);
	COUNT(t, n, parents, bytes > TABLE_BYTES);
	return 0;
}

SEC("tp_btf/scome_unlink")
int BPF_PROG(scome_unlink, u64 unit)
{
	struct unit_totals *t = sums();
	struct unit_counts *n;

	if (!t || !passes(unit))
		return 0;
	n = counts_of(unit, t);
	COUNT(t, n, unlinks, 1);
	return 0;
}

SEC("tp_btf/scome_leave")
int BPF_PROG(scome_leave, u64 unit, unsigned long start, unsigned long end,
	     int cause)
{
	struct unit_totals *t = sums();
	struct unit_counts *n;

	if (!t || !passes(unit))
		return 0;
	n = counts_of(unit, t);
	COUNT(t, n, leaves, 1);
	count_cause(t->leaves_by_cause, cause);
	return 0;
}

SEC("tp_btf/scome_fault")
int BPF_PROG(scome_fault, u64 unit, unsigned long address, int kind,
	     unsigned int result, u64 latency_ns)
{
	struct unit_totals *t = sums();
	struct unit_counts *n;

	if (!t || !passes(unit))
		return 0;
	n = counts_of(unit, t);
	COUNT(t, n, fault_ns, latency_ns);
	if (result & VM_FAULT_RETRY)
		COUNT(t, n, retries, 1);
	else if (result & RESULT_ERROR)
		COUNT(t, n, errors, 1);
	else
		COUNT(t, n, faults, 1);
	return 0;
}

SEC("tp_btf/scome_shootdown")
int BPF_PROG(scome_shootdown, u64 unit, unsigned long start, unsigned long end,
	     unsigned int cpus, unsigned int mms)
{
	struct unit_totals *t = sums();
	struct unit_counts *n = NULL;

	if (!t || !passes(unit))
		return 0;
	if (unit == NO_UNIT)
		t->batches++;
	else
		n = counts_of(unit, t);
	COUNT(t, n, shootdowns, 1);
	COUNT(t, n, shootdown_cpus, cpus);
	COUNT(t, n, shootdown_mms, mms);
	return 0;
}
