"""Fills the inbox from lists, where no webhook can come in.

The first sweep of a list only learns what is there. Later ones store an event for every stage that was reached since
then, once, in the order in which a candidate or a screening reached them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from pihupulse_provider.api.client import Client
from pihupulse_provider.api.events import EVENTS, WebhookEvent
from pihupulse_provider.api.models import Page
from pihupulse_provider.store.inbox import Delivery, Inbox
from pihupulse_provider.store.progress import Progress
from pihupulse_provider.webhooks.derived import CANDIDATES, SCREENINGS, Followed, Step

_MARGIN = 5.0
"""Seconds by which PihuPulse's times may differ from its ``Date`` header, which counts whole seconds."""


class Poller:
    """Derives the events of a connection from polling; all that share a store share the sweeps.

    :param client: reads the lists, as polls that give way to other work.
    :param connection: the connection that the events are stored for.
    :param clock: returns the time in epoch seconds.
    """

    def __init__(self, inbox: Inbox, client: Client, connection: str, clock: Callable[[], float] = time.time) -> None:
        self._inbox = inbox
        self._client = client
        self._connection = connection
        self._clock = clock

    def poll(self, events: Sequence[str] = (), *, every: float = 0.0) -> int:
        """Sweep the lists that show the events, and return how many events were new.

        :param events: their names; all five if empty.
        :param every: a list that was swept, by anybody, in the last so many seconds is not read again.
        :raises PihuPulseError: if PihuPulse or the store can't be reached; the sweep is made up for next time.
        """
        wanted = set(events) or set(EVENTS)
        return sum(self._poll(followed, every) for followed in _LISTS if wanted.intersection(followed.events))

    def _poll(self, followed: Followed[Any], every: float) -> int:
        progress = Progress(self._inbox.store, self._connection, self._client.account.key, followed.kind)
        if not progress.claim(self._clock(), every):
            return 0
        try:
            return self._sweep(followed, progress)
        except BaseException:
            progress.release()
            raise

    def _sweep(self, followed: Followed[Any], progress: Progress) -> int:
        watermark = progress.watermark()
        began: float | None = None
        stored = 0
        for page in self._pages(followed):
            began = began or self._served_at(page)
            stored += self._take(followed, progress, page, watermark)
        if watermark is None and began is not None:
            progress.follow_since(began)
        return stored

    def _pages(self, followed: Followed[Any]) -> Iterator[Page[Any]]:
        number = 1
        while True:
            page = self._client.run(followed.page(number), poll=True)
            yield page
            if not page.data or number >= page.total_pages:
                return
            number += 1

    def _take(self, followed: Followed[Any], progress: Progress, page: Page[Any], watermark: float | None) -> int:
        steps = {row.id: followed.steps(row) for row in page.data}
        known = progress.stages(steps)
        bodies = [
            body
            for subject, reached in steps.items()
            if watermark is not None
            for step in _new(reached, known.get(subject, 0), watermark)
            for body in step.bodies()
        ]
        # Stored first and remembered then: what is stored twice in between is known by its body.
        deliveries = [Delivery(self._connection, WebhookEvent.parse(body), body) for body in bodies]
        stored = sum(self._inbox.append(deliveries))
        progress.advance({subject: reached[-1].stage for subject, reached in steps.items()})
        return stored

    def _served_at(self, page: Page[Any]) -> float:
        served_at: datetime | None = page.served_at
        return served_at.timestamp() if served_at else self._clock()


_LISTS: tuple[Followed[Any], ...] = (CANDIDATES, SCREENINGS)


def _new(reached: Sequence[Step], known: int, watermark: float) -> list[Step]:
    """Return the steps past the known stage that were not made before the watermark."""
    times = [step.at.timestamp() for step in reached if step.at is not None]
    if known == 0 and times and times[0] < watermark - _MARGIN:
        known = 1  # it was there before, and the first sweep missed it because the list shifted
    past = (step for step in reached if step.stage > known)
    return [step for step in past if step.at is None or step.at.timestamp() >= watermark - _MARGIN]
