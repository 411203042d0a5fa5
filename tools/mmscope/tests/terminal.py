# SPDX-License-Identifier: GPL-2.0
"""A terminal for the tests: a program on a pty, and what it shows there."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from tap import LIMIT

try:
    import pyte
except ImportError:
    sys.exit("terminal: the module pyte is missing: 'make deps' (it installs python3-pyte)")

ENTER, LEAVE = b"\033[?1049h", b"\033[?1049l"


class Terminal:
    """A program on a terminal of its own, in whose foreground it is.

    `bytes` has all that was written, `shown` the lines as one would see them,
    `bold` whether anything among them is.
    """

    def __init__(self, words, lines=24, columns=80, **environment):
        self.bytes = b""
        self.status = None
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        # The other side stays open, so that its settings outlive the program.
        self.master, self.slave = os.openpty()
        self.set_size(lines, columns)
        self.before = termios.tcgetattr(self.slave)
        variables = dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8")
        variables.pop("NO_COLOR", None)
        variables.update(environment)
        # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
        self.process = subprocess.Popen(
            [str(word) for word in words], env=variables, start_new_session=True,
            stdin=self.slave, stdout=self.slave, stderr=self.slave,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.hang_up()
        os.close(self.slave)

    def hang_up(self):
        if self.master >= 0:
            os.close(self.master)
        self.master = -1

    def set_size(self, lines, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, lines, columns):
        """As a window does it: what was shown is lost, the program is told."""
        self.screen.reset()
        self.screen.resize(lines, columns)
        self.set_size(lines, columns)

    def read(self, seconds=0.02):
        """Take what there is; False when there is nothing."""
        if self.master < 0 or not select.select([self.master], [], [], seconds)[0]:
            return False
        more = os.read(self.master, 65536)
        self.bytes += more
        self.stream.feed(more)
        return True

    @property
    def shown(self):
        return [line.rstrip() for line in self.screen.display]

    def line(self, pattern):
        """The first line shown that matches, or None."""
        found = [line for line in self.shown if re.search(pattern, line)]
        return found[0] if found else None

    @property
    def bold(self):
        return any(cell.bold and cell.data != " " for row in self.screen.buffer.values()
                   for cell in row.values())

    def until(self, condition, what):
        end = time.monotonic() + LIMIT
        while not condition():
            self.read()
            if time.monotonic() > end:
                raise RuntimeError("waited in vain until %s: %r" % (what, self.shown))

    def until_line(self, pattern):
        self.until(lambda: self.line(pattern), "a line has " + pattern)

    def send(self, keys):
        os.write(self.master, keys)

    def stopped(self):
        """Wait until the program is stopped, and read the rest."""
        def is_stopped():
            with open("/proc/%d/stat" % self.process.pid, encoding="utf-8") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "T"
        self.until(is_stopped, "the program is stopped")
        while self.read(0):
            pass

    def end(self):
        """Wait for the program; its exit status, or minus the signal."""
        self.until(lambda: self.process.poll() is not None, "the program has ended")
        while self.read(0):
            pass
        self.status = self.process.returncode
        return self.status

    @property
    def restored(self):
        """Was everything given back: settings, screen, cursor, attributes?"""
        # Kernel flags of the moment, not settings.
        def settings(now):
            return [now[3] & ~(termios.PENDIN | termios.FLUSHO) if i == 3 else value
                    for i, value in enumerate(now)]
        return (settings(termios.tcgetattr(self.slave)) == settings(self.before) and
                self.bytes.count(ENTER) == self.bytes.count(LEAVE) and
                not self.screen.cursor.hidden and not self.screen.cursor.attrs.bold)

    @property
    def after(self):
        """The text on the ordinary screen, after the last report there was."""
        tail = self.bytes.rpartition(LEAVE)[2].decode("utf-8", "replace")
        return re.sub(r"\033(\[[0-9;?]*[a-zA-Z]|[=>]|\(B)|\r", "", tail)
