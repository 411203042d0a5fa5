/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What units.bpf.c counts and mmscope reads. Everything here only grows while
 * the programs are attached: whoever wants a rate takes two readings.
 */
#ifndef MMSCOPE_UNITS_H
#define MMSCOPE_UNITS_H

/*
 * The numbers of enum scome_cause, and of enum scome_retire_cause, that are told
 * apart; the last one takes the rest. A power of two.
 */
#define UNIT_CAUSES 16

/**
 * struct unit_counts - events of one unit, or of all
 * @created: units created
 * @retired: units given back
 * @links: entries through which tables became visible in a process
 * @parents: of these, the ones that show all tables of a GiB
 * @unlinks: entries taken out of a process
 * @leaves: mappings that became ordinary
 * @faults: faults dealt with in linked ranges, the two below not included
 * @retries: attempts that were given up to be tried again
 * @errors: attempts that ended in a signal or EFAULT
 * @fault_ns: time spent in all of these
 * @shootdowns: invalidations of stale translations
 * @shootdown_cpus: CPUs these concerned, added up, the sending one included
 * @shootdown_mms: links that a shootdown without targets would have visited
 */
struct unit_counts {
	__u64 created;
	__u64 retired;
	__u64 links;
	__u64 parents;
	__u64 unlinks;
	__u64 leaves;
	__u64 faults;
	__u64 retries;
	__u64 errors;
	__u64 fault_ns;
	__u64 shootdowns;
	__u64 shootdown_cpus;
	__u64 shootdown_mms;
};

/**
 * struct unit_totals - the sums over all units
 * @all: the sums
 * @leaves_by_cause: leaves by enum scome_cause
 * @retired_by_cause: units given back, by enum scome_retire_cause
 * @batches: shootdowns that concerned more than one unit; they are in @all and
 *	     in no unit
 * @lost: events that are in the sums above but in no unit, because that map
 *	  was full
 */
struct unit_totals {
	struct unit_counts all;
	__u64 leaves_by_cause[UNIT_CAUSES];
	__u64 retired_by_cause[UNIT_CAUSES];
	__u64 batches;
	__u64 lost;
};

#endif
