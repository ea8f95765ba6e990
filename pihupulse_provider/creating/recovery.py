"""Finding what became of rows that were sent, or may have been, without an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.creating.ledger_writer import LedgerWriter
from pihupulse_provider.creating.resources import Resource
from pihupulse_provider.creating.row_table import RowTable
from pihupulse_provider.creating.settle import waits

log = logging.getLogger(__name__)
_CHUNK = 500
_FEW = 200
"""Rows that are looked for one by one where that costs less than to read a whole list."""


class Recovery:
    """Looks in the service's lists for the rows of a plan.

    :param digest: makes the plan's keys out of natural keys.
    :ivar surplus: ids that were found beyond what the rows account for.
    """

    def __init__(
        self,
        plan: RowTable,
        kind: Resource,
        records: LedgerWriter,
        client: AsyncClient,
        *,
        digest: Callable[..., bytes],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._plan = plan
        self._kind = kind
        self._records = records
        self._client = client
        self._digest = digest
        self._sleep = sleep
        self.surplus: set[str] = set()

    async def look(self, since: float | None) -> None:
        """Read what appeared since then (epoch seconds; None for everything), and give rows what is theirs."""
        self._plan.forget_found()
        async for found in self._kind.find(self._client, since, self._plan.doubtful(_FEW)):
            self._plan.found((identifier, self._digest(self._kind.noun, *key), at) for identifier, key, at in found)
        unclaimed = list(self._plan.adoptable())
        for start in range(0, len(unclaimed), _CHUNK):
            self._plan.claim(await self._records.claimed(unclaimed[start : start + _CHUNK]))
        self.surplus.update(self._plan.adopt())
        await self._records.catch_up()

    async def settle(self) -> None:
        """Look for the unsure rows until all are found, or can't turn up any more and may be sent again."""
        for wait in waits(self._plan.unsure_until() - self._client.limit.now()):
            since = self._plan.unsure_since()
            if since is None:
                return
            await self._sleep(wait)
            await self.look(since)
        settled = self._plan.settle(self._client.limit.now())
        if settled:
            log.info("%d rows were sent without an answer and do not show: sending them again.", settled)
