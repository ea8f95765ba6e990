"""One poller for all waits of an account in an event loop."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

from pihupulse_provider.api import clock
from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.logs import OutageLog, counted
from pihupulse_provider.waiting.per_loop import PerLoop, in_background
from pihupulse_provider.waiting.poll_round import PollRound, run_round_async
from pihupulse_provider.waiting.request_plan import ListPositions
from pihupulse_provider.waiting.subscriptions import Subscription, Subscriptions
from pihupulse_provider.waiting.wait_spec import SUCCEEDED
from pihupulse_provider.waiting.wait_state import ScreeningSnapshot, WaitState

log = logging.getLogger(__name__)
OpenClient = Callable[[], Awaitable[AsyncClient]]
Updates = Callable[[], AsyncIterator[Sequence[ScreeningSnapshot] | None]]
_SHARE = 0.5
"""The part of the account's sustained rate that waiting may use."""
_GATHER_SECONDS = 0.1
"""How long a round waits for others that begin at the same time."""
_PATIENCE = 5.0
"""While updates come, polling only makes up for lost ones: so many times less often."""
_RECENT_UPDATES = 10_000
"""How many updates are kept for those who begin to wait later."""
_QUIET_SECONDS = 300.0
"""How often the log hears of rounds that go alike."""


class SharedPoller:
    """Polls everything that waits, and notifies each wait of what was seen.

    It runs while anybody waits, and never ends a wait because of an error that may pass.

    Once an update has come (:meth:`hear`), polling goes on five times less often, in case one is lost, until updates
    can't be read, or a poll finds what no update said.

    :param now: returns the time, in epoch seconds.
    """

    def __init__(self, now: Callable[[], float] = clock.now) -> None:
        self._now = now
        self._subscriptions = Subscriptions()
        self._positions = ListPositions()
        self._rounds = _RoundLog(now)
        self._updates: dict[str, Updates] = {}
        self._listeners: set[asyncio.Task[None]] | None = None
        self._recent: dict[str, ScreeningSnapshot] = {}
        self._trust = _Trust()
        self._change = asyncio.Event()
        self._not_before = 0.0
        self._runner: asyncio.Task[None] | None = None

    def hear(self, connection: str, updates: Updates | None) -> None:
        """Take part in the updates of a connection from now on, whenever anybody waits.

        :param updates: begins to yield what happens without being polled, and None when it can't say for now; None if
            there are none.
        """
        if updates is None or connection in self._updates:
            return
        self._updates[connection] = updates
        if self._listeners is not None:
            self._listeners.add(in_background(self._listen(updates)))

    @contextmanager
    def subscribe(self, state: WaitState, open_client: OpenClient) -> Iterator[Subscription]:
        """Take part for as long as the context lasts.

        :param open_client: makes the client, if the poller is not running.
        """
        subscription = Subscription(state, self._now())
        self._subscriptions.add(subscription)
        self._subscriptions.notify([self._recent[one] for one in state.spec.screenings if one in self._recent])
        self._change.set()
        if self._runner is None:
            self._runner = in_background(self._run(open_client))
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self._change.set()

    def poll_now(self, subscription: Subscription) -> None:
        """Poll a wait as soon as the rate allows it, together with whoever else is due."""
        subscription.due_at = -math.inf
        self._change.set()

    async def _run(self, open_client: OpenClient) -> None:
        try:
            async with await open_client() as client, self._listening():
                while self._subscriptions:
                    await self._rest()
                    await self._round(client)
                self._runner = None
        except Exception as error:
            waits = counted(len(self._subscriptions), "wait")
            if isinstance(error, PihuPulseError) and error.permanent:
                log.warning("PihuPulse refuses to be polled; the tasks of %s try themselves: %s", waits, error)
            else:
                log.exception("Polling for %s has broken off; their tasks try themselves.", waits)
            self._runner = None
            self._subscriptions.fail(error)

    async def _round(self, client: AsyncClient) -> None:
        started_at = self._now()
        due = self._subscriptions.due(started_at)
        wanted = {one: candidate for subscription in due for one, candidate in subscription.state.open.items()}
        round_ = PollRound(wanted, self._positions, self._subscriptions)
        try:
            await run_round_async(client, round_, lambda: self._take_polled(round_.drain()))
        except PihuPulseError as error:
            if error.permanent:
                raise
            self._rounds.failed(len(due), error)
        else:
            for subscription in due:
                self._subscriptions.notify(subscription.state.gone(round_.missing, started_at))
            if round_.error is None:
                self._rounds.done(self._subscriptions, round_.sent)
            else:
                self._rounds.failed(len(due), round_.error)
        self._not_before = started_at + round_.sent * client.limit.plan.interval / _SHARE
        # Whoever's screenings were all on pages that were read anyway need not be polled again so soon.
        for subscription in (*due, *self._subscriptions.seen(round_.seen)):
            subscription.polled(started_at, started_at + self._pause(subscription, started_at))
        self._positions.keep(self._subscriptions)
        self._trust.warn()

    def _take_polled(self, snapshots: Sequence[ScreeningSnapshot]) -> None:
        """Hand on what a poll saw; what no update said shows that polling must not lean on updates."""
        if self._updates:
            silent = (one for one in snapshots if one.screening_id not in self._recent)
            self._trust.polled(one for one in silent if one.screening_id in self._subscriptions)
        self._subscriptions.notify(snapshots)
        self._hasten()

    def _hasten(self) -> None:
        """Poll as often as without updates, at once if they can't be leaned on any more."""
        if not self._trust.is_earned:
            self._subscriptions.hasten(self._now())
            self._change.set()

    async def _rest(self) -> None:
        """Sleep until a round is due; whoever comes or goes meanwhile can change when that is."""
        await asyncio.sleep(_GATHER_SECONDS)
        while self._subscriptions and (pause := self._next_round() - self._now()) > 0:
            self._change.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._change.wait()

    def _next_round(self) -> float:
        return max(self._not_before, self._subscriptions.next_due())

    def _pause(self, subscription: Subscription, now: float) -> float:
        return subscription.state.spec.pause(now) * (_PATIENCE if self._trust.is_earned else 1.0)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        # Nobody knows yet whether updates still come.
        self._trust.is_earned = False
        listeners = self._listeners = {in_background(self._listen(updates)) for updates in self._updates.values()}
        try:
            yield
        finally:
            self._listeners = None
            for listener in listeners:
                listener.cancel()
            if listeners:
                await asyncio.wait(listeners)

    async def _listen(self, updates: Updates) -> None:
        async for fresh in updates():
            self._trust.updated(fresh)
            if fresh is None:
                self._hasten()
                continue
            self._subscriptions.notify(fresh)
            self._recent.update((one.screening_id, one) for one in fresh)
            while len(self._recent) > _RECENT_UPDATES:
                del self._recent[next(iter(self._recent))]


class _Trust:
    """Whether updates come, so that polling may be rare; earned by each update, and lost by one that did not come.

    Example: a wait is polled each minute. A webhook reports its first screening, so from now on every five minutes. A
    poll finds a second one completed that no webhook reported: each minute again, until the next webhook.
    """

    def __init__(self) -> None:
        self.is_earned = False
        self._unreported: set[str] = set()
        self._overdue: set[str] = set()
        self._outage = OutageLog(log)

    def updated(self, updates: Sequence[ScreeningSnapshot] | None) -> None:
        """Take note of updates, or of None: they can't be read for now."""
        if updates is None:
            self.is_earned = False
        elif updates:
            self.is_earned = True
            self._unreported, self._overdue = set(), set()
            self._outage.recovered("Webhooks of completed screenings come again: polling goes on slowly.")

    def polled(self, snapshots: Iterable[ScreeningSnapshot]) -> None:
        """Take note of what a poll saw of screenings that somebody still waits for, and of which no update told."""
        completed = {one.screening_id for one in snapshots if one.status in SUCCEEDED}
        if completed:
            self.is_earned = False
            self._unreported |= completed

    def warn(self) -> None:
        """Warn if nothing was reported of what earlier rounds found."""
        if self._overdue:
            self._outage.failed(
                "Polling found screenings completed that no webhook reported, such as %s, so it goes on at its own "
                "interval. Check that the receiver and this triggerer have the same [pihupulse] store_url, and that "
                "PihuPulse's dashboard (Settings → Webhooks) names the receiver's address.",
                min(self._overdue),
            )
        self._overdue, self._unreported = self._unreported, set()


class _RoundLog:
    """Says what a poller does, at a pace that a person can follow: the same at most every five minutes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._said_at: dict[int, float] = {}
        self._requests = 0
        self._rounds = 0

    def done(self, subscriptions: Subscriptions, requests: int) -> None:
        """Log a round that saw everything it wanted."""
        self._rounds += 1
        self._requests += requests
        self._said_at.pop(logging.WARNING, None)
        message = (
            f"Polling {counted(subscriptions.screenings, 'screening')} for {counted(len(subscriptions), 'wait')}: "
            f"{counted(self._requests, 'request')} in {counted(self._rounds, 'round')} since this was last said."
        )
        if self._say(logging.INFO, message):
            self._rounds = self._requests = 0

    def failed(self, waits: int, error: Exception) -> None:
        """Log a round that broke off."""
        self._say(logging.WARNING, f"A poll for {counted(waits, 'wait')} failed, waiting goes on: {error}")

    def _say(self, level: int, message: str) -> bool:
        now = self._now()
        due = now - self._said_at.get(level, -math.inf) >= _QUIET_SECONDS
        log.log(level if due else logging.DEBUG, message)
        if due:
            self._said_at[level] = now
        return due


_pollers: PerLoop[SharedPoller] = PerLoop()


def shared_poller(account: str) -> SharedPoller:
    """Return the running event loop's one poller for an account.

    :param account: the account's key.
    """
    return _pollers.get(account, SharedPoller)
