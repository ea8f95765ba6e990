"""Tells whether deliveries can be stored, without asking the database for every question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.webhooks.secrets import SecretCache, SecretsUnavailableError

INBOX_PROBLEM = "The inbox can't be written."


class Health:
    """The health of the receiver: what keeps deliveries from being stored.

    :param check: raises a PihuPulseError if the inbox can't be written; it may block.
    :param secrets: the connections that webhooks are received for, each with its secrets.
    :param lifetime: seconds for which a check counts.
    :param patience: seconds after which a check that has not ended counts as failed.
    """

    def __init__(
        self,
        check: Callable[[], None],
        secrets: Mapping[str, SecretCache] | None = None,
        *,
        lifetime: float = 1.0,
        patience: float = 5.0,
    ) -> None:
        self._check = check
        self._secrets = secrets or {}
        self._lifetime = lifetime
        self._patience = patience
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._problems: list[str] = []

    async def problems(self) -> list[str]:
        """Return what keeps deliveries from being stored, in a sentence each; empty if nothing does."""
        async with self._lock:
            if time.monotonic() - self._checked_at > self._lifetime:
                self._problems = [*await self._of_inbox(), *await self._of_secrets()]
                self._checked_at = time.monotonic()
            return self._problems

    async def _of_inbox(self) -> list[str]:
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.to_thread(self._check)
        except (PihuPulseError, TimeoutError):
            return [INBOX_PROBLEM]
        return []

    async def _of_secrets(self) -> list[str]:
        found = await asyncio.gather(*map(_problem, self._secrets.values()))
        return [problem for problem in found if problem]


async def _problem(secrets: SecretCache) -> str:
    try:
        await secrets.current()
    except SecretsUnavailableError as error:
        return str(error)
    return ""
