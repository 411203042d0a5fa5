# SPDX-License-Identifier: GPL-2.0
"""A PostgreSQL server in a guest, with ordinary or with linked shared buffers.

Debian's server, unmodified; for linked buffers it is started below scome-run.
"""

import glob
import os
import pathlib
import re
import subprocess
import sys

MIN_BYTES = "16M"
SCOME = pathlib.Path("/sys/kernel/mm/scome")
SOCKETS = pathlib.Path("/run/postgres")


def die(text):
    sys.exit(f"postgres: {text}")


def binaries():
    """The directory of the newest server that is installed."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if not found:
        die("no server below /usr/lib/postgresql; install the package postgresql")
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

    def __init__(self, tools, data, linked, connections, buffers):
        self.bindir = binaries()
        self.data = pathlib.Path(data)
        self.linked = linked
        self.connections = connections
        self.buffers = buffers
        self.name = "linked" if linked else "ordinary"
        self.port = 5433 if linked else 5432
        self.launcher = [f"{tools}/scome-run", "--min-bytes", MIN_BYTES, "--"] if linked else []
        self.tables_before = 0

    def start(self):
        self.tables_before = scome_tables()
        settings = " ".join((
            f"-p {self.port} -k {SOCKETS}",
            f"-c listen_addresses= -c shared_buffers={self.buffers}",
            f"-c max_connections={self.connections + 10} -c fsync=off -c autovacuum=off",
            "-c logging_collector=off",
        ))
        as_postgres([f"{self.bindir}/pg_ctl", "-D", self.data, "-w", "-s", "-l",
                     self.data / "log", "-o", settings, "start"], self.launcher)
        self.query("select pg_prewarm('pgbench_accounts'), pg_prewarm('pgbench_accounts_pkey')")

    def stop(self):
        as_postgres([f"{self.bindir}/pg_ctl", "-D", self.data, "-w", "-s", "-m", "fast", "stop"])

    def query(self, text):
        result = as_postgres([f"{self.bindir}/psql", "-h", SOCKETS, "-p", str(self.port),
                              "-qAt", "-c", text, "postgres"], stdout=subprocess.PIPE, text=True)
        return result.stdout.strip()

    def pgbench(self, *words):
        """Every client selects one row after another, without a vacuum before it."""
        return subprocess.Popen(
            [f"{self.bindir}/pgbench", "-h", SOCKETS, "-p", str(self.port), "-U",
             "postgres", "-S", "-n", "-c", str(self.connections), "-j", "2", *words,
             "postgres"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def tps(self, *words, limit=600):
        """Transactions a second of a run of pgbench that ends by itself."""
        with self.pgbench(*words) as bench:
            try:
                output, errors = bench.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                bench.kill()
                die(f"pgbench on the {self.name} server takes more than {limit} s")
        found = re.search(r"^tps = ([0-9.]+)", output, re.M)
        if bench.returncode or not found:
            die(f"pgbench on the {self.name} server: {errors or output}")
        return float(found.group(1))

    def progress(self, bench):
        """The next line of pgbench, run with "-P 1": the time in s, transactions a second."""
        line = bench.stderr.readline()
        found = re.match(r"progress: ([0-9.]+) s, ([0-9.]+) tps", line)
        if not found:
            die(f"pgbench on the {self.name} server: {line.strip()}")
        return float(found[1]), float(found[2])

    def backends(self):
        """Client backends: the children of the postmaster that serve pgbench."""
        pids = self.query("select string_agg(pid::text, ' ') from pg_stat_activity "
                          "where application_name = 'pgbench'")
        return [int(pid) for pid in pids.split()]

    def maps(self, some=None):
        """The shared buffers of all backends, or of some; die unless they are as they should."""
        pids = self.backends()
        if len(pids) != self.connections:
            die(f"{len(pids)} connections of {self.connections} on the {self.name} server")
        maps = [shared_buffers(pid) for pid in pids[:some]]
        if any(("sp" in fields["VmFlags"]) != self.linked for fields in maps):
            die(f"the shared buffers of a backend of the {self.name} server are not that")
        return maps

    def tables(self):
        """Page tables, as all connections have left them; pgbench stands still."""
        total = page_tables()
        maps = self.maps()
        sample = {
            "backends": len(maps),
            "pagetable_bytes": total,
            "buffers_kb": max(fields["Size"] for fields in maps),
            "rss_kb": sorted(fields["Rss"] for fields in maps)[len(maps) // 2],
            "unit_tables": scome_tables() - self.tables_before if self.linked else 0,
            "linked_backends": len(maps) if self.linked else 0,
            "linked_kb": sum(fields.get("SharedPT", 0) for fields in maps),
            "shared_pagetable_bytes": None,
        }
        if all("PageTables" in fields for fields in maps):
            own = sum(fields["PageTables"] for fields in maps) * 1024
            sample["shared_pagetable_bytes"] = own + sample["unit_tables"] * 4096
        return sample
