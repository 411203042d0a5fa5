#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""PostgreSQL with ordinary and with linked shared buffers, in one guest.

Runs in the guest as root. Debian's server, unmodified, is started twice on
copies of one database (/run/postgres/ordinary and linked), once as it is and once
under scome-run; 100 connections read from each in turn. Writes the samples as JSON.
"""

import argparse
import concurrent.futures
import glob
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

CONNECTIONS = 100
PAIRS = 5
TPS_TRANSACTIONS = 25  # of each connection, as the next
WATCH_TRANSACTIONS = 60
MIN_BYTES = "16M"
SCOME = pathlib.Path("/sys/kernel/mm/scome")
RUN = pathlib.Path("/run/postgres")
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


def as_postgres(command, launcher=(), **extra):
    # the launcher may lie where only root can look, below /root for instance
    return subprocess.run([*launcher, "runuser", "-u", "postgres", "--", *command], check=True,
                          **extra)


def scome_tables():
    try:
        return int((SCOME / "tables").read_text())
    except FileNotFoundError:
        return 0


def page_tables():
    """All page tables of the guest, in bytes."""
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(re.search(r"^PageTables:\s+(\d+) kB", text, re.M).group(1)) * 1024


SHARED = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) ..[-x]s .*\n", re.M)
FIELD = re.compile(rb"^(\w+): +(\d+) kB$", re.M)
FLAGS = re.compile(rb"^VmFlags: (.*)$", re.M)


def shared_buffers(pid):
    """The smaps fields of the largest shared mapping of a process, in kB."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_bytes()
    largest = max(SHARED.finditer(text),
                  key=lambda line: int(line[2], 16) - int(line[1], 16))
    flags = FLAGS.search(text, largest.end())
    fields = {name.decode(): int(value)
              for name, value in FIELD.findall(text, largest.end(), flags.start())}
    fields["VmFlags"] = flags[1].decode().split()
    return fields


class Server:
    """One server on its own copy of the database."""

    def __init__(self, bindir, tools, linked):
        self.bindir = bindir
        self.linked = linked
        self.name = "linked" if linked else "ordinary"
        self.port = 5433 if linked else 5432
        self.launcher = [f"{tools}/scome-run", "--min-bytes", MIN_BYTES, "--"] if linked else []
        self.data = RUN / self.name
        self.tables_before = 0

    def start(self):
        self.tables_before = scome_tables()
        settings = " ".join((
            f"-p {self.port} -k {RUN}",
            "-c listen_addresses= -c shared_buffers=512MB",
            f"-c max_connections={CONNECTIONS + 10} -c fsync=off -c autovacuum=off",
            "-c logging_collector=off",
        ))
        as_postgres([f"{self.bindir}/pg_ctl", "-D", self.data, "-w", "-s", "-l",
                     self.data / "log", "-o", settings, "start"], self.launcher)
        self.query("select pg_prewarm('pgbench_accounts'), pg_prewarm('pgbench_accounts_pkey')")

    def stop(self):
        as_postgres([f"{self.bindir}/pg_ctl", "-D", self.data, "-w", "-s", "-m", "fast", "stop"])

    def query(self, text):
        result = as_postgres([f"{self.bindir}/psql", "-h", RUN, "-p", str(self.port),
                              "-qAt", "-c", text, "postgres"], stdout=subprocess.PIPE, text=True)
        return result.stdout.strip()

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def pgbench(self, *length):
        # select-only, vacuum left out, planned once per connection
        return subprocess.Popen(
            [f"{self.bindir}/pgbench", "-h", RUN, "-p", str(self.port), "-U",
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

    def tables(self, scope=None):
        """Page tables while every connection is up and has read for a while."""
        # it begins to report when every connection is made, each second what was done in it
        bench = self.pgbench("-T", "3600", "-P", "1")
        done = 0
        try:
            while done < WATCH_TRANSACTIONS * CONNECTIONS:
                line = bench.stderr.readline()
                found = re.match(r"progress: [0-9.]+ s, ([0-9.]+) tps", line)
                if not found:
                    sys.exit(f"postgres: pgbench on the {self.name} server: {line.strip()}")
                done += float(found[1])
            if scope:
                scope.show()
            # the clients stand still, the backends wait with all they have touched
            bench.send_signal(signal.SIGSTOP)
            pids = self.backends()
            total = page_tables()
            maps = [shared_buffers(pid) for pid in pids]
        finally:
            bench.kill()
            bench.communicate()
        if len(pids) != CONNECTIONS:
            sys.exit(f"postgres: {len(pids)} connections of {CONNECTIONS} on the {self.name} "
                     "server")
        sample = {
            "backends": len(pids),
            "pagetable_bytes": total,
            "buffers_kb": max(fields["Size"] for fields in maps),
            "rss_kb": sorted(fields["Rss"] for fields in maps)[len(maps) // 2],
            "unit_tables": scome_tables() - self.tables_before if self.linked else 0,
            "linked_backends": sum("sp" in fields["VmFlags"] for fields in maps),
            "linked_kb": sum(fields.get("SharedPT", 0) for fields in maps),
            "shared_pagetable_bytes": None,
        }
        if all("PageTables" in fields for fields in maps):
            own = sum(fields["PageTables"] for fields in maps) * 1024
            sample["shared_pagetable_bytes"] = own + sample["unit_tables"] * 4096
        return sample


class Scope:
    """A few lines of mmscope, and what bpftool finds in its pinned maps."""

    def __init__(self, tools):
        mmscope = pathlib.Path(tools) / "mmscope"
        if not mmscope.exists():
            sys.exit("postgres: mmscope is not built")
        self.mmscope = subprocess.Popen(
            [mmscope, "faults", "-n", "8", "1"], stdout=subprocess.PIPE, text=True)
        while not self.maps():
            if self.mmscope.poll() is not None:
                sys.exit(f"postgres: mmscope faults failed with status {self.mmscope.returncode}")
            time.sleep(0.2)

    @staticmethod
    def maps():
        """Names of the pinned maps: they are there while mmscope runs."""
        return sorted(str(path.relative_to(PINNED)) for path in PINNED.rglob("*")
                      if not path.is_dir())

    @staticmethod
    def dump(name):
        """The first lines that bpftool prints of a map."""
        with subprocess.Popen(["bpftool", "map", "dump", "pinned", PINNED / name],
                              stdout=subprocess.PIPE, text=True) as bpftool:
            lines = list(itertools.islice(bpftool.stdout, 12))
            # there may be thousands more
            bpftool.kill()
        if not lines:
            sys.exit(f"postgres: bpftool prints nothing of {PINNED / name}")
        return lines

    def show(self):
        dumps = {name: self.dump(name) for name in self.maps()}
        self.mmscope.send_signal(signal.SIGINT)
        try:
            output = self.mmscope.communicate(timeout=60)[0]
        except subprocess.TimeoutExpired:
            self.mmscope.kill()
            sys.exit("postgres: mmscope did not end")
        if self.mmscope.returncode:
            sys.exit(f"postgres: mmscope faults failed with status {self.mmscope.returncode}")
        print("--- mmscope faults, while 100 connections are made and read ---")
        print("\n".join(output.splitlines()[:60]))
        if not dumps:
            sys.exit(f"postgres: no map of mmscope is pinned below {PINNED}")
        for name, lines in dumps.items():
            print(f"--- bpftool map dump pinned {PINNED}/{name} ---")
            print("".join(lines), end="")
        sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tools", help="directory of scome-run and mmscope")
    parser.add_argument("output", help="the JSON file to write")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="runs of each kind (%(default)s)")
    options = parser.parse_args()

    feature = SCOME.is_dir()
    bindir = binaries()
    sides = [Server(bindir, options.tools, False)]
    if feature:
        sides.append(Server(bindir, options.tools, True))

    result = {"server": os.path.basename(os.path.dirname(bindir)), "feature": feature,
              "tables": {}, "tps": {side.name: [] for side in sides}}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(Server.start, sides))
    # The page tables are those of the whole guest, on either side those of an idle server
    # beside the asked one among them.
    for side in sides:
        say(f"page tables of {CONNECTIONS} connections, {side.name} buffers")
        scope = Scope(options.tools) if side is sides[-1] else None
        result["tables"][side.name] = side.tables(scope)
    for pair in range(options.pairs):
        for side in sides if pair % 2 == 0 else sides[::-1]:
            result["tps"][side.name].append(side.tps())
            say(f"pair {pair + 1} of {options.pairs}, {side.name}: "
                f"{result['tps'][side.name][-1]:.0f} transactions/s")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(Server.stop, sides))
    pathlib.Path(options.output).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
