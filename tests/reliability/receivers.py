"""Receivers as processes of their own, and senders that keep count of what was acknowledged."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.servers import free_port
from tests.webhooks.deliveries import completed, signed
from tests.webhooks.running import CONNECTION, SECRET


def connection_json(current: str, previous: str = "") -> str:
    """Return a connection with webhook secrets."""
    extra = {"webhook_secret": current, "previous_webhook_secret": previous}
    return json.dumps({"conn_type": "pihupulse", "password": "key", "extra": extra})


class ReceiverProcess:
    """``python -m pihupulse_provider.webhooks`` on a port that stays the same when it is started again.

    The secrets are read from a file of connections, as a vault would have them: changing it needs no restart.
    """

    def __init__(self, home: Path, store_url: str, workers: int = 1) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/pihupulse/webhooks/{CONNECTION}"
        self.log = home / "receiver.log"
        self._workers = workers
        self._connections = home / "connections.json"
        self._process: subprocess.Popen[bytes] | None = None
        self.store_url = store_url
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__PIHUPULSE__STORE_URL": store_url,
            "AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS": CONNECTION,
            "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(self._connections)}),
        }
        self.set_secrets(SECRET)

    def set_secrets(self, current: str, previous: str = "") -> None:
        """Set the connection's webhook secrets, in one step."""
        self._set({CONNECTION: json.loads(connection_json(current, previous))})

    def remove_secrets(self) -> None:
        """Leave the connection without a webhook secret."""
        self._set({CONNECTION: {"conn_type": "pihupulse", "password": "key"}})

    def remove_connection(self) -> None:
        """Delete the connection."""
        self._set({})

    def _set(self, connections: dict[str, object]) -> None:
        written = self._connections.with_suffix(".new.json")
        written.write_text(json.dumps(connections))
        written.replace(self._connections)

    def keep_connections_in_airflow(self, database: Path) -> None:
        """Use a copy of a database of Airflow's instead of the file."""
        for name in [name for name in self._environment if name.startswith("AIRFLOW__SECRETS")]:
            del self._environment[name]
        # Else the first process makes the key with which connections are stored, and the next one may read another.
        self._environment["AIRFLOW__CORE__FERNET_KEY"] = base64.urlsafe_b64encode(os.urandom(32)).decode()
        # Some of it is in a file beside it.
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(self.home / "airflow.db")) as copy:
            source.backup(copy)

    def airflow(self, *arguments: str) -> None:
        """Run a command of Airflow's."""
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=self._environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"

    def start(self, *, healthy: bool = True) -> None:
        """Start it, and wait until it answers, or says that it can store."""
        command = [sys.executable, "-m", "pihupulse_provider.webhooks", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--workers", str(self._workers)],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 180
        while not (self.is_healthy() if healthy else self.answers()):
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def answers(self) -> bool:
        """Return whether it takes connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def is_healthy(self) -> bool:
        """Return whether it says that it can store."""
        try:
            health = httpx.get(f"http://127.0.0.1:{self.port}/pihupulse/health", timeout=10)
        except httpx.HTTPError:
            return False
        return health.status_code == 200

    def kill(self) -> None:
        """Kill it and its workers, without a warning."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=10)

    def memory(self) -> int:
        """Return the bytes that it holds in memory."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """Stop it as a service manager does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=30)


@contextmanager
def receiver(home: Path, store_url: str, workers: int = 1) -> Iterator[ReceiverProcess]:
    """Run a receiver."""
    process = ReceiverProcess(home, store_url, workers)
    try:
        process.start()
        yield process
    finally:
        process.stop()


class Connection:
    """A kept connection, with as little work for each request as can be: the receiver is to be the slower part."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    async def __aenter__(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Send a request, and return the status of its response."""
        self._send(body, headers, body)
        return await self._response()

    async def begin(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a request without its last byte."""
        self._send(body, headers, body[:-1])
        await self._writer.drain()
        await asyncio.sleep(0.1)

    async def finish(self, body: bytes) -> str:
        """Send the last byte, and return the status of the response."""
        self._writer.write(body[-1:])
        return await self._response()

    def _send(self, body: bytes, headers: Mapping[str, str], sent: bytes) -> None:
        fields = {"Host": self._url.netloc, "Content-Length": str(len(body)), **headers}
        lines = [f"POST {self._url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self._writer.write("\r\n".join(lines).encode("latin-1") + sent)

    async def _response(self) -> str:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await self._reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
        return head[9:12]


class Sender:
    """PihuPulse, as far as it concerns a receiver: several at once, each delivering one event after the other.

    :param name: with what the ids of its screenings begin.
    """

    def __init__(self, url: str, name: str = "") -> None:
        self.url = url
        self.secret = SECRET
        self._name = name
        self.acknowledged: list[str] = []
        self.statuses: Counter[int | str] = Counter()

    async def send(self, senders: int, until: asyncio.Event) -> None:
        """Deliver until told to stop."""
        async with httpx.AsyncClient(timeout=20) as client:
            await asyncio.gather(*(self._send(client, number, until) for number in range(senders)))

    async def _send(self, client: httpx.AsyncClient, number: int, until: asyncio.Event) -> None:
        sent = 0
        while not until.is_set():
            sent += 1
            name = f"{self._name}{number}-{sent}"
            body = completed(name)
            try:
                answer = await client.post(self.url, content=body, headers=signed(body, self.secret))
            except httpx.HTTPError as error:
                self.statuses[type(error).__name__] += 1
                await asyncio.sleep(0.2)
                continue
            self.statuses[answer.status_code] += 1
            if answer.status_code in (200, 202):
                self.acknowledged.append(name)
