"""One poller for all waits of an account in an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from weakref import WeakKeyDictionary

from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.waiting.feed import EventFeed, listening
from pihupulse_provider.waiting.list_positions import ListPositions
from pihupulse_provider.waiting.poll_round import PollRound
from pihupulse_provider.waiting.requests import run_round_async
from pihupulse_provider.waiting.round_log import RoundLog
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot
from pihupulse_provider.waiting.subscriptions import Subscription, Subscriptions
from pihupulse_provider.waiting.wait_spec import WaitSpec

log = logging.getLogger(__name__)
OpenClient = Callable[[], Awaitable[AsyncClient]]
_SHARE = 0.5
"""The part of the account's sustained rate that waiting may use."""
_GATHER_SECONDS = 0.1
"""How long a round waits for others that begin at the same time."""
_PATIENCE = 5.0
"""With a feed of news, polling only makes up for lost ones: so many times less often."""
_EARLY_NEWS = 10_000
"""How many news are kept of screenings that nobody waits for yet."""


class SharedPoller:
    """Looks at everything that waits, and tells each wait what was seen.

    It runs while anybody waits, and never ends a wait because of an error that may pass.

    :param feed: news that come by themselves; polling goes on five times less often, in case one is lost.
    :param clock: returns the time in epoch seconds.
    """

    def __init__(self, feed: EventFeed | None = None, clock: Callable[[], float] = time.time) -> None:
        self._feed = feed
        self._clock = clock
        self._roster = Subscriptions()
        self._atlas = ListPositions()
        self._rounds = RoundLog(log, clock)
        self._early: dict[str, ScreeningSnapshot] = {}
        self._change = asyncio.Event()
        self._not_before = 0.0
        self._runner: asyncio.Task[None] | None = None

    @contextmanager
    def waiting(self, terms: WaitSpec, open_client: OpenClient) -> Iterator[Subscription]:
        """Take part for as long as the context lasts.

        :param open_client: makes the client, if the poller is not running.
        """
        waiting = Subscription(terms, self._clock())
        self._roster.add(waiting)
        self._roster.tell([self._early[one] for one in terms.screenings if one in self._early])
        self._change.set()
        if self._runner is None:
            # What the poller logs concerns all waits: it must not go to the log of the one that came first.
            self._runner = asyncio.get_running_loop().create_task(self._run(open_client), context=contextvars.Context())
        try:
            yield waiting
        finally:
            self._roster.remove(waiting)
            self._change.set()

    async def _run(self, open_client: OpenClient) -> None:
        try:
            async with await open_client() as client, listening(self._feed, self._hear):
                while self._roster:
                    await self._rest()
                    await self._round(client)
                self._runner = None
        except Exception as error:
            if isinstance(error, PihuPulseError) and error.permanent:
                log.warning("PihuPulse can't be watched, %d waits end: %s", len(self._roster), error)
            else:
                log.exception("The watch over %d waits has broken off.", len(self._roster))
            self._break_off(error)

    async def _round(self, client: AsyncClient) -> None:
        started_at = self._clock()
        due = self._roster.due(started_at)
        wanted = {one: candidate for waiting in due for one, candidate in waiting.watch.open.items()}
        look = PollRound(wanted, self._atlas, self._roster)
        try:
            await run_round_async(client, look, lambda: self._roster.tell(look.drain()))
        except PihuPulseError as error:
            if error.permanent:
                raise
            self._rounds.failed(len(due), error)
        else:
            for waiting in due:
                self._roster.tell(waiting.terms.gone(look.missing, started_at))
            self._rounds.done(len(self._roster), self._roster.screenings, look.sent)
        self._not_before = started_at + look.sent * client.limit.plan.interval / _SHARE
        # Whoever's screenings were all on pages that were read anyway need not be looked at again so soon.
        for waiting in (*due, *self._roster.seen(look.seen)):
            waiting.due_at = started_at + self._pause(waiting, started_at)
        self._atlas.keep(self._roster)

    async def _rest(self) -> None:
        """Sleep until a round is due; whoever comes or goes meanwhile can change when that is."""
        await asyncio.sleep(_GATHER_SECONDS)
        while self._roster and (pause := max(self._not_before, self._roster.next_due()) - self._clock()) > 0:
            self._change.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._change.wait()

    def _pause(self, waiting: Subscription, now: float) -> float:
        return waiting.terms.pause(now) * (1.0 if self._feed is None else _PATIENCE)

    def _hear(self, news: Sequence[ScreeningSnapshot]) -> None:
        self._roster.tell(news)
        self._early.update((one.screening_id, one) for one in news if one.screening_id not in self._roster)
        while len(self._early) > _EARLY_NEWS:
            del self._early[next(iter(self._early))]

    def _break_off(self, error: Exception) -> None:
        self._runner = None
        self._roster.fail(error)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedPoller]] = WeakKeyDictionary()


def shared_poller(account: str, make: Callable[[], SharedPoller] = SharedPoller) -> SharedPoller:
    """Return the running event loop's one poller for an account.

    :param account: the account's key.
    :param make: makes the poller if there is none yet.
    """
    pollers = _hubs.setdefault(asyncio.get_running_loop(), {})
    if account not in pollers:
        pollers[account] = make()
    return pollers[account]
