"""The slots that one process has reserved at once, and when it is its turn to reserve more.

Going to a shared store for each request would make the store the limit. So a process that has run out of slots takes
one for each of its callers that waits, or as many as it uses in a fortieth of a second, whichever is more; but no more
than the account's rate allows in :data:`~pihupulse_provider.api.rate_limit.AHEAD_SECONDS`, and less where many do, so
that others get their turn, and a killed process leaves no longer gap. An example, 16 senders at 1,000 requests a
minute, which is one in 0.06 seconds, once the burst is spent:

    ======== ==================================================================================
    at       what happens
    ======== ==================================================================================
    100.00   one asks: 15 others wait since the last turn, so 16 slots are reserved, up to 100.90
    100.00   the 15 take theirs as they come, and sleep until its time
    100.05   the first has its response, and asks again: it is told to come back at 100.65
    100.65   one of those that came back reserves 10 slots for all ten
    ======== ==================================================================================

A slot that nobody used in time is left out, and given back with the next turn: it may be used a little late.

Where the store is far, or many processes wait for its row, a process would spend its time waiting for slots. So it then
takes twice as many as it used since its last turn, those beyond its callers spread over the time that a turn takes; up
to where some were left out: from there on it takes only as many as are used, and now and then one more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from pihupulse_provider.api.rate_limit import AHEAD_SECONDS, MINUTE, Slot, Wanted

_LATEST = 0.05
"""Seconds after its time up to which a slot may be used: part of what a plan allows for requests that bunch up."""
_PACE_SECONDS = _LATEST / 2
"""Slots are reserved for what a process uses in so many seconds: then it uses them in time, also if it slows down."""
_MEASURED_SECONDS = 0.5
"""Its pace is the mean of so many seconds: a single moment's is twice as much, or none."""
_EARLY = 0.25
"""Seconds before the last reserved slot's time at which more are reserved; where slots are spread over the time that a
turn takes, as long as that."""
_SLOW_TURN = _PACE_SECONDS
"""Seconds; a transaction that takes longer is slow: more callers come meanwhile than the pace predicts."""
_RECENT_SECONDS = 2.0
"""Who used nothing for longer begins with what is asked for."""
_SHORTEST_PACE = 15.0
"""Seconds over which the pace is taken at least, without the beginning, when what was left of the burst is used."""
_PROBE = 17 / 16
"""How fast a turn grows once it is known how many are used: slowly, as the slots that it leaves out cost rate."""


class Reservations:
    """The reserved slots of one kind (work, or polls) in a process; its owner holds a lock around each call.

    :ivar asking: how many callers are asking at this moment. ``last_at``: the time of the last slot reserved.
    """

    def __init__(self) -> None:
        self.asking = 0
        self.last_at = 0.0
        self._reserved: deque[Slot] = deque()
        self._waiting = 0
        self._turn_at = 0.0
        self._turn_seconds = 0.0
        self._is_spread = False
        self._most_used: float | None = None
        self._used_of_turn = 0
        self._left_out: list[Slot] = []
        self._used: deque[float] = deque(maxlen=1000)

    def take(self, now: float, voided: int) -> Slot | None:
        """Return a reserved slot, or when to ask again; None if it is time to reserve more.

        :param voided: the state's count of that name: slots reserved before it was counted up are not used.
        """
        while self._reserved:
            slot = self._reserved.popleft()
            if slot.voided >= voided and slot.at >= now - _LATEST:
                self.used(now)
                return slot
            if slot.voided >= voided:
                self._left_out.append(slot)
        if now >= self._turn_at:
            return None
        self._waiting += 1
        return Slot(self._turn_at, taken=False)

    def left_out(self, now: float) -> list[Slot]:
        """Return the slots of the last turn that nobody used in time; a while later, the burst may be whole again."""
        return [slot for slot in self._left_out if slot.at > now - _RECENT_SECONDS]

    def wanted(self, now: float, most: int) -> Wanted:
        """Return how many slots to reserve now.

        :param most: how many are reserved at most for callers that are not there yet.
        """
        pace = self.used_within(_MEASURED_SECONDS, now) / _MEASURED_SECONDS
        at_once = max(1, self.asking, self._waiting, min(most, int(pace * _PACE_SECONDS)))
        later = max(0, min(most, self._grown(now)) - at_once)
        self._is_spread = later > 0
        return Wanted(at_once, later, min(self._turn_seconds, AHEAD_SECONDS))

    def add(self, slots: Sequence[Slot], seconds: float) -> None:
        """Take in what was reserved, which took so many seconds; the last may be one that was not to be had yet."""
        self._learn()
        self._waiting = 0
        self._turn_seconds = seconds
        taken = [slot for slot in slots if slot.taken]
        self._reserved.extend(taken)
        self.last_at = taken[-1].at if taken else self.last_at
        early = max(_EARLY, seconds) if self._is_spread else _EARLY
        self._turn_at = slots[-1].at - early if slots[-1].taken else slots[-1].at

    def drop(self) -> None:
        """Let more be reserved at once, as what was has become void."""
        self._turn_at = 0.0

    def move(self, seconds: float) -> None:
        """Move all times, as the clock that they are of was set."""
        self._turn_at += seconds
        self.last_at += seconds
        self._reserved = deque(replace(slot, at=slot.at + seconds) for slot in self._reserved)
        self._used = deque((at + seconds for at in self._used), self._used.maxlen)

    def used(self, now: float) -> None:
        """Take note that a slot was used."""
        self._used.append(now)
        self._used_of_turn += 1

    def used_within(self, seconds: float, now: float) -> int:
        """Return how many slots were used in the last so many seconds, as far as the last thousand show."""
        return sum(1 for _ in takewhile(lambda used_at: used_at > now - seconds, reversed(self._used)))

    def pace(self, now: float) -> float:
        """Return how many slots a minute it uses: over the last minute, or half the time for which it has used any."""
        known = now - self._used[0] if self._used else 0.0
        seconds = min(MINUTE, max(_SHORTEST_PACE, known / 2))
        return self.used_within(seconds, now) * MINUTE / seconds

    def _grown(self, now: float) -> int:
        """Return how many slots a process takes for which transactions are slow."""
        if self._turn_seconds <= _SLOW_TURN or self._waiting:
            return 0
        used = min(self._used_of_turn, self.used_within(_RECENT_SECONDS + self._turn_seconds, now))
        wanted = used if self._left_out else 2 * used
        return wanted if self._most_used is None else min(wanted, int(self._most_used))

    def _learn(self) -> None:
        """Learn from the last turn how many slots are used in time."""
        if self._left_out:
            self._most_used = max(1.0, self._used_of_turn)
        elif self._most_used is not None and self._used_of_turn >= int(self._most_used):
            self._most_used *= _PROBE
        self._used_of_turn = 0
        self._left_out = []
