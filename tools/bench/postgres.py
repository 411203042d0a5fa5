#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measure PostgreSQL with ordinary and with linked shared buffers, in one guest.

Runs in the guest as root, with the disk that scripts/bench has made as /dev/vda. Each round
starts a server of each kind, one after the other, on the same database, and reads from it
with pgbench -S. Prints a line of JSON for each server.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "postgres"))
import server  # noqa: E402

DISK = pathlib.Path("/run/disk")
SECTOR = 512


def say(text):
    print(f"postgres: {text}", file=sys.stderr, flush=True)


def counter(path, name):
    """The value after a name in a file of names and values."""
    return int(re.search(rf"^{name}:?\s+(\d+)", pathlib.Path(path).read_text(), re.M)[1])


FAULT_AROUND = pathlib.Path("/sys/kernel/debug/fault_around_bytes")


def bytes_read():
    return int(pathlib.Path("/sys/block/vda/stat").read_text().split()[2]) * SECTOR


def connect(side, transactions):
    """Each transaction makes a connection of its own."""
    faults = counter("/proc/vmstat", "pgfault")
    tps = side.tps("-C", "-t", str(transactions))
    faults = counter("/proc/vmstat", "pgfault") - faults
    return {"connect_tps": tps, "connect_faults": faults / transactions / side.connections}


def steady(side, warm, seconds, look):
    """All connections stay and have done warm transactions each before it counts.

    As long as it does not count a fault maps all that there is around it, so that a backend
    soon has mapped what it is going to read.
    """
    usual = FAULT_AROUND.read_text()
    with side.pgbench("-M", "prepared", "-T", "36000", "-P", "1") as bench:
        try:
            FAULT_AROUND.write_text(str(2 << 20))
            done = 0
            while done < warm * side.connections:
                begin, tps = side.progress(bench)
                done += tps
            FAULT_AROUND.write_text(usual)
            done, now, read = 0, begin, bytes_read()
            faults = counter("/proc/vmstat", "pgfault")
            while now - begin < seconds:
                last = now
                now, tps = side.progress(bench)
                done += tps * (now - last)
            faults = counter("/proc/vmstat", "pgfault") - faults
            read = bytes_read() - read
            # the clients stand still, the backends wait with all they have touched
            bench.send_signal(signal.SIGSTOP)
            found = {"tps": done / (now - begin), "read_bytes": read / done,
                     "faults": faults / done}
            for field in ("PageTables", "Cached", "Shmem", "AnonPages", "MemFree"):
                found[field.lower() + "_kb"] = counter("/proc/meminfo", field)
            if look:
                found["shared_pagetable_bytes"] = side.tables()["shared_pagetable_bytes"]
            else:
                side.maps(8)
            return found
        finally:
            bench.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("tools", help="directory of scome-run")
    add("--connections", type=int, default=500, metavar="N", help="(%(default)s)")
    add("--buffers", default="2GB", metavar="SIZE", help="shared buffers (%(default)s)")
    add("--rounds", type=int, default=3, metavar="N", help="(%(default)s)")
    add("--connect", type=int, default=0, metavar="N",
        help="first each client makes that many connections, one after another (none)")
    add("--warm", type=int, default=100, metavar="N",
        help="transactions of each connection before it counts (%(default)s)")
    add("--seconds", type=int, default=20, metavar="N", help="that count (%(default)s)")
    add("--tables", action="store_true", help="ask each backend for its page tables, too")
    args = parser.parse_args()

    DISK.mkdir()
    subprocess.run(["mount", "-t", "ext4", "-o", "noatime", "/dev/vda", DISK], check=True)
    server.SOCKETS.mkdir()
    shutil.chown(server.SOCKETS, "postgres", "postgres")
    sides = [server.Server(args.tools, DISK / "pgdata", linked, args.connections, args.buffers)
             for linked in (False, True)]
    say(os.uname().release)
    for number in range(args.rounds):
        for side in sides if number % 2 == 0 else sides[::-1]:
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
            side.start()
            sample = {"side": side.name, "round": number}
            if args.connect:
                sample.update(connect(side, args.connect))
            sample.update(steady(side, args.warm, args.seconds, args.tables))
            side.stop()
            say(json.dumps(sample))
            print(json.dumps(sample), flush=True)


if __name__ == "__main__":
    main()
