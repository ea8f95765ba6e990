"""Serves the receiver in Airflow's API server, at ``/pihupulse/webhooks/<connection id>``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.webhooks.http import Receive, Scope, Send, refusal

_log = logging.getLogger(__name__)


class ReceiverOnFirstUse:
    """The receiver, built at the first request: the API server starts as fast and as surely as without it."""

    def __init__(self) -> None:
        self._receiver: Any = None
        self._problem = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._receiver is None:
            try:
                self._receiver = _build()
            except PihuPulseError as error:
                self._log_problem(str(error))
                await refusal(503, "unavailable", "The receiver is not configured.").send(send)
                return
        await self._receiver(scope, receive, send)

    def _log_problem(self, problem: str) -> None:
        if problem != self._problem:
            _log.error("The webhook receiver can't work: %s", problem)
        self._problem = problem


class PihuPulsePlugin(AirflowPlugin):
    """Adds the receiver where ``[pihupulse] webhook_connections`` names any connection."""

    name = "pihupulse"

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Return the receiver as the API server mounts it."""
        from pihupulse_provider.hooks.webhooks import webhook_connections
        from pihupulse_provider.webhooks.receiver import PREFIX

        if not webhook_connections():
            return []
        return [{"app": ReceiverOnFirstUse(), "url_prefix": PREFIX, "name": "PihuPulse webhooks"}]


def _build() -> Any:
    from pihupulse_provider.hooks.webhooks import receiver

    built = receiver(report=_count)
    built.start()
    return built


def _count(outcomes: Mapping[str, int]) -> None:
    from airflow.providers.common.compat.sdk import Stats

    for outcome, count in outcomes.items():
        Stats.incr(f"pihupulse.webhooks.{outcome}", count)
