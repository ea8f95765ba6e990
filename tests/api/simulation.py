"""A service with a rate limit and several senders, in simulated time."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from dataclasses import dataclass, field

from pihupulse_provider.api.rate_limit import LimitState, Seen, Slot, observe, reserve


@dataclass
class Server:
    """Counts as a bucket or as a fixed window, and tells its reset in one of three meanings."""

    rate: float
    burst: float
    reading: str = "bucket"
    reset: str = "next-slot"
    skew: float = 0.0
    headers: bool = True
    retry_after: bool = False
    starts_at: float = 1_000_000.0
    tokens: float = field(init=False)
    refilled_at: float = field(init=False)
    window: int = -1
    used: int = 0
    refused: int = 0
    accepted: int = 0

    def __post_init__(self):
        self.tokens = self.burst
        self.refilled_at = self.starts_at

    def handle(self, now):
        if self.reading == "bucket":
            self.tokens = min(self.burst, self.tokens + (now - self.refilled_at) * self.rate / 60)
            self.refilled_at = now
            admitted = self.tokens >= 1
            self.tokens -= admitted
            remaining = int(self.tokens)
            resets = {
                "next-slot": now + max(0.0, 1 - self.tokens) * 60 / self.rate,
                "full-bucket": now + (self.burst - self.tokens) * 60 / self.rate,
                "window-end": self.starts_at + (math.floor((now - self.starts_at) / 60) + 1) * 60,
            }
            reset = resets[self.reset]
        else:
            window = math.floor((now - self.starts_at) / 60)
            if window != self.window:
                self.window, self.used = window, 0
            admitted = self.used < self.rate
            self.used += admitted
            remaining = int(self.rate - self.used)
            reset = self.starts_at + (window + 1) * 60
        self.refused += not admitted
        self.accepted += admitted
        if not self.headers:
            return admitted, {}
        served = math.floor(now + self.skew)
        told = math.ceil(reset + self.skew)
        return admitted, {"limit": self.rate, "remaining": remaining, "resets_in": max(0.0, told - served)}

    def least_seconds(self, requests):
        if self.reading == "bucket":
            return max(0.0, (requests - self.burst) * 60 / self.rate)
        return (math.ceil(requests / self.rate) - 1) * 60.0


def run(server, requests, *, senders=16, processes=1, shared=True, latency=0.05, jitter=0.01, state=None, seed=1):
    """Send so many requests; return the simulated seconds until the last was accepted."""
    chance = random.Random(seed)
    states = [state or LimitState() for _ in range(1 if shared else processes)]
    events, order = [], itertools.count()
    start = server.starts_at
    todo = requests
    last = start

    def push(at, kind, *payload):
        heapq.heappush(events, (at, next(order), kind, payload))

    for sender in range(senders * processes):
        push(start, "begin", sender)
    while events:
        now, _, kind, payload = heapq.heappop(events)
        sender = payload[0]
        which = 0 if shared else sender % processes
        if kind == "begin":
            if not todo:
                continue
            todo -= 1
            kind = "ask"
        if kind == "ask":
            states[which], slot = reserve(states[which], now)
            push(slot.at, "go" if slot.taken else "ask", sender, slot)
        elif kind == "go":
            slot: Slot = payload[1]
            if slot.pauses < states[which].pauses:
                push(now, "ask", sender)
            else:
                push(now + latency / 2 + jitter * chance.random(), "arrive", sender, slot, now)
        elif kind == "arrive":
            admitted, told = server.handle(now)
            push(now + latency / 2 + jitter * chance.random(), "answer", sender, payload[1], payload[2], admitted, told)
        else:
            _, slot, sent_at, admitted, told = payload
            seen = Seen(sent_at=sent_at, received_at=now, limited=not admitted, backoff=0.75, **told)
            states[which] = observe(states[which], slot, seen)
            if admitted:
                last = now
                push(now, "begin", sender)
            else:
                push(now, "ask", sender)
    assert server.accepted == requests
    return last - start
