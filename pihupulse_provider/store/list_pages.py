"""Pages of the list of screenings that tasks which begin at the same time read once for all of them.

An example, fifty sensors that begin within two seconds and look through a list of four pages: the first to want page 1
leaves a note that it is being read, requests it and puts it down; the others take it from there. So that is 4
requests, not 200. Nobody waits long for a page that does not come: then they request it themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pihupulse_provider.api.models import Page, Screening
from pihupulse_provider.store.engine import Store, StoreError, insert_once, metadata

pages_table = sa.Table(
    "pihupulse_pages",
    metadata,
    sa.Column("account", sa.String(32), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("begun_at", sa.Float(53), nullable=False),
    sa.Column("body", sa.Text),
)
"""``begun_at`` is when the page was requested, by the store's clock; ``body`` is NULL while it has not come."""
_PATIENCE = 5.0
"""Seconds for which a page that another task is reading is waited for."""
_AGAIN = 0.2
_KEPT = 60.0
_WRITTEN: Any = {
    "data": {"__all__": {"id", "candidate_id", "status", "score", "completed_at"}},
    "meta": {"current_page", "total_pages", "total_count", "per_page"},
}
"""The fields that a wait uses."""


class ListPages:
    """The pages of an account.

    :param sleep: waits that many seconds.
    """

    def __init__(self, store: Store, account: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._account = account
        self._sleep = sleep

    def read(self, number: int, fresh: float, request: Callable[[], Page[Screening]]) -> Page[Screening]:
        """Return a page that some task requested in the last so many seconds, or request it.

        :raises PihuPulseError: as the request does.
        """
        try:
            body = self._await(number, fresh)
        except StoreError:
            return request()
        if body:
            return Page[Screening].model_validate_json(body)
        try:
            page = request()
        except BaseException:
            self._put(number, begun_at=0.0)
            raise
        self._put(number, body=page.model_dump_json(include=_WRITTEN))
        return page

    def _await(self, number: int, fresh: float) -> str | None:
        waited = 0.0
        while (body := self._find(number, fresh + waited)) is None and waited < _PATIENCE:
            self._sleep(_AGAIN)
            waited += _AGAIN
        return body

    def _find(self, number: int, fresh: float) -> str | None:
        """Return the page; None while another task reads it; an empty text where this one is to read it."""
        with self._store.read() as connection:
            found = self._usable(connection, number, fresh)
        if found != "":
            return found
        this = {"account": self._account, "number": number}
        with self._store.begin(durable=False) as connection:
            insert_once(connection, pages_table, {**this, "begun_at": 0.0})
            connection.execute(sa.select(pages_table.c.number).filter_by(**this).with_for_update())
            found = self._usable(connection, number, fresh)
            if found == "":
                begun = {"begun_at": self._store.now(connection), "body": None}
                connection.execute(sa.update(pages_table).filter_by(**this).values(begun))
        if found == "":
            self._forget_old()
        return found

    def _forget_old(self) -> None:
        """Delete what nobody reads any more, while no page is held that another may be deleting."""
        with self._store.begin(durable=False) as connection:
            old = pages_table.c.begun_at < self._store.now(connection) - _KEPT
            connection.execute(sa.delete(pages_table).where(old))

    def _usable(self, connection: Connection, number: int, fresh: float) -> str | None:
        row = connection.execute(sa.select(pages_table).filter_by(account=self._account, number=number)).first()
        age = self._store.now(connection) - row.begun_at if row is not None else -1.0
        is_young = 0 <= age <= (_PATIENCE if row is not None and row.body is None else fresh)
        return row.body if row is not None and is_young else ""

    def _put(self, number: int, **values: object) -> None:
        with suppress(StoreError), self._store.begin(durable=False) as connection:
            connection.execute(sa.update(pages_table).filter_by(account=self._account, number=number).values(**values))
