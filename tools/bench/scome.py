# SPDX-License-Identifier: GPL-2.0
"""Linked mappings beside ordinary ones: what is measured in guests, and samples as metrics."""

import collections
import statistics

import results

GIB = 1 << 30
SIDES = {"stock": "an ordinary MAP_SHARED mapping", "pmd": "leaf tables linked one by one",
         "parent": "a GiB linked by one entry", "hugetlb": "MAP_SHARED of 2 MiB hugetlb pages"}

# name: (number of the issue, its smaller one for a trial, what it is)
NUMBERS = {
    "table_processes": (512, 16, "processes whose page tables are measured"),
    "shootdown_processes": (1024, 32, "processes linked to a page that is invalidated"),
    "mappers": (256, 8, "processes that map what is reclaimed or made read-only"),
    "gib": (1, 1, "size of the memory file in GiB"),
    "file_mib": (64, 8, "size of the file on a disk in MiB"),
    "rounds": (5, 1, "rounds of each side"),
    "connections": (500, 20, "connections of PostgreSQL"),
    "scale": (20, 2, "size of a database for PostgreSQL that its buffers hold, in 15 MiB"),
    "tight_scale": (100, 5, "size of the one that they do not hold"),
}

# What is measured in a guest of its own: a program of tools/bench, its arguments, its options
# to scripts/vm, the scale of the database that is its disk, and the files that decide as well.
Measurement = collections.namedtuple("Measurement", "program words options scale files")
POSTGRES_FILES = ("tools/postgres/server.py", "tools/postgres/make-database",
                  "build/tools/scome-run")

# Of which the ordinary page tables of 500 backends take a fifth.
TIGHT_MEMORY = "2560M"


def counted(words):
    """By bench-scome; with --instructions in a guest that counts."""
    options = ["--icount"] if "--instructions" in words else []
    return Measurement("scome-guest", [str(word) for word in words], options, None,
                       ("build/tools/bench-scome",))


def postgres_measurements(numbers):
    """One guest counts: its second is a thousand million instructions. One reads from a disk."""
    asked = {
        "postgres": (1, "2GB",
                     ["--connect", 1, "--warm", 250, "--seconds", 5, "--tables"],
                     ["--mem", "10G", "--icount"], numbers["scale"]),
        "postgres-tight": (min(numbers["rounds"], 2), "512MB",
                           ["--warm", 150, "--seconds", 30],
                           ["--mem", TIGHT_MEMORY], numbers["tight_scale"]),
    }
    return {name: Measurement(
        "postgres.py", [str(word) for word in ["--connections", numbers["connections"],
                                               "--rounds", rounds, "--buffers", buffers] + words],
        options, scale, POSTGRES_FILES)
            for name, (rounds, buffers, words, options, scale) in asked.items()}


def measurements(numbers):
    """{name: a Measurement}."""
    size = ["--size", numbers["gib"] * GIB >> 20]
    rounds, few = (["--rounds", number] for number in
                   (numbers["rounds"], min(numbers["rounds"], 3)))
    mappers = ["--processes", numbers["mappers"]]
    shootdown = ["shootdown", "--processes", numbers["shootdown_processes"], "--loops", 300]
    asked = {
        "tables": ["tables", "--hugetlb", "--processes", numbers["table_processes"]]
        + size + rounds,
        "faults": ["faults", "--hugetlb"] + size + rounds,
        # counts vary little
        "fork-count": ["fork", "--instructions", "--loops", 3] + size + few,
        "shootdown-count": shootdown + ["--instructions"] + few,
        "reclaim-count": ["reclaim", "--instructions", "--size", numbers["file_mib"]]
        + mappers + few,
        "mprotect-count": ["mprotect", "--instructions", "--rounds", 1] + mappers + size,
        "shootdown": shootdown + rounds,
        "shootdown-busy": shootdown + ["--spin"] + rounds,
        "fork": ["fork", "--loops", 10] + size + rounds,
        "mprotect": ["mprotect"] + mappers + size + rounds,
    }
    return {**{name: counted(words) for name, words in asked.items()},
            **postgres_measurements(numbers)}


class Samples:
    """{name: the lines that its program has printed}."""

    def __init__(self, lines):
        self.lines = lines

    def of(self, name, **wanted):
        found = [line for line in self.lines[name]
                 if all(line.get(key) == value for key, value in wanted.items())]
        if not found:
            raise ValueError(f"no samples of {name} {wanted}")
        return found

    def values(self, name, field, **wanted):
        return [line[field] for line in self.of(name, **wanted)]

    def reason_without_hugetlb(self, name):
        return next((line["reason"] for line in self.lines[name] if "reason" in line), None)


def metric(name, unit, values, baselines, against, how, better="lower", **more):
    """A metric; against says what the baseline is."""
    entry = results.pair(name, unit, values, baselines, better, how)
    entry["against"] = against
    entry.update(more)
    return entry


def judge(entry, text, *conditions):
    """Store the goal and whether it is met; a side that is missing misses it."""
    entry["goal"] = text
    entry["met"] = entry["ratio"] is not None and all(conditions)
    return entry


def times_less(entry, factor):
    """What is not above 0 was not measured, but is noise."""
    return judge(entry, f"at least {factor} times less", entry["value"] > 0,
                 entry["ratio"] is not None and entry["ratio"] * factor <= 1)


def at_most(entry, factor):
    return judge(entry, f"at most {factor} times as much",
                 entry["ratio"] is not None and entry["ratio"] <= factor)


def at_least(entry, factor):
    return judge(entry, f"at least {factor} times as much",
                 entry["ratio"] is not None and entry["ratio"] >= factor)


def hugetlb(entry, samples, name, field):
    """What hugetlb's own sharing of tables has for the same, or why it has nothing."""
    reason = samples.reason_without_hugetlb(name)
    entry["beside"] = {"hugetlb": reason or statistics.median(
        samples.values(name, field, side="hugetlb"))}
    return entry


def table_metrics(samples, numbers):
    name = f"pagetable_bytes_{numbers['table_processes']}x{numbers['gib']}g"
    how = (f"PageTables of /proc/meminfo that {numbers['table_processes']} processes add, each "
           "of which touches one page in each 2 MiB")

    def of(side, field="bytes"):
        return samples.values("tables", field, side=side)
    found = [times_less(metric(name, "bytes", of("pmd"), of("stock"), SIDES["stock"],
                               f"{how}; {SIDES['pmd']}"), 150),
             at_most(metric(f"{name}_floor", "bytes", of("pmd"), of("pmd", "floor"),
                            "the tables above the leaf level that each process needs, and one "
                            "leaf table for each 2 MiB of the file", f"{how}; {SIDES['pmd']}"),
                     1.02),
             times_less(metric("pagetable_bytes_parent", "bytes", of("parent"), of("stock"),
                               SIDES["stock"], f"{how}; {SIDES['parent']}"), 250)]
    for entry in (found[0], found[2]):
        hugetlb(entry, samples, "tables", "bytes")
    return found


def fault_metrics(samples, numbers):
    how = f"a second process reads each page of {numbers['gib']} GiB"
    found = []
    for name, side, goal in (("warm_faults", "pmd", 512), ("warm_faults_parent", "parent", 1)):
        entry = metric(name, "faults", samples.values("faults", "faults", side=side),
                       samples.values("faults", "faults", side="stock"), SIDES["stock"],
                       f"{how}; {SIDES[side]}")
        judge(entry, f"at most {goal}", entry["value"] <= goal * numbers["gib"])
        found.append(hugetlb(entry, samples, "faults", "faults"))
    return found


def fork_metric(name, unit, samples, source, side):
    """Of the least first and the least second pass: ticks only add to either.

    Those of a round for times, which drift; of all rounds for counts, which do not.
    """
    def first_touch(which):
        found = samples.of(source, side=which)
        rounds = [[line for line in found if line["round"] == number]
                  for number in sorted({line["round"] for line in found})]
        if unit == "instructions":
            rounds = [found]
        return [min(line["first"] for line in lines) - min(line["second"] for line in lines)
                for lines in rounds]
    return metric(
        name, unit, first_touch(side), first_touch("stock"), SIDES["stock"],
        f"a child reads what its parent has mapped and read: the least first pass "
        f"minus the least second; {SIDES[side]}")


def shootdown_metric(name, unit, samples, source, numbers):
    many = numbers["shootdown_processes"]
    running = "one of them writes to it on another processor" \
        if samples.values(source, "spin")[0] else "all of them wait"
    return at_most(metric(
        name, unit, samples.values(source, "median", processes=many),
        samples.values(source, "median", processes=1),
        "the same with 1 linked process",
        f"a page is taken out of a file that {many} processes are linked to; {running}"), 1.3)


def interrupt_metric(samples, numbers):
    def each(source):
        return [line["interrupts"] / line["loops"] for line in samples.of(
            source, processes=numbers["shootdown_processes"])]
    entry = metric("shootdown_ipis", "interrupts", each("shootdown-busy"), [1],
                   "the processors that run a linked process, without the one that asks",
                   "TLB of /proc/interrupts for one invalidation, one linked process runs")
    entry["none_runs"] = statistics.median(each("shootdown"))
    # none at all would be a page that stays in the TLB of the one that runs
    judge(at_most(entry, 1), "one, and none more", entry["value"] > 0.9, entry["met"])
    return entry


def reclaim_metric(samples, numbers):
    many = numbers["mappers"]

    def page(side, processes):
        return [line["cost"] / line["pages"] for line in samples.of(
            "reclaim-count", side=side, processes=processes)]

    def added(side):
        return [two - one for one, two in zip(page(side, 1), page(side, many))]
    entry = metric(f"reclaim_insns_{many}", "instructions", added("pmd"), added("stock"),
                   SIDES["stock"], f"what {many - 1} further processes that map it add to the "
                   f"reclaim of a page of a clean file of {numbers['file_mib']} MiB on ext4")
    for field, side in (("one_process", "pmd"), ("baseline_one_process", "stock")):
        entry[field] = round(statistics.median(page(side, 1)), 1)
    return times_less(entry, 50)


def mprotect_metric(name, unit, samples, source, side, numbers):
    return metric(
        name, unit, samples.values(source, "sum", side=side),
        samples.values(source, "sum", side="stock"), SIDES["stock"],
        f"{numbers['mappers']} processes, one after another, make their mapping of "
        f"{numbers['gib']} GiB read-only, in sum; {SIDES[side]}")


def postgres_metrics(samples, numbers):
    many = numbers["connections"]
    reads = (f"pgbench -S, {many} connections, {numbers['scale'] * 15} MiB of data, a second is "
             "10^9 instructions of one processor")
    tight = (f"pgbench -S, {many} connections, {numbers['tight_scale'] * 15} MiB of data, "
             f"shared buffers of 512 MiB, {TIGHT_MEMORY} of memory")

    def of(source, field, side):
        return samples.values(source, field, side=side)

    def pair(name, unit, source, field, how, **more):
        entry = metric(name, unit, of(source, field, "linked"), of(source, field, "ordinary"),
                       "ordinary shared buffers", how, **more)
        for title, side in (("", "linked"), ("baseline_", "ordinary")):
            for beside in samples.of(source)[0]:
                if beside not in ("side", "round"):
                    entry.setdefault("samples", {})[title + beside] = statistics.median(
                        of(source, beside, side))
        return entry

    crowded = at_least(pair("pg_tps_tight", "1/s", "postgres-tight", "tps", tight,
                            better="higher"), 1.15)
    reads_more = crowded["samples"]["baseline_read_bytes"] > crowded["samples"]["read_bytes"]
    judge(crowded, "at least 1.15 times as much, and what crowds is seen: fewer bytes read",
          reads_more, crowded["met"])
    return [
        at_least(pair("pg_tps_connect", "1/s", "postgres", "connect_tps",
                      f"{reads}, each made for one transaction; shared buffers of 2 GiB",
                      better="higher"), 1.15),
        crowded,
        at_least(pair("pg_tps_steady", "1/s", "postgres", "tps",
                      f"{reads} that have all mapped what they read; shared buffers of 2 GiB, "
                      "10 GiB of memory", better="higher"), 0.98),
        times_less(pair("pg_shared_pagetable_bytes", "bytes", "postgres",
                        "shared_pagetable_bytes", "PageTables of the shared buffers in smaps, "
                        "all backends, and the unit's own tables, at the end of the steady run"),
                   50)]


def metrics(samples, numbers):
    """All metrics, from what has been printed in all guests."""
    many, mappers = numbers["shootdown_processes"], numbers["mappers"]
    found = table_metrics(samples, numbers) + fault_metrics(samples, numbers)
    for unit, tail, source in (("ns", "_ns", "fork"), ("instructions", "_insns", "fork-count")):
        found += [fork_metric(f"fork_touch{kind}{tail}", unit, samples, source, side)
                  for kind, side in (("", "parent"), ("_pmd", "pmd"))]
        times_less(found[-2], 50)
        # a time of so few faults is about what the clock of a guest can tell
        if unit != "ns":
            times_less(found[-1], 50)
    found += [
        shootdown_metric(f"shootdown_{many}", "instructions", samples, "shootdown-count",
                         numbers),
        shootdown_metric(f"shootdown_{many}_ns", "ns", samples, "shootdown", numbers),
        shootdown_metric(f"shootdown_{many}_busy_ns", "ns", samples, "shootdown-busy", numbers),
        interrupt_metric(samples, numbers),
        reclaim_metric(samples, numbers)]
    for unit, tail, source in (("instructions", "", "mprotect-count"), ("ns", "_ns", "mprotect")):
        found += [mprotect_metric(f"mprotect_{mappers}{kind}{tail}", unit, samples, source,
                                  side, numbers)
                  for kind, side in (("", "parent"), ("_pmd", "pmd"))]
        times_less(found[-2], 100)
        if unit != "ns":
            times_less(found[-1], 100)
    return found + postgres_metrics(samples, numbers)
