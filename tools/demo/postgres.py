#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""PostgreSQL with ordinary and with linked shared buffers, in one guest.

Runs in the guest as root. Debian's server, unmodified, is started twice on
copies of one database, once as it is and once under scome-run; 100 connections
read from each in turn. Writes the samples as JSON.
"""

import argparse
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

CONNECTIONS = 100
PAIRS = 5
TPS_TRANSACTIONS = 40
WATCH_SECONDS = 5
MIN_BYTES = "16M"
SCOME = pathlib.Path("/sys/kernel/mm/scome")
PINNED = pathlib.Path("/sys/fs/bpf/mmscope")


def say(text):
    print(f"postgres: {text}", file=sys.stderr, flush=True)


def binaries():
    """The directory of the newest server that is installed."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if not found:
        sys.exit("postgres: no server below /usr/lib/postgresql; install the package postgresql")
    newest = max(found, key=lambda path: int(path.split("/")[4]))
    return os.path.dirname(newest)


def as_postgres(command, **extra):
    return subprocess.run(["runuser", "-u", "postgres", "--"] + command, check=True, **extra)


def scome_tables():
    try:
        return int((SCOME / "tables").read_text())
    except FileNotFoundError:
        return 0


def page_tables():
    """All page tables of the guest, in bytes."""
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(re.search(r"^PageTables:\s+(\d+) kB", text, re.M).group(1)) * 1024


def shared_buffers(pid):
    """The smaps fields of the largest shared mapping of a process, in kB."""
    best = {}
    fields = {}
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as stream:
        for line in stream:
            words = line.split()
            if not words[0].endswith(":"):
                fields = {}
                shared = words[1][3] == "s"
            elif words[0] == "VmFlags:":
                fields["VmFlags"] = words[1:]
                if shared and fields.get("Size", 0) > best.get("Size", 0):
                    best = fields
            elif len(words) == 3 and words[2] == "kB":
                fields[words[0][:-1]] = int(words[1])
    return best


class Server:
    """One server on its own copy of the database."""

    def __init__(self, bindir, tools, archive, linked):
        self.bindir = bindir
        self.linked = linked
        self.name = "linked" if linked else "ordinary"
        self.port = 5433 if linked else 5432
        self.prefix = [f"{tools}/scome-run", "--min-bytes", MIN_BYTES, "--"] if linked else []
        self.base = pathlib.Path("/run/postgres") / self.name
        self.base.mkdir(parents=True)
        # keeps the owner and mode of every file
        subprocess.run(["tar", "-C", self.base, "-xf", archive], check=True)
        self.data = self.base / "pgdata"
        self.tables_before = 0

    def start(self):
        self.tables_before = scome_tables()
        settings = " ".join((
            f"-p {self.port} -k /run/postgres",
            "-c listen_addresses= -c shared_buffers=512MB",
            f"-c max_connections={CONNECTIONS + 10} -c fsync=off -c autovacuum=off",
            "-c logging_collector=off",
        ))
        as_postgres(self.prefix + [f"{self.bindir}/pg_ctl", "-D", str(self.data), "-w", "-s",
                                   "-l", str(self.data / "log"), "-o", settings, "start"])
        self.query("select pg_prewarm('pgbench_accounts'), pg_prewarm('pgbench_accounts_pkey')")

    def stop(self):
        as_postgres([f"{self.bindir}/pg_ctl", "-D", str(self.data), "-w", "-s", "-m", "fast",
                     "stop"])

    def query(self, text):
        result = as_postgres([f"{self.bindir}/psql", "-h", "/run/postgres", "-p", str(self.port),
                              "-qAt", "-c", text, "postgres"], stdout=subprocess.PIPE, text=True)
        return result.stdout.strip()

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def pgbench(self, *length):
        # select-only, vacuum left out, planned once per connection
        return subprocess.Popen(
            [f"{self.bindir}/pgbench", "-h", "/run/postgres", "-p", str(self.port), "-U",
             "postgres", "-S", "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", *length,
             "postgres"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def tps(self):
        # a number of transactions: time would begin before the last connection is there
        bench = self.pgbench("-t", str(TPS_TRANSACTIONS))
        output, errors = bench.communicate(timeout=300)
        found = re.search(r"^tps = ([0-9.]+)", output, re.M)
        if bench.returncode or not found:
            sys.exit(f"postgres: pgbench on the {self.name} server: {errors or output}")
        return float(found.group(1))

    def backends(self):
        """Client backends: the children of the postmaster that serve pgbench."""
        pids = self.query("select string_agg(pid::text, ' ') from pg_stat_activity "
                          "where application_name = 'pgbench'")
        return [int(pid) for pid in pids.split()]

    def tables(self, during=None):
        """Page tables while every connection is up and has read for a while."""
        bench = self.pgbench("-T", "3600")
        try:
            deadline = time.monotonic() + 120
            while len(self.backends()) < CONNECTIONS:
                if bench.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"postgres: no {CONNECTIONS} connections on the {self.name} server")
                time.sleep(0.2)
            end = time.monotonic() + WATCH_SECONDS
            if during:
                during()
            time.sleep(max(0, end - time.monotonic()))
            # the clients stand still, the backends wait with all they have touched
            bench.send_signal(signal.SIGSTOP)
            pids = self.backends()
            total = page_tables()
            maps = [shared_buffers(pid) for pid in pids]
        finally:
            bench.kill()
            bench.communicate()
        sample = {
            "backends": len(pids),
            "pagetable_bytes": total,
            "buffers_kb": max(fields["Size"] for fields in maps),
            "rss_kb": sorted(fields["Rss"] for fields in maps)[len(maps) // 2],
            "unit_tables": scome_tables() - self.tables_before,
            "linked_backends": sum("sp" in fields["VmFlags"] for fields in maps),
            "linked_kb": sum(fields.get("SharedPT", 0) for fields in maps),
            "shared_pagetable_bytes": None,
        }
        if all("PageTables" in fields for fields in maps):
            own = sum(fields["PageTables"] for fields in maps) * 1024
            sample["shared_pagetable_bytes"] = own + sample["unit_tables"] * 4096
        return sample


def watch(tools):
    """A few lines of mmscope, and what bpftool finds in its pinned maps."""
    mmscope = pathlib.Path(tools) / "mmscope"
    if not mmscope.exists():
        say("mmscope is not built; nothing to watch with")
        return
    print("--- mmscope faults, while 100 connections read ---", flush=True)
    scope = subprocess.Popen([mmscope, "faults", "-n", "8", "1", "4"], stdout=subprocess.PIPE, text=True)
    names = []
    # the maps are there while mmscope runs
    while not names and scope.poll() is None:
        time.sleep(0.5)
        names = sorted(str(path.relative_to(PINNED)) for path in PINNED.rglob("*")
                       if not path.is_dir())
    # let it count something first
    time.sleep(1.5)
    dumps = []
    for name in names:
        dump = subprocess.run(["bpftool", "map", "dump", "pinned", PINNED / name],
                              capture_output=True, text=True, check=False)
        if dump.returncode == 0:
            dumps.append((name, dump.stdout.splitlines()))
    try:
        output = scope.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        scope.kill()
        sys.exit("postgres: mmscope did not end")
    if scope.returncode:
        sys.exit(f"postgres: mmscope faults failed with status {scope.returncode}")
    print("\n".join(output.splitlines()[:60]))
    if not dumps:
        sys.exit(f"postgres: no map of mmscope is pinned below {PINNED}")
    for name, lines in dumps:
        print(f"--- bpftool map dump pinned {PINNED}/{name} ---")
        print("\n".join(lines[:12]))
        if len(lines) > 12:
            print(f"    ({len(lines) - 12} more lines)")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tools", help="directory of scome-run and mmscope")
    parser.add_argument("archive", help="tar file with an initialised pgdata")
    parser.add_argument("output", help="the JSON file to write")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="runs of each kind (%(default)s)")
    options = parser.parse_args()

    feature = SCOME.is_dir()
    bindir = binaries()
    run = pathlib.Path("/run/postgres")
    run.mkdir()
    shutil.chown(run, "postgres", "postgres")
    sides = [Server(bindir, options.tools, options.archive, False)]
    if feature:
        sides.append(Server(bindir, options.tools, options.archive, True))

    result = {"server": os.path.basename(os.path.dirname(bindir)), "feature": feature,
              "tables": {}, "tps": {side.name: [] for side in sides}}
    # page tables first, one server at a time: the figure is that of the whole guest
    for side in sides:
        say(f"page tables of {CONNECTIONS} connections, {side.name} buffers")
        side.start()
        last = side is sides[-1]
        result["tables"][side.name] = side.tables(
            (lambda: watch(options.tools)) if last else None)
        if not last:
            side.stop()
    for side in sides[:-1]:
        side.start()
    for pair in range(options.pairs):
        for side in sides if pair % 2 == 0 else sides[::-1]:
            result["tps"][side.name].append(side.tps())
            say(f"pair {pair + 1} of {options.pairs}, {side.name}: "
                f"{result['tps'][side.name][-1]:.0f} transactions/s")
    for side in sides:
        side.stop()
    pathlib.Path(options.output).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
