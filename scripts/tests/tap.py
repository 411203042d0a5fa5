# SPDX-License-Identifier: GPL-2.0
"""What the tests of the harness share: results as TAP, and running a script."""

import os
import subprocess
import sys

SCRIPTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
ROOT = os.path.dirname(SCRIPTS)
BUILD = os.path.abspath(os.environ.get("SCOME_BUILD") or os.path.join(ROOT, "build"))


class Tap:
    """A stream of results; end() closes it and gives the exit status."""

    def __init__(self):
        self.count = 0
        self.failed = 0
        print("TAP version 14", flush=True)

    def check(self, good, name, *details):
        self.count += 1
        print("%s %d - %s" % ("ok" if good else "not ok", self.count, name))
        if not good:
            self.failed += 1
            for detail in details:
                if isinstance(detail, bytes):
                    detail = detail.decode(errors="replace")
                for line in str(detail).splitlines()[-40:]:
                    print("  # " + line)
        sys.stdout.flush()
        return good

    def equal(self, value, wanted, name, *details):
        return self.check(value == wanted, name,
                          "got %r" % (value,), "not %r" % (wanted,), *details)

    def end(self):
        print("1..%d" % self.count, flush=True)
        return 1 if self.failed else 0


def run(*words, **options):
    """Run a script of scripts/ and keep all it says."""
    command = [os.path.join(SCRIPTS, words[0])] + list(words[1:])
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
