"""A fleet in virtual time, with the real client and store: what :mod:`limit_histories` are made of.

Each task is a thread, of which one runs at a time: the one whose time has come.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections import deque
from contextlib import contextmanager
from email.utils import formatdate

import httpx

from pihupulse_provider.api import Account, Client, endpoints
from pihupulse_provider.api.errors import NoAnswerError, NotSentError, PihuPulseError
from pihupulse_provider.api.response import Response
from pihupulse_provider.api.retry import RetryPolicy
from pihupulse_provider.sandbox.limits import Bucket, Window
from pihupulse_provider.store.engine import NoConnectionLeftError, Store, StoreError
from pihupulse_provider.store.limits import StoreRateLimit

START = 1_700_000_017.0
CALL = endpoints.list_templates()
NETWORK_FAULTS = ("refused", "unanswered", "slow", "late")


class EndedError(BaseException):
    """The history is over."""


class Hub:
    """Lets one task after the other run."""

    def __init__(self):
        self.now = 0.0
        self._is_over = False
        self._events, self._order = [], itertools.count()
        self._idle = threading.Semaphore(0)
        self._own = threading.local()
        self._tasks = []

    def spawn(self, work, at):
        turn = threading.Semaphore(0)

        def run():
            self._own.turn = turn
            try:
                self._await_turn()
                work()
            except EndedError:
                pass
            finally:
                self._idle.release()

        self._tasks.append((threading.Thread(target=run, daemon=True), turn))
        self._tasks[-1][0].start()
        self.schedule(turn, at)

    def schedule(self, turn, at):
        event = [max(at, self.now), next(self._order), turn]
        heapq.heappush(self._events, event)
        return event

    def sleep(self, seconds):
        self.schedule(self._own.turn, self.now + seconds)
        self.pause()

    def pause(self):
        self._idle.release()
        self._await_turn()

    def own_turn(self):
        return self._own.turn

    def run(self, until):
        while self._events and self._events[0][0] <= until:
            self.now, _, turn = heapq.heappop(self._events)
            if turn is not None:
                turn.release()
                self._idle.acquire()
        self.now = until

    def end(self):
        self._is_over = True
        for thread, turn in self._tasks:
            turn.release()
            thread.join()

    def _await_turn(self):
        self._own.turn.acquire()
        if self._is_over:
            raise EndedError


class VirtualLock:
    def __init__(self, hub):
        self._hub, self._is_held, self._waiting = hub, False, deque()

    def acquire(self, seconds=math.inf):
        """Return whether it was got in time."""
        if not self._is_held:
            self._is_held = True
            return True
        waiter = [self._hub.own_turn(), False]
        self._waiting.append(waiter)
        alarm = self._hub.schedule(waiter[0], self._hub.now + seconds) if seconds < math.inf else [0, 0, None]
        self._hub.pause()
        if waiter[1]:
            alarm[2] = None
        else:
            self._waiting.remove(waiter)
        return waiter[1]

    def release(self):
        if not self._waiting:
            self._is_held = False
            return
        waiter = self._waiting.popleft()
        waiter[1] = True
        self._hub.schedule(waiter[0], self._hub.now)

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


class Service:
    """PihuPulse with one of its limiters, and headers that may be wrong in one of several ways.

    :ivar log: when each request came, from which process, whether it was a poll, and what became of it.
    """

    def __init__(self, fleet, rate, burst, *, reading, reset, headers, skew):
        self._fleet, self.rate, self._headers, self._skew = fleet, rate, headers, skew
        bucket = Bucket(rate, burst, reset or "next-slot")
        self._limiter = bucket if reading == "bucket" else Window(rate, rate, reset or "window-end")
        self.log = []

    def count(self, kind, begin, end):
        return sum(1 for at, *_, became in self.log if became == kind and begin <= at < end)

    def respond(self, process, *, poll):
        now = START + self._fleet.hub.now
        fault = self._fleet.fault(process, network=False)
        if fault is not None:
            self.log.append((self._fleet.hub.now, process.name, poll, "fault"))
            gateway = {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "9", "x-ratelimit-reset": f"{now + 30:.0f}"}
            return {
                "500": (500, {}),
                "bare 429": (429, {}),
                "retry-after": (429, {"retry-after": "20"}),
                "gateway": (502, gateway),
            }[fault]
        verdict = self._limiter.take(now)
        self.log.append((self._fleet.hub.now, process.name, poll, "served" if verdict.allowed else "limited"))
        return 200 if verdict.allowed else 429, self._shown(verdict, now)

    def _shown(self, verdict, now):
        reset = math.ceil(verdict.reset + self._skew)
        resets = {
            "delta": math.ceil(verdict.reset - now),
            "milliseconds": reset * 1000,
            "far": reset + 10**8,
            "stale": reset - 3600,
        }
        headers = {
            "date": formatdate(math.floor(now + self._skew), usegmt=True),
            "x-ratelimit-limit": str(verdict.limit),
            "x-ratelimit-remaining": str(verdict.remaining),
            "x-ratelimit-reset": str(resets.get(self._headers, reset)),
        }
        return {} if self._headers == "none" else headers


class _Store(Store):
    """A store that takes its time, is away or has no connection left."""

    def __init__(self, process):
        self._process, self._fleet = process, process.fleet
        super().__init__(process.fleet.url, lambda: START + self._fleet.hub.now + self._fleet.store_apart)

    @contextmanager
    def begin(self, *, durable=True):
        self._fleet.transactions += 1
        fault = self._fleet.store_fault()
        if fault == "away":
            raise StoreError("The store is away")
        if fault == "silent":
            self._process.sleep(10.0)
            raise StoreError("The store does not answer")
        if fault == "full":
            self._process.sleep(5.0)
            raise NoConnectionLeftError("too many clients already")
        if not self._fleet.row.acquire(30.0):
            raise StoreError("The row stays locked")
        seconds = 0.3 if fault == "slow" else self._fleet.store_seconds
        try:
            self._process.sleep(seconds / 2)
            with super().begin(durable=durable) as connection:
                yield connection
            self._process.sleep(seconds / 2)
        finally:
            self._fleet.row.release()


class _Client(Client):
    """The client, with a network of its own."""

    def of(self, process, *, poll):
        self._process, self._poll = process, poll
        return self

    def _send(self, _call):
        process, fleet = self._process, self._process.fleet
        sent_at = self.limit.now()
        fault = fleet.fault(process, network=True)
        if fault == "refused":
            return NotSentError("Connection refused")
        if fault == "unanswered":
            process.sleep(30.0)
            return NoAnswerError("It took too long")
        process.sleep(fleet.latency * fleet.dice.uniform(0.35, 0.65) + (1.5 if fault == "slow" else 0.0))
        status, headers = fleet.service.respond(process, poll=self._poll)
        process.sleep(fleet.latency * fleet.dice.uniform(0.35, 0.65) + (3.0 if fault == "late" else 0.0))
        return Response(status, headers, b'{"data": []}' if status == 200 else b"", sent_at, self.limit.now())


class Process:
    """One with a clock of its own.

    :ivar stopped_until: when it goes on. ``is_dead``: whether it was killed. ``done``: when it had which response.
    """

    def __init__(self, fleet, name, *, apart, plan):
        self.fleet, self.name, self.stopped_until, self.is_dead = fleet, name, 0.0, False
        self.done = {False: [], True: []}
        self.senders = {False: 0, True: 0}

        def clock():
            return START + fleet.hub.now + apart

        self.limit = StoreRateLimit(_Store(self), "account", plan, clock)
        self.limit._turn = VirtualLock(fleet.hub)

    def sleep(self, seconds):
        self.fleet.hub.sleep(seconds)
        while (left := self.stopped_until - self.fleet.hub.now) > 0:
            self.fleet.hub.sleep(left)
        if self.is_dead:
            raise EndedError

    def work(self, senders, *, poll=False):
        """Send as fast as the limit allows."""
        self.senders[poll] += senders
        dice, transport = self.fleet.dice, httpx.MockTransport(lambda _request: httpx.Response(500))
        account = Account("pp_test", "http://127.0.0.1:1/v1")
        options = {"retry": RetryPolicy(random=dice.random), "transport": transport}
        client = _Client(account, limit=self.limit, sleep=self.sleep, **options).of(self, poll=poll)

        def send():
            while True:
                try:
                    client.run(CALL, poll=poll)
                    self.done[poll].append(self.fleet.hub.now)
                except PihuPulseError:
                    self.sleep(1.0)

        for _ in range(senders):
            self.fleet.hub.spawn(send, self.fleet.hub.now + dice.random() / 100)


class Fleet:
    """Processes that share an account.

    :ivar faults: of the service and the way to it, and ``store_faults``: when they begin and end, and what they are.
    """

    def __init__(self, url, dice, *, latency, store_seconds, **service):
        self.hub, self.url, self.dice = Hub(), url, dice
        self.latency, self.store_seconds = latency, store_seconds
        self.service = Service(self, **service)
        self.row = VirtualLock(self.hub)
        self.store_apart, self.transactions = 0.0, 0
        self.processes, self.faults, self.store_faults = [], [], []

    def start(self, **options):
        self.processes.append(Process(self, f"process {len(self.processes)}", **options))
        return self.processes[-1]

    def fault(self, _process, *, network):
        for begin, end, kind, share in self.faults:
            if (kind in NETWORK_FAULTS) is network and begin <= self.hub.now < end and self.dice.random() < share:
                return kind
        return None

    def store_fault(self):
        return next((kind for begin, end, kind in self.store_faults if begin <= self.hub.now < end), None)

    def end(self):
        self.hub.end()
        for process in self.processes:
            process.limit._store.dispose()
