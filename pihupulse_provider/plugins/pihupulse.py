"""Adds to Airflow's API server the receiver, at ``/pihupulse/webhooks/<connection id>``, and the PihuPulse page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.operators.links import PAGE_PATH, page_url
from pihupulse_provider.plugins.page import icon
from pihupulse_provider.webhooks.http import Receive, Scope, Send, refusal

_log = logging.getLogger(__name__)


def _views() -> list[dict[str, Any]]:
    return [
        {
            "name": "PihuPulse",
            "href": page_url(embedded=1),
            "destination": "nav",
            "category": "browse",
            "url_route": "pihupulse",
            "icon": icon("#2f5fc4"),
            "icon_dark_mode": icon("#8ab4ff"),
        }
    ]


class OnFirstUse:
    """An application, built at its first request: the API server starts as fast and as surely as without it.

    :param build: makes it; the receiver's fails if the configuration needs a change.
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build
        self._built: Any = None
        self._problem = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._built is None:
            try:
                self._built = self._build()
            except PihuPulseError as error:
                self._log_problem(str(error))
                await refusal(503, "unavailable", "The receiver is not configured.").send(scope, send)
                return
        await self._built(scope, receive, send)

    def _log_problem(self, problem: str) -> None:
        if problem != self._problem:
            _log.error("The webhook receiver can't work: %s", problem)
        self._problem = problem


class PihuPulsePlugin(AirflowPlugin):
    """Adds the page, and the receiver where ``[pihupulse] webhook_connections`` names any connection.

    Airflow shows pages of plugins from 3.1 on, and only from then on lets them know who is signed in.
    """

    name = "pihupulse"
    external_views = _views() if AIRFLOW_V_3_1_PLUS else []

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Return the page and the receiver as the API server mounts them."""
        from pihupulse_provider.hooks.webhooks import webhook_connections
        from pihupulse_provider.webhooks.receiver import PREFIX

        apps: list[dict[str, Any]] = []
        if AIRFLOW_V_3_1_PLUS:
            apps.append({"app": OnFirstUse(_page), "url_prefix": PAGE_PATH, "name": "PihuPulse page"})
        if webhook_connections():
            apps.append({"app": OnFirstUse(_receiver), "url_prefix": PREFIX, "name": "PihuPulse webhooks"})
        return apps


def _page() -> Any:
    from pihupulse_provider.plugins.page.app import page

    return page()


def _receiver() -> Any:
    from pihupulse_provider.hooks.webhooks import receiver

    built = receiver(report=_count)
    built.start()
    return built


def _count(outcomes: Mapping[str, int]) -> None:
    from airflow.providers.common.compat.sdk import Stats

    for outcome, count in outcomes.items():
        Stats.incr(f"pihupulse.webhooks.{outcome}", count)
