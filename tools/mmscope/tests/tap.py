# SPDX-License-Identifier: GPL-2.0
"""What the tests of mmscope share: results as TAP, and running the tool."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BUILD = os.path.abspath(os.environ.get("SCOME_BUILD") or os.path.join(TOP, "build"))
BIN = os.environ.get("MMSCOPE_BIN") or os.path.join(BUILD, "tools")
MMSCOPE = os.path.join(BIN, "mmscope")
LIMIT = 120


class Tap:
    """A stream of results; end() closes it and gives the exit status."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, good, name, *details):
        self.count += 1
        print("%s %d - %s" % ("ok" if good else "not ok", self.count, name))
        if not good:
            self.failed += 1
            for detail in details:
                for line in str(detail).splitlines()[-20:]:
                    print("  # " + line)
        sys.stdout.flush()
        return good

    def equal(self, value, wanted, name, *details):
        return self.check(value == wanted, name, "got %r" % (value,),
                          "not %r" % (wanted,), *details)

    def skip(self, name, reason):
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, name, reason), flush=True)

    def run(self, tests):
        """Each test is a function; one that raises has failed."""
        for test in tests:
            try:
                test(self)
            except Exception as error:  # pylint: disable=broad-except
                self.check(False, test.__name__.replace("_", " "),
                           "%s: %s" % (type(error).__name__, error))
        print("1..%d" % self.count, flush=True)
        return 1 if self.failed or not self.count else 0


def mmscope(*words, **options):
    """Run the tool to its end; standard output and error as text."""
    options.setdefault("timeout", LIMIT)
    return subprocess.run([MMSCOPE] + [str(w) for w in words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8", check=False, **options)


class Watch:
    """`mmscope VERB --json` beside the body of a with statement.

    The body begins when the first report has come: everything is counted from
    then on. Afterwards `reports` has every object, `summary` the last one.
    """

    def __init__(self, verb, *options, pin=False, interval="0.1"):
        words = [MMSCOPE, verb, "--json"] + [str(o) for o in options]
        if not pin:
            words.append("--no-pin")
        self.words = words + [interval]
        self.reports = []
        self.summary = None
        self.process = None
        self.output = None
        self.status = None

    def __enter__(self):
        # A file and not a pipe: the tool must not wait for this reader.
        # pylint: disable=consider-using-with
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL,
                                        stdout=self.output)
        wait_until(lambda: os.fstat(self.output.fileno()).st_size or
                   self.process.poll() is not None, "the first report comes")
        if self.process.poll() is not None:
            raise RuntimeError("%s: exit status %d" % (" ".join(self.words),
                                                       self.process.returncode))
        return self

    def __exit__(self, kind, value, trace):
        self.process.send_signal(signal.SIGINT)
        try:
            self.status = self.process.wait(LIMIT)
        finally:
            self.process.kill()
        self.output.seek(0)
        for line in self.output.read().splitlines():
            self.reports.append(json.loads(line.decode("utf-8", "strict")))
        self.output.close()
        if self.reports and self.reports[-1]["type"] == "summary":
            self.summary = self.reports[-1]


class Faults(Watch):
    """`mmscope faults`."""

    def __init__(self, *options, **more):
        super().__init__("faults", *options, **more)

    def rows(self, **wanted):
        """The rows of the summary with these values."""
        return [row for row in self.summary["processes"]
                if all(row[key] == value for key, value in wanted.items())]


def total(rows, *names):
    """The sum of some fields over some rows."""
    return sum(row[name] for row in rows for name in names)


def wait_until(condition, what, limit=LIMIT):
    """Ask again until it is so; an error after the limit."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("waited in vain until " + what)
        time.sleep(0.02)
