"""Processes forked from one that has loaded what is slow to load: a new interpreter takes seconds for that each time.

The process that forks runs ``python -m tests.forking MODULE DESCRIPTOR``. The module has a function ``load()``, which
loads, and ``main()``, which each fork runs with arguments of its own.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).parents[1]
_LONGEST = 1 << 16
_NUMBER = 4
"""Bytes of a process's id, and of what it ended with."""


class Fork:
    """A process, with all that belong to its session.

    :ivar returncode: what it ended with, negative for a signal; None as long as :meth:`poll` has not seen it end.
    :ivar stdin: where to write what it reads. ``stdout``: what it prints, its errors included; both only if piped.
    """

    def __init__(self, report: int, stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None
        self._report = report
        self.pid = self._number()

    def poll(self) -> int | None:
        """Return what it ended with; None if it runs."""
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return what it ended with.

        :raises subprocess.TimeoutExpired: if it has not after so many seconds.
        """
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            self.returncode = self._number()
            os.close(self._report)
        return self.returncode

    def send_signal(self, sign: int) -> None:
        """Send a signal to it and to what it has started, unless it has ended."""
        if self.poll() is None:
            os.killpg(self.pid, sign)

    def kill(self) -> None:
        """Kill it and what it has started, without a warning."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def output(self, timeout: float) -> str:
        """Return all that it prints until it ends, which may take so many seconds."""
        deadline = time.monotonic() + timeout
        printed = b""
        with self.stdin, self.stdout as stream:
            while select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
                if not (part := os.read(stream.fileno(), _LONGEST)):
                    self.wait(max(0.0, deadline - time.monotonic()))
                    return printed.decode()
                printed += part
        raise subprocess.TimeoutExpired(str(self.pid), timeout, printed)

    def _number(self) -> int:
        if not (told := os.read(self._report, _NUMBER)):
            raise RuntimeError("The process that forks has ended.")
        return int.from_bytes(told, signed=True)


class Forks:
    """Starts processes that run a module's ``main()``.

    :param module: what to run. :param env: the environment of all of them; this process's if None.
    :param log: what those that are not piped print to; this process's output if None.
    """

    def __init__(self, module: str, env: Mapping[str, str] | None = None, log: IO[bytes] | None = None) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, module, str(theirs.fileno())],
                cwd=_ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def start(self, *arguments: str, piped: bool = True) -> Fork:
        """Start a process; the first waits until the module is loaded.

        :param piped: whether to read what it prints, and to write to it, here.
        """
        report, theirs = os.pipe()
        given = [theirs]
        stdin = stdout = None
        if piped:
            (read, write), (heard, said) = os.pipe(), os.pipe()
            given += [read, said]
            stdin, stdout = os.fdopen(write, "wb", 0), os.fdopen(heard, "rb", 0)
        socket.send_fds(self._control, [json.dumps(arguments).encode()], given)
        for descriptor in given:
            os.close(descriptor)
        return Fork(report, stdin, stdout)

    def stop(self) -> None:
        """Start none any more."""
        self._control.close()
        self._process.wait(10)


def _serve(control: socket.socket) -> list[str] | None:
    """Fork for each request; return its arguments in the new process, and None here when nobody asks any more."""
    while True:
        message, given, *_ = socket.recv_fds(control, _LONGEST, 3)
        if not message:
            return None
        if not os.fork():
            control.close()
            return _watch(json.loads(message), *given)
        for descriptor in given:
            os.close(descriptor)


def _watch(arguments: list[str], report: int, *streams: int) -> list[str]:
    """Return the arguments in the new process, which tells its id; this one tells in the end what that ended with."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if not pid:
        os.setsid()
        for given, standard in zip(streams, (0, 1), strict=False):
            os.dup2(given, standard)
        if streams:
            os.dup2(1, 2)
        os.write(report, os.getpid().to_bytes(_NUMBER))
    for given in streams if pid else (report, *streams):
        os.close(given)
    if not pid:
        return arguments
    status = os.waitpid(pid, 0)[1]
    os.write(report, os.waitstatus_to_exitcode(status).to_bytes(_NUMBER, signed=True))
    os._exit(0)


def main() -> None:
    """Load, fork, and run the module in each fork."""
    name, descriptor = sys.argv[1:]
    module = import_module(name)
    module.load()
    gc.collect()
    gc.freeze()  # what the forks share stays shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is gone at once
    arguments = _serve(socket.socket(fileno=int(descriptor)))
    if arguments is not None:
        sys.stdout.reconfigure(line_buffering=True)
        sys.argv = [name, *arguments]
        module.main()


if __name__ == "__main__":
    main()
