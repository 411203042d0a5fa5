/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What faults.bpf.c counts and mmscope reads.  Everything here only grows while
 * the program is attached: whoever wants a rate takes two readings.
 */
#ifndef MMSCOPE_FAULTS_H
#define MMSCOPE_FAULTS_H

#define FAULT_COMM_LEN 16
#define FAULT_SLOTS 40

/* The numbers are those of enum mm_fault_kind in the kernel. */
enum fault_kind {
	FAULT_ANON,
	FAULT_FILE,
	FAULT_SHMEM,
	FAULT_HUGETLB,
	FAULT_LINKED,
	FAULT_OTHER, /* a number this program does not know */
	FAULT_KINDS,
};

/**
 * struct fault_key - whose faults, and of which kind
 * @start_ns: when the process started; a PID that is used again is another key
 * @pid: process, as the initial PID namespace sees it
 * @kind: what stands behind the address
 * @comm: name of the process when it faulted; exec() begins a new key
 */
struct fault_key {
	__u64 start_ns;
	__u32 pid;
	enum fault_kind kind;
	char comm[FAULT_COMM_LEN];
};

/**
 * struct fault_counts - attempts by how they ended, each counted once
 * @minor: handled without waiting for a device, as getrusage() counts it
 * @major: handled after waiting, as getrusage() counts it
 * @retry: given up to be tried again; another attempt follows
 * @error: not handled: a signal, or EFAULT from a system call
 * @latency_ns: time spent in all those attempts
 */
struct fault_counts {
	__u64 minor;
	__u64 major;
	__u64 retry;
	__u64 error;
	__u64 latency_ns;
};

/**
 * struct fault_histogram - the attempts of one kind by their latency
 * @counts: how they ended
 * @slots: slot n holds the attempts of [2^n, 2^(n+1)) ns; the first one also
 *	   those of 0 ns, the last one all that took longer
 */
struct fault_histogram {
	struct fault_counts counts;
	__u64 slots[FAULT_SLOTS];
};

/**
 * struct fault_totals - the sums over all processes that passed the filters
 * @anon: private memory without a file
 * @file: files, private copies of their pages included
 * @shmem: tmpfs, memfd, shared anonymous memory, System V shared memory
 * @hugetlb: hugetlbfs
 * @linked: ranges whose leaf tables are shared
 * @other: kinds that are newer than this program
 * @lost: attempts that are in the sums above but in no row of the processes,
 *	  because that map was full
 */
struct fault_totals {
	struct fault_histogram anon;
	struct fault_histogram file;
	struct fault_histogram shmem;
	struct fault_histogram hugetlb;
	struct fault_histogram linked;
	struct fault_histogram other;
	__u64 lost;
};

/* Where the totals keep a kind; here, so that both sides agree. */
static inline __attribute__((always_inline)) struct fault_histogram *
fault_histogram_of(struct fault_totals *t, enum fault_kind kind)
{
	switch (kind) {
	case FAULT_ANON:
		return &t->anon;
	case FAULT_FILE:
		return &t->file;
	case FAULT_SHMEM:
		return &t->shmem;
	case FAULT_HUGETLB:
		return &t->hugetlb;
	case FAULT_LINKED:
		return &t->linked;
	default:
		return &t->other;
	}
}

/**
 * struct scome_totals - what happened to shared leaf tables meanwhile
 * @links: PMD entries that were pointed at a shared leaf table
 * @unlinks: PMD entries that were cleared again
 * @leaves: ranges that went back to tables of their own
 * @shootdowns: invalidations passed on to linked processes
 * @shootdown_cpus: CPUs these interrupted, added up
 */
struct scome_totals {
	__u64 links;
	__u64 unlinks;
	__u64 leaves;
	__u64 shootdowns;
	__u64 shootdown_cpus;
};

#endif
