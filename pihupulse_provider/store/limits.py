"""The account's rate limit in a row of the store: one for all processes of a machine or a fleet."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from pihupulse_provider.api.clock import now
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.api.rate_limit import (
    LimitState,
    Plan,
    Slot,
    give_back,
    most_ahead,
    reserve,
    reserve_several,
    spend_burst,
    stand_alone,
)
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders, observe
from pihupulse_provider.store.disagreements import Disagreements
from pihupulse_provider.store.engine import NoConnectionLeftError, Store, StoreError, insert_once
from pihupulse_provider.store.limit_row import accounts_table, locked_limit
from pihupulse_provider.store.reservations import Reservations

log = logging.getLogger(__name__)
_AWAY_SECONDS = (2.0, 30.0)
"""How long a store that failed is left alone, at least and at most. One that refuses at once costs nothing to ask, and
the sooner all are back the better they share; one that does not respond keeps a request waiting."""
_AWAY_FACTOR = 3.0
"""How many times as long as it took to fail a store is left alone."""
_BUSY_SECONDS = (1.0, 3.0)
"""Between which times a store without a connection left is asked again."""
_SOON = 1.0
"""Seconds within which a process that has used several slots takes more."""
_SPREAD_SECONDS = 0.2
"""Seconds over which waiting pollers spread when they ask again: else the nearest to the store would always win."""
_LONGEST_DELIVERY = 0.5
"""The most seconds by which slots are put off for the time that their reservation takes to arrive."""
_SET = 1.0
"""Seconds; by more than that a clock differs only if it was set."""
_UNKNOWN_SHARE = 1 / 32
"""The share of the rate that a process takes which has used nothing before the store went away."""


class StoreRateLimit:
    """An account's limit, shared by all processes that use the same store.

    Slots are reserved several at once (:mod:`pihupulse_provider.store.reservations`), and what responses say is written
    with the next of them, unless others need to know it at once. While the store can't be reached, this process goes
    on with its own share of the rate, as it had it in the last minute. A store that has no connection left is there
    for others: then its slots are waited for.

    :param store: where the limit is kept.
    :param account: the account's key.
    :param plan: the most that this process uses, whatever the service says; None to learn it from the service.
    :param clock: returns this process's steady time in epoch seconds; a slot's time is the store's.
    :ivar disagreements: what this process and others should agree on, and don't.
    """

    blocks = True

    def __init__(self, store: Store, account: str, plan: Plan | None = None, clock: Callable[[], float] = now) -> None:
        self._store = store
        self._account = account
        self._clock = clock
        self._ahead = 0.0
        self._delivery = 0.0
        self._known = LimitState(cap=plan)
        self._reservations = {False: Reservations(), True: Reservations()}
        self._unwritten: deque[tuple[Slot, RateLimitHeaders]] = deque(maxlen=1000)
        self._names: set[str] = set()
        self._new_names: deque[str] = deque()
        self._away_until = 0.0
        self._outage = OutageLog(log)
        self.disagreements = Disagreements()
        self._turn = threading.Lock()
        """Held while slots are reserved: one transaction at a time."""
        self._lock = threading.Lock()

    def known_as(self, connection: str) -> None:
        """Record, with the next change, that an Airflow connection stands for this account."""
        with self._lock:
            if connection not in self._names:
                self._names.add(connection)
                self._new_names.append(connection)

    @property
    def plan(self) -> Plan:
        """Return the plan in force, as far as this process knows."""
        return self._known.plan

    def now(self) -> float:
        """Return the time on the store's clock: a fleet's machines need not agree on theirs."""
        return self._clock() + self._ahead

    def reserve(self, *, poll: bool = False) -> Slot:
        """Take the next free slot; most were reserved before, and cost nothing."""
        reservations = self._reservations[poll]
        if self._is_away():
            return self._reserve_alone(reservations, poll=poll)  # whoever asks the store again may wait for long
        with self._lock:
            reservations.asking += 1
        try:
            with self._turn:
                return self._reserve(reservations, poll=poll)
        finally:
            with self._lock:
                reservations.asking -= 1

    def observe(self, slot: Slot, headers: RateLimitHeaders) -> None:
        """Correct the limit by what a response says; most say nothing that others must know at once."""
        self.disagreements.compare_clocks(self._seconds_ahead(headers), "PihuPulse's")
        if headers.sent_at > headers.received_at:
            headers = replace(headers, sent_at=headers.received_at)  # the store's clock was set meanwhile
        with self._lock:
            before, self._known = self._known, observe(self._known, slot, headers)
            if self._known == before:
                return
            self._unwritten.append((slot, headers))
            if self._known.voided > before.voided:
                for reservations in self._reservations.values():
                    reservations.drop()
            is_urgent = headers.limited or self._known.advertised != before.advertised or not self._is_busy()
        if is_urgent and not self._is_away():
            with self._turn:
                self._write_observations()

    def is_void(self, slot: Slot) -> bool:
        """Return whether all slots became void since this one was taken, as far as this process knows."""
        return slot.voided < self._known.voided

    def _reserve(self, reservations: Reservations, *, poll: bool) -> Slot:
        with self._lock:
            slot = reservations.take(self.now(), self._known.voided)
            wanted = reservations.wanted(self.now(), most_ahead(self.plan))
            left_out = reservations.left_out(self.now())
        if slot is not None:
            return slot
        if not self._is_away():
            began = self._clock()
            if self._away_until:
                self._away_until = began + _AWAY_SECONDS[1]
            try:
                slots = self._change(
                    lambda state, now: reserve_several(
                        give_back(state, left_out), now + self._delivery, wanted, poll=poll
                    )
                )
            except NoConnectionLeftError as error:
                self._away_until = min(self._away_until, began)
                self._outage.failed("%s. Requests wait until it has one.", error)
                return Slot(self.now() + random.uniform(*_BUSY_SECONDS), taken=False)
            except StoreError as error:
                self._leave(error, self._clock() - began)
            else:
                if poll and not slots[-1].taken:
                    slots[-1] = replace(slots[-1], at=slots[-1].at + random.uniform(0.0, _SPREAD_SECONDS))
                with self._lock:
                    reservations.add(slots, self._clock() - began)
                    # The first is used, however late it comes: nothing else would get on with a slow store.
                    return reservations.take(min(self.now(), slots[0].at), self._known.voided) or slots[-1]
        return self._reserve_alone(reservations, poll=poll)

    def _reserve_alone(self, reservations: Reservations, *, poll: bool) -> Slot:
        """Take a slot of this process's own share; it stands in no line, as the share may grow."""
        with self._lock:
            now = self.now()
            if (reserved := reservations.take(now, self._known.voided)) is not None:
                return reserved
            state, slot = reserve(self._known, now, poll=poll)
            if slot.at > now + 1:
                return Slot(now + 1, taken=False)
            self._known = state
            if slot.taken:
                reservations.used(now)
            return slot

    def _is_busy(self) -> bool:
        """Return whether this process goes to the store soon anyway."""
        return any(one.used_within(_SOON, self.now()) > 1 for one in self._reservations.values())

    def _write_observations(self) -> None:
        if not self._unwritten:
            return
        began = self._clock()
        try:
            self._change(lambda state, _now: (state, []))
        except NoConnectionLeftError:
            log.debug("Written with the next slots.")
        except StoreError as error:
            self._leave(error, self._clock() - began)

    def _change(self, step: Callable[[LimitState, float], tuple[LimitState, list[Slot]]]) -> list[Slot]:
        """Carry out a step on the shared state, after what this process's responses said since the last one."""
        self._record_names()
        with locked_limit(self._store, self._account, self._known.cap) as limit:
            locked_at = self._clock()
            with self._lock:
                self._set_clock(limit.now - locked_at)
                unwritten = list(self._unwritten)
            state = _observed(limit.state, unwritten)
            if self._away_until:
                # Nobody has written what was used without the store, and some go on so for a moment.
                state = spend_burst(state, limit.now + _AWAY_SECONDS[0] / 2)
            limit.state, slots = step(state, limit.now)
        with self._lock:
            for _ in unwritten:
                self._unwritten.popleft()
            self._delivery = min(self._clock() - locked_at, _LONGEST_DELIVERY)
            self._away_until = 0.0
            self._known = _observed(limit.state, self._unwritten)
        self._outage.recovered("The store keeps the rate limit again.")
        self.disagreements.compare_plans(self._known.cap, self._known.advertised)
        if not self._store.is_sqlite:
            self.disagreements.compare_clocks(-self._ahead, "the store's")
        return slots

    def _set_clock(self, ahead: float) -> None:
        """Follow the store's clock, also when it is set or another server takes over."""
        moved, self._ahead = ahead - self._ahead, ahead
        if abs(moved) > _SET:
            for reservations in self._reservations.values():
                reservations.move(moved)
            for _ in range(len(self._unwritten)):
                slot, headers = self._unwritten.popleft()
                sent_at, received_at = headers.sent_at + moved, headers.received_at + moved
                self._unwritten.append((slot, replace(headers, sent_at=sent_at, received_at=received_at)))

    def _seconds_ahead(self, headers: RateLimitHeaders) -> float | None:
        """Return by how much this process's clock is ahead of the service's; None if a response did not say."""
        ahead = headers.seconds_ahead
        return None if ahead is None else ahead - self._ahead

    def _record_names(self) -> None:
        """Write the names that are new here, before the row of the limit is locked."""
        while self._new_names:
            with self._store.begin(durable=False) as connection:
                name = {"account": self._account, "connection": self._new_names[0]}
                insert_once(connection, accounts_table, name)
            self._new_names.popleft()

    def _is_away(self) -> bool:
        return self._clock() < self._away_until

    def _leave(self, error: StoreError, seconds: float) -> None:
        """Go on for a while without the store, which took so many seconds to fail."""
        self._outage.failed(
            "%s. Until it can be reached, this process goes on with its own share of the rate limit.", error
        )
        with self._lock:
            if not self._away_until:
                pace = sum(one.pace(self.now()) for one in self._reservations.values())
                share = min(1.0, pace / self.plan.requests_per_minute) or _UNKNOWN_SHARE
                last_at = max(one.last_at for one in self._reservations.values())
                self._known = stand_alone(self._known, self.now(), share, last_at)
            least, most = _AWAY_SECONDS
            self._away_until = self._clock() + min(max(least, _AWAY_FACTOR * seconds), most)


def _observed(state: LimitState, updates: Iterable[tuple[Slot, RateLimitHeaders]]) -> LimitState:
    for slot, headers in updates:
        state = observe(state, slot, headers)
    return state


_shared: dict[tuple[int, str, Plan | None], StoreRateLimit] = {}
_shared_lock = threading.Lock()


def shared_rate_limit(store: Store, account: str, plan: Plan | None = None) -> StoreRateLimit:
    """Return this process's one view, under a plan, of an account's limit in a store."""
    with _shared_lock:
        key = (id(store), account, plan)
        if key not in _shared:
            _shared[key] = StoreRateLimit(store, account, plan)
        return _shared[key]
