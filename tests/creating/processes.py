"""Processes that share a service, a network and a store, all of which fail: what :mod:`histories` are made of."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from contextlib import contextmanager
from typing import Any

import httpx

from pihupulse_provider.store.engine import Store, StoreError
from tests.creating.importing import KilledError

FAULTS = ("refused", "lost", "unanswered", "proxy", "error", "error after", "late", "late unanswered", "truncated")
_LOST = {"lost": 1.0, "error": 1.0, "proxy": 0.3, "late unanswered": 0.3}
"""How likely it is that a request which ends so is not carried out at all."""
_LATEST = 44.0
"""Seconds after which a request that comes late is carried out: up to one and a half times the client's timeout."""
current: contextvars.ContextVar[Process] = contextvars.ContextVar("current")


class Process:
    """A process that works on the task.

    :ivar apart: how far its clock is from the true one. ``calm``: whether nothing goes wrong for it.
    """

    def __init__(self, history, name: str, apart: float, *, calm: bool) -> None:
        self.history, self.name, self.apart, self.calm = history, name, apart, calm
        self.is_dead = False
        self.kill_at = sys.maxsize
        self.stops: dict[int, float] = {}
        self.outages: list[tuple[float, float]] = []
        self.results: list[dict[str, Any]] = []
        self.task: asyncio.Task[None] | None = None
        self._steps = 0
        self._stopped_until = 0.0

    def now(self):
        return self.history.now() + self.apart

    async def sleep(self, seconds):
        await self.step()
        await asyncio.sleep(seconds)
        await self.step()

    async def step(self):
        """Go on, unless the process is stopped or killed here."""
        self._steps += 1
        if self._steps == self.kill_at:
            self.kill()
        if (seconds := self.stops.pop(self._steps, None)) is not None:
            self.history.tell(f"{self.name} is stopped for {seconds} s")
            self._stopped_until = self.history.loop.time() + seconds
        while not self.is_dead and (left := self._stopped_until - self.history.loop.time()) > 0:
            await asyncio.sleep(left)
        if self.is_dead:
            raise KilledError

    def kill(self):
        self.history.tell(f"{self.name} is killed")
        self.is_dead = True
        self.task.cancel()
        self.history.lose_what_is_not_durable()

    def use_store(self):
        if self.is_dead:
            raise KilledError
        now = self.history.loop.time()
        if any(begin <= now < end for begin, end in self.outages):
            raise StoreError("The store is away")

    def is_stopped_in_transaction(self):
        """Whether it is stopped for a while now, in a transaction that a server does not wait for."""
        if self.calm or self.history.dice.random() >= self.history.chances.share_stopped:
            return False
        self._stopped_until = self.history.loop.time() + self.history.dice.choice([10, 40, 200])
        self.history.tell(f"{self.name} is stopped in a transaction")
        return True

    def fails(self):
        return not self.calm and self.history.dice.random() < self.history.chances.share_failing


async def in_virtual_thread(function, *args, **kwargs):
    """Do what ``asyncio.to_thread`` does, in a while of virtual time."""
    process = current.get()
    await process.sleep(process.history.dice.choice([0, 0, 0.001, 0.05, process.history.dice.random()]))
    try:
        return function(*args, **kwargs)
    finally:
        await process.sleep(process.history.dice.choice([0, 0, 0.001, 0.01]))


class FailingStore(Store):
    """A store that is away at times, and whose transactions fail before or after they are committed."""

    def __init__(self, url, wall_clock, process):
        super().__init__(url, wall_clock)
        self._process = process

    @contextmanager
    def begin(self, *, durable=True):
        self._process.use_store()
        with super().begin(durable=durable) as connection:
            yield connection
            if self._process.is_stopped_in_transaction():
                raise StoreError("The server closed the connection")
            if self._process.fails():
                raise StoreError("The transaction was rolled back")
        if durable:
            self._process.history.keep_what_is_durable()
        if self._process.fails():
            raise StoreError("Nothing is known of the commit")

    @contextmanager
    def read(self):
        self._process.use_store()
        with super().read() as connection:
            yield connection


class Network(httpx.AsyncBaseTransport):
    """Carries a process's requests to the service, which carries them out whatever becomes of the process."""

    def __init__(self, process):
        self._process, self._history = process, process.history
        self._service = self._history.sandbox.transport()

    async def handle_async_request(self, request):
        await request.aread()
        await self._process.sleep(self._history.latency())
        if (trace := request.extensions.get("trace")) is not None:
            await trace("http11.send_request_headers.started", {})
        fault = self._history.fault(self._process)
        if fault == "refused":
            raise httpx.ConnectError("Connection refused", request=request)
        arrived = self._history.serve(self._carry_out(request, fault))
        try:
            if fault == "proxy":
                await asyncio.sleep(self._history.dice.choice([0, 1, 20]))
                return httpx.Response(self._history.dice.choice([500, 502, 503, 504]), html="<html></html>")
            response = await asyncio.wait_for(asyncio.shield(arrived), self._history.account.timeout)
        except TimeoutError:
            raise httpx.ReadTimeout("The response does not come", request=request) from None
        finally:
            await self._process.step()
        if response is None:
            raise httpx.RemoteProtocolError("Server disconnected", request=request)
        return response

    async def _carry_out(self, request, fault):
        dice, is_late = self._history.dice, fault is not None and fault.startswith("late")
        await asyncio.sleep(dice.uniform(0, _LATEST) if is_late else self._history.latency())
        is_lost = dice.random() < _LOST.get(fault, 0.0)
        response = None if is_lost else await self._service.handle_async_request(request)
        if response is not None and request.method == "POST":
            self._history.tell(f"{request.content.decode()} of {self._process.name}: {response.status_code}")
        await asyncio.sleep(self._history.latency())
        if fault in ("error", "error after"):
            return httpx.Response(500, json={"error": {"code": "internal_error", "message": "Sorry"}}, request=request)
        if fault in ("unanswered", "late unanswered"):
            return None
        if fault == "truncated":
            return httpx.Response(response.status_code, content=response.content[: len(response.content) // 2])
        return response
