"""The account's rate limit in a row of the store: one for all processes of a machine or a fleet."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, fields

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from pihupulse_provider.api.clock import now
from pihupulse_provider.api.limiter import MemoryRateLimit
from pihupulse_provider.api.outage_log import OutageLog
from pihupulse_provider.api.plans import Plan
from pihupulse_provider.api.rate_limit import LimitState, RateLimitHeaders, Slot, observe, reserve
from pihupulse_provider.store.disagreements import Disagreements, seconds_ahead
from pihupulse_provider.store.engine import Store, StoreError, metadata

log = logging.getLogger(__name__)
_AWAY_SECONDS = 30.0
"""How long a store that failed is left alone."""
_WRITTEN = {field.name for field in fields(LimitState)} - {"cap"}

limits = sa.Table(
    "pihupulse_limits",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
)


class StoreRateLimit:
    """An account's limit, shared by all processes that use the same store.

    While the store can't be reached, this process keeps a limit of its own, which the responses' headers correct.

    :param store: where the limit is kept.
    :param account: the account's key.
    :param plan: the most that this process uses, whatever the service tells; None to learn it from the service.
    :param clock: returns this process's steady time in epoch seconds; a slot's time is the store's.
    :ivar disagreements: what this process and others should agree on, and don't.
    """

    blocks = True

    def __init__(self, store: Store, account: str, plan: Plan | None = None, clock: Callable[[], float] = now) -> None:
        self._store = store
        self._account = account
        self._clock = clock
        self._ahead = 0.0
        self._own = MemoryRateLimit(plan, self.now)
        self._known = LimitState(cap=plan)
        self._away_until = 0.0
        self._outage = OutageLog(log)
        self.disagreements = Disagreements()
        self._lock = threading.Lock()

    @property
    def plan(self) -> Plan:
        """Return the plan in force, as far as this process knows."""
        return self._known.plan

    def now(self) -> float:
        """Return the time on the store's clock: a fleet's machines need not agree on theirs."""
        return self._clock() + self._ahead

    def reserve(self, *, poll: bool = False) -> Slot:
        """Take the next free slot."""
        if not self._is_away():
            try:
                return self._change(lambda state, now: reserve(state, now, poll=poll))
            except StoreError as error:
                self._leave(error)
        return self._own.reserve(poll=poll)

    def observe(self, slot: Slot, headers: RateLimitHeaders) -> None:
        """Correct the limit by what a response says; most say nothing new and cost nothing."""
        self._own.observe(slot, headers)
        self.disagreements.compare_clocks(self._seconds_ahead(headers), "PihuPulse's")
        if self._is_away() or observe(self._known, slot, headers) == self._known:
            return
        try:
            self._change(lambda state, _now: (observe(state, slot, headers), slot))
        except StoreError as error:
            self._leave(error)

    def is_void(self, slot: Slot) -> bool:
        """Return whether the account was paused since the slot was taken, as far as this process knows."""
        return self._own.is_void(slot) if self._is_away() else slot.pauses < self._known.pauses

    def _change(self, step: Callable[[LimitState, float], tuple[LimitState, Slot]]) -> Slot:
        with self._lock, self._store.begin(durable=False) as connection:
            state = self._read(connection)
            shared_now = self._store.now(connection)
            self._ahead = shared_now - self._clock()
            self._known, slot = step(state, shared_now)
            if self._known != state:
                connection.execute(
                    limits.update().where(limits.c.account == self._account).values(state=_dump(self._known))
                )
        self._outage.recovered("The store keeps the rate limit again.")
        self.disagreements.compare_plans(self._known.cap, self._known.advertised)
        if not self._store.is_sqlite:
            self.disagreements.compare_clocks(-self._ahead, "the store's")
        return slot

    def _seconds_ahead(self, headers: RateLimitHeaders) -> float | None:
        """Return by how much this process's clock is ahead of the service's; None if a response did not tell."""
        ahead = seconds_ahead(headers)
        return None if ahead is None else ahead - self._ahead

    def _read(self, connection: Connection) -> LimitState:
        query = sa.select(limits.c.state).where(limits.c.account == self._account).with_for_update()
        text = connection.execute(query).scalar()
        if text is None:
            self._insert(connection)
            text = connection.execute(query).scalar_one()
        return _load(text, self._known.cap)

    def _insert(self, connection: Connection) -> None:
        try:
            with connection.begin_nested():
                connection.execute(limits.insert().values(account=self._account, state=_dump(LimitState())))
        except IntegrityError:
            log.debug("Another process began the account's limit at the same time.")

    def _is_away(self) -> bool:
        return self._clock() < self._away_until

    def _leave(self, error: StoreError) -> None:
        self._outage.failed("%s. Until it can be reached, this process keeps the rate limit on its own.", error)
        self._away_until = self._clock() + _AWAY_SECONDS


def _dump(state: LimitState) -> str:
    """Write a state as JSON without its cap: that is each process's own."""
    document = asdict(state)
    del document["cap"]
    return json.dumps(document)


def _load(text: str, cap: Plan | None) -> LimitState:
    """Read a state; one that another version of this package wrote otherwise counts as none."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.keys() != _WRITTEN:
        return LimitState(cap=cap)
    advertised = document.pop("advertised")
    return LimitState(advertised=Plan(*advertised) if advertised else None, cap=cap, **document)


_shared: dict[tuple[int, str, Plan | None], StoreRateLimit] = {}
_shared_lock = threading.Lock()


def shared_rate_limit(store: Store, account: str, plan: Plan | None = None) -> StoreRateLimit:
    """Return this process's one view, under a plan, of an account's limit in a store."""
    with _shared_lock:
        key = (id(store), account, plan)
        if key not in _shared:
            _shared[key] = StoreRateLimit(store, account, plan)
        return _shared[key]
