"""The least that a durable receiver can do: check the HMAC, insert the body, answer.

With ``GROUP=1`` deliveries that arrive during a commit share the next one. It checks nothing else, forgets nothing and
has no cursors: it shows how fast this machine can be.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SECRET = os.environ["SECRET"].encode()
URL = os.environ["STORE_URL"]
GROUPED = os.environ.get("GROUP") == "1"


class Database:
    """SQLite or PostgreSQL, without anything in between."""

    def __init__(self) -> None:
        if URL.startswith("sqlite:///"):
            self._connection: Any = sqlite3.connect(URL.removeprefix("sqlite:///"), check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._insert = "INSERT OR IGNORE INTO bare (digest, body) VALUES (?, ?)"
        else:
            import psycopg

            self._connection = psycopg.connect(URL)
            self._insert = "INSERT INTO bare (digest, body) VALUES (%s, %s) ON CONFLICT DO NOTHING"
        blob = "BLOB" if URL.startswith("sqlite") else "BYTEA"
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS bare (digest TEXT PRIMARY KEY, body {blob})")
        self._connection.commit()

    def insert(self, bodies: list[bytes]) -> None:
        """Insert bodies in one durable transaction."""
        rows = [(hashlib.sha256(body).hexdigest(), body) for body in bodies]
        self._connection.cursor().executemany(self._insert, rows)
        self._connection.commit()


class App:
    """The ASGI application."""

    def __init__(self) -> None:
        self._database = Database()
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        signature = dict(scope["headers"])[b"x-pihupulse-signature"].decode()
        good = hmac.compare_digest(hmac.new(SECRET, body, hashlib.sha256).hexdigest(), signature)
        if good:
            await self._store(body)
        answer = b'{"status": "stored"}'
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 202 if good else 401, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _store(self, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        if not GROUPED:
            await loop.run_in_executor(self._thread, self._database.insert, [body])
            return
        stored = loop.create_future()
        self._waiting.append((body, stored))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        await stored

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            await loop.run_in_executor(self._thread, self._database.insert, [body for body, _ in group])
            for _, stored in group:
                stored.set_result(None)


def application() -> App:
    """Return the application."""
    return App()
