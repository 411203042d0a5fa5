#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""PostgreSQL with ordinary and with linked shared buffers, in one guest.

Runs in the guest as root. Debian's server, unmodified, is started twice on
copies of one database (/run/postgres/ordinary and linked), once as it is and once
under scome-run; 100 connections read from each in turn. Writes the samples as JSON.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "postgres"))
import server  # noqa: E402

CONNECTIONS = 100
PAIRS = 5
TPS_TRANSACTIONS = 25  # of each connection, as the next
WATCH_TRANSACTIONS = 60
PINNED = pathlib.Path("/sys/fs/bpf/mmscope")


def say(text):
    print(f"postgres: {text}", file=sys.stderr, flush=True)


def tps(side):
    # a number of transactions: time would begin before the last connection is there
    return side.tps("-M", "prepared", "-t", str(TPS_TRANSACTIONS))


def tables(side, scope=None):
    """Page tables while every connection is up and has read for a while."""
    # it begins to report when every connection is made, each second what was done in it
    with side.pgbench("-M", "prepared", "-T", "3600", "-P", "1") as bench:
        try:
            done = 0
            while done < WATCH_TRANSACTIONS * CONNECTIONS:
                done += side.progress(bench)[1]
            if scope:
                scope.show()
            # the clients stand still, the backends wait with all they have touched
            bench.send_signal(signal.SIGSTOP)
            return side.tables()
        finally:
            bench.kill()


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

    feature = server.SCOME.is_dir()
    sides = [server.Server(options.tools, server.SOCKETS / name, linked, CONNECTIONS, "512MB")
             for name, linked in (("ordinary", False), ("linked", True))[:1 + feature]]

    result = {"server": os.path.basename(os.path.dirname(sides[0].bindir)), "feature": feature,
              "tables": {}, "tps": {side.name: [] for side in sides}}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(server.Server.start, sides))
    # The page tables are those of the whole guest, on either side those of an idle server
    # beside the asked one among them.
    for side in sides:
        say(f"page tables of {CONNECTIONS} connections, {side.name} buffers")
        scope = Scope(options.tools) if side is sides[-1] else None
        result["tables"][side.name] = tables(side, scope)
    for pair in range(options.pairs):
        for side in sides if pair % 2 == 0 else sides[::-1]:
            result["tps"][side.name].append(tps(side))
            say(f"pair {pair + 1} of {options.pairs}, {side.name}: "
                f"{result['tps'][side.name][-1]:.0f} transactions/s")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(server.Server.stop, sides))
    pathlib.Path(options.output).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
