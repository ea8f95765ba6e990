"""The page's application, behind Airflow's own authentication and permissions.

Whoever may see Airflow's plugins, as its menu asks for, may see the page; of the tasks only those of DAGs that they may
read. It only reads, takes a few seconds at most, and loads nothing from elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.exceptions import HTTPException

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError
from pihupulse_provider.api.logs import OutageLog
from pihupulse_provider.hooks import settings
from pihupulse_provider.operators.links import PAGE_PATH
from pihupulse_provider.plugins.page.rendering import SECTIONS, THEME_SCRIPT, Address, render
from pihupulse_provider.store.engine import Store, StoreVersionError
from pihupulse_provider.store.overview import Wanted, read_overview

_log = logging.getLogger(__name__)
_CSS = Path(__file__).with_name("page.css")
_SECONDS = 5.0
"""How long a person, and the API server, wait for the store."""
_LONGEST_TEXT = 255
_LAST_NUMBER = 2**53
_SCRIPT_HASH = base64.b64encode(hashlib.sha256(THEME_SCRIPT.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; style-src 'self'; "
    "img-src data:; form-action 'self'; frame-ancestors 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_AWAY_TITLE = "The store is away"
_AWAY = (
    "What PihuPulse tasks do can't be shown at the moment; the tasks themselves go on. Check that the database of "
    "[pihupulse] store_url runs and can be reached from the API server, whose log has the error."
)


class StoreReader:
    """Reads the store in few threads and little time, by a connection that no webhook waits for."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="pihupulse-page")
        self._url = ""
        self._store: Store | None = None

    async def read(self, work: Callable[[Store], dict[str, Any]]) -> dict[str, Any]:
        """Return what the work reads. :raises PihuPulseError: if it can't. :raises TimeoutError: if it takes long."""
        store = self._current()
        reading = asyncio.get_running_loop().run_in_executor(self._threads, work, store)
        return await asyncio.wait_for(reading, _SECONDS)

    def _current(self) -> Store:
        url = settings.store_url()
        if self._store is None or url != self._url:
            self._store, self._url = Store(url), url
        return self._store


def page() -> FastAPI:
    """Return the application."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.exception_handler(HTTPException)(_refusal)
    show = _shower(StoreReader(), OutageLog(_log))

    @app.middleware("http")
    async def protect(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    @app.get("/page.css")
    async def css() -> FileResponse:
        return FileResponse(_CSS, media_type="text/css")

    may_see = [Depends(requires_access_view(AccessView.PLUGINS))]
    for path in ("/", *(f"/{section}" for section in SECTIONS)):
        app.get(path, response_class=HTMLResponse, dependencies=may_see)(show)
    return app


def _shower(reader: StoreReader, outage: OutageLog) -> Callable[..., Awaitable[HTMLResponse]]:
    async def show(request: Request, user: GetUserDep) -> HTMLResponse:
        section = request.url.path.rstrip("/").rpartition("/")[2]
        address = _address(request, section if section in SECTIONS else "")
        wanted = _wanted(request)
        allow, read = partial(_allowed, user), partial(address.values, wanted)
        try:
            values = await reader.read(lambda store: read_overview(store, allow, read))
        except TimeoutError:
            outage.failed("The store did not respond to the PihuPulse page within %g seconds.", _SECONDS)
            return _problem(address, HTTPStatus.SERVICE_UNAVAILABLE, _AWAY_TITLE, _AWAY)
        except (ConfigurationError, StoreVersionError) as error:
            outage.failed("The PihuPulse page can't be shown: %s", error)
            return _problem(address, HTTPStatus.SERVICE_UNAVAILABLE, "The configuration needs a change", str(error))
        except PihuPulseError as error:
            outage.failed("The PihuPulse page can't be shown: %s", error)
            return _problem(address, HTTPStatus.SERVICE_UNAVAILABLE, _AWAY_TITLE, _AWAY)
        outage.recovered("The PihuPulse page is shown again.")
        return HTMLResponse(render("page.html", address, wanted=wanted, **values))

    return show


def _allowed(user: Any, dag_ids: set[str]) -> set[str]:
    return get_auth_manager().filter_authorized_dag_ids(dag_ids=dag_ids, user=user)


def _address(request: Request, section: str = "") -> Address:
    base = request.scope.get("root_path", "").rstrip("/")
    query = {name: value for name, value in request.query_params.items() if len(value) <= _LONGEST_TEXT}
    return Address(base, base.removesuffix(PAGE_PATH), section, query)


def _wanted(request: Request) -> Wanted:
    given = request.query_params

    def text(name: str) -> str | None:
        return given.get(name, "").strip().replace("\0", "")[:_LONGEST_TEXT] or None

    def number(name: str) -> int | None:
        digits = given.get(name, "")
        return min(int(digits), _LAST_NUMBER) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else None

    return Wanted(
        text("q"),
        text("dag_id"),
        text("run_id"),
        text("task_id"),
        min(number("map_index") or 0, 2**31 - 1) if given.get("map_index") else None,
        max(1, min(number("page") or 1, 100_000)),
        number("before"),
    )


async def _refusal(request: Request, error: HTTPException) -> HTMLResponse:
    problems = {
        401: ("You are not signed in", "Sign in to Airflow, and open this page again."),
        403: ("You may not see this page", "It is for whoever may see Airflow's plugins: ask who runs this Airflow."),
        404: ("There is no such page", "Choose one of those above."),
    }
    title, advice = problems.get(error.status_code, ("That did not work", "Open the page anew."))
    return _problem(_address(request), error.status_code, title, advice)


def _problem(address: Address, status: int, title: str, advice: str) -> HTMLResponse:
    return HTMLResponse(render("problem.html", address, title=title, advice=advice, status=status), status)
