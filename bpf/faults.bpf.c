// SPDX-License-Identifier: GPL-2.0
/*
 * Which process takes page faults, of which kind, and how long do they last?
 *
 * Counters only grow and live in per-CPU maps: a tracepoint program cannot be
 * interrupted by itself on its CPU, so nothing here needs an atomic operation.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "faults.h"
#include "result.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 filter_pid;
const volatile int filter_kind = -1;
const volatile bool filter_comm_on;
const volatile char filter_comm[FAULT_COMM_LEN];
const volatile bool histogram_on = true;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 10240);
	__type(key, struct fault_key);
	__type(value, struct fault_counts);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fault_totals);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scome_totals);
} scome SEC(".maps");

/* Two loads: the kernel pads the name with zeros when it sets it. */
static __always_inline void copy_comm(char *comm,
				      const struct task_struct *task)
{
	const __u64 *from = (const void *)task->comm;
	__u64 *to = (void *)comm;

	to[0] = from[0];
	to[1] = from[1];
}

static __always_inline bool comm_passes(const char *comm)
{
	int i;

	if (!filter_comm_on)
		return true;
#pragma unroll
	for (i = 0; i < FAULT_COMM_LEN; i++)
		if (comm[i] != filter_comm[i])
			return false;
	return true;
}

static __always_inline __u32 log2_slot(__u64 ns)
{
	__u32 slot = 0;

	if (ns >> 32) {
		slot += 32;
		ns >>= 32;
	}
	if (ns >> 16) {
		slot += 16;
		ns >>= 16;
	}
	if (ns >> 8) {
		slot += 8;
		ns >>= 8;
	}
	if (ns >> 4) {
		slot += 4;
		ns >>= 4;
	}
	if (ns >> 2) {
		slot += 2;
		ns >>= 2;
	}
	if (ns >> 1)
		slot += 1;
	return slot < FAULT_SLOTS ? slot : FAULT_SLOTS - 1;
}

/* The same order of questions as mm_account_fault(). */
static __always_inline void account(struct fault_counts *n, unsigned int flags,
				    unsigned int result, __u64 latency_ns)
{
	n->latency_ns += latency_ns;
	if (result & VM_FAULT_RETRY)
		n->retry++;
	else if (result & RESULT_ERROR)
		n->error++;
	else if ((result & VM_FAULT_MAJOR) || (flags & FAULT_FLAG_TRIED))
		n->major++;
	else
		n->minor++;
}

SEC("tp_btf/mm_fault_done")
int BPF_PROG(mm_fault_done, unsigned long address, unsigned int flags, int kind,
	     unsigned int result, u64 latency_ns)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	static const struct fault_counts zero;
	struct fault_key key = {};
	struct fault_histogram *h;
	struct fault_totals *t;
	struct fault_counts *n;
	__u32 slot, index = 0;

	key.pid = task->tgid;
	if (filter_pid && key.pid != filter_pid)
		return 0;
	if (filter_kind >= 0 && kind != filter_kind)
		return 0;
	copy_comm(key.comm, leader);
	if (!comm_passes(key.comm))
		return 0;
	key.kind = kind < 0 || kind > FAULT_OTHER ? FAULT_OTHER : kind;
	key.start_ns = leader->start_boottime;

	t = bpf_map_lookup_elem(&totals, &index);
	if (!t)
		return 0;
	h = fault_histogram_of(t, key.kind);
	account(&h->counts, flags, result, latency_ns);
	if (histogram_on) {
		slot = log2_slot(latency_ns);
		if (slot < FAULT_SLOTS)
			h->slots[slot]++;
	}

	n = bpf_map_lookup_elem(&processes, &key);
	if (!n) {
		/* Another CPU may have been first: only the lookup decides. */
		bpf_map_update_elem(&processes, &key, &zero, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&processes, &key);
		if (!n) {
			t->lost++;
			return 0;
		}
	}
	account(n, flags, result, latency_ns);
	return 0;
}

static __always_inline struct scome_totals *scome_sums(void)
{
	__u32 index = 0;

	return bpf_map_lookup_elem(&scome, &index);
}

SEC("tp_btf/scome_link")
int BPF_PROG(scome_link)
{
	struct scome_totals *s = scome_sums();

	if (s)
		s->links++;
	return 0;
}

SEC("tp_btf/scome_unlink")
int BPF_PROG(scome_unlink)
{
	struct scome_totals *s = scome_sums();

	if (s)
		s->unlinks++;
	return 0;
}

SEC("tp_btf/scome_leave")
int BPF_PROG(scome_leave)
{
	struct scome_totals *s = scome_sums();

	if (s)
		s->leaves++;
	return 0;
}

SEC("tp_btf/scome_shootdown")
int BPF_PROG(scome_shootdown, u64 unit, unsigned long start, unsigned long end,
	     unsigned int cpus)
{
	struct scome_totals *s = scome_sums();

	if (s) {
		s->shootdowns++;
		s->shootdown_cpus += cpus;
	}
	return 0;
}
