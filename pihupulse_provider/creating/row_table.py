"""The rows of one bulk create, and where each of them stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from pihupulse_provider.api.server_time import MARGIN
from pihupulse_provider.exporting.temporary_database import TemporaryDatabase

_SCHEMA = """
CREATE TABLE rows (
    n INTEGER PRIMARY KEY, item BLOB, key BLOB, body TEXT,
    state INTEGER NOT NULL DEFAULT 0, id TEXT, at REAL, settled_at REAL, recorded INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE problems (n INTEGER, field TEXT, reason TEXT);
CREATE TABLE found (id TEXT PRIMARY KEY, key BLOB, at REAL, claimed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""
_INDEXES = (
    "CREATE INDEX rows_item ON rows (item)",
    "CREATE INDEX rows_key ON rows (key)",
    "CREATE INDEX rows_state ON rows (state, n)",
    "CREATE INDEX found_key ON found (key)",
)


class RowState(IntEnum):
    """Where a row stands."""

    WAITING = 0
    UNSURE = 1
    CREATED = 2
    EXISTING = 3
    DUPLICATE = 4
    REJECTED = 5


class TableRow(NamedTuple):
    """A row as it is read from its source: its number, identity, natural key and request body."""

    n: int
    item: bytes
    key: bytes
    body: str


class SendResult(NamedTuple):
    """What came of a row's request; ``settled_at`` is when an unsure one can be taken as decided (epoch seconds)."""

    row: TableRow
    state: RowState
    at: float
    id: str | None = None
    settled_at: float | None = None
    reason: str | None = None


class RowTable(TemporaryDatabase):
    """The rows, on disk; use it as a context manager, or close it."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)

    def add(self, rows: Iterable[TableRow]) -> None:
        """Add usable rows."""
        self.run_many("INSERT INTO rows (n, item, key, body) VALUES (?, ?, ?, ?)", rows)

    def refuse(self, problems: Iterable[tuple[int, str | None, str]]) -> None:
        """Add problems of rows, as number, field and reason; the rows need not have been added."""
        reasons = list(problems)
        self.run_many("INSERT INTO problems VALUES (?, ?, ?)", reasons)
        numbers = {n for n, _, _ in reasons}
        self.run_many(
            "INSERT INTO rows (n, state) VALUES (?, 5) ON CONFLICT (n) DO UPDATE SET state = 5", [(n,) for n in numbers]
        )

    def index(self, nth: Callable[[bytes, int], bytes]) -> None:
        """Prepare for look-ups, once everything is added.

        :param nth: makes the identity of a row that says the same as an earlier one, from that and its place among
            them, counted from 1.
        """
        for statement in _INDEXES:
            self.run(statement)
        self.run(
            "CREATE TEMP TABLE repeats AS SELECT n, item, place FROM (SELECT n, item, row_number() OVER "
            "(PARTITION BY item ORDER BY n) AS place FROM rows WHERE item IS NOT NULL) WHERE place > 1"
        )
        repeats = self.rows("SELECT n, item, place FROM repeats")
        self.run_many("UPDATE rows SET item = ? WHERE n = ?", ((nth(item, place), n) for n, item, place in repeats))
        self.run("DROP TABLE repeats")

    def count(self, state: RowState | None = None) -> int:
        """Return how many rows there are, or how many stand there."""
        if state is None:
            return int(self.value("SELECT count(*) FROM rows"))
        return int(self.value("SELECT count(*) FROM rows WHERE state = ?", state))

    def waiting(self, after: int, limit: int) -> list[TableRow]:
        """Return the next rows to be sent."""
        query = "SELECT n, item, key, body FROM rows WHERE state = 0 AND n > ? ORDER BY n LIMIT ?"
        return [TableRow(*row) for row in self.rows(query, after, limit)]

    def remember(self, marks: Iterable[tuple[bytes, float, str | None]], settled_at: float) -> None:
        """Take over what a ledger knows: identity, time and id of what was sent before."""
        self.run_many(
            "UPDATE rows SET state = ?, at = ?, id = ?, settled_at = ?, recorded = 1 WHERE item = ? AND state = 0",
            (
                (RowState.UNSURE if object_id is None else RowState.CREATED, at, object_id, settled_at, item)
                for item, at, object_id in marks
            ),
        )

    def set_aside_repeated_keys(self) -> int:
        """Take all rows but one of each key for duplicates: the one already sent, or else the first."""
        return self.run(
            "UPDATE rows SET state = 4 WHERE state = 0 AND n NOT IN (SELECT n FROM (SELECT n, row_number() OVER "
            "(PARTITION BY key ORDER BY state = 0, n) AS place FROM rows WHERE state < 3) WHERE place = 1)"
        )

    def record(self, outcomes: Sequence[SendResult]) -> None:
        """Take over what came of requests."""
        self.run_many(
            "UPDATE rows SET state = ?, id = ?, at = ?, settled_at = ? WHERE n = ?",
            [(one.state, one.id, one.at, one.settled_at, one.row.n) for one in outcomes],
        )
        refused = [(one.row.n, None, one.reason or "") for one in outcomes if one.state is RowState.REJECTED]
        if refused:
            self.refuse(refused)

    def is_recorded(self, rows: Iterable[TableRow], *, recorded: bool) -> None:
        """Note whether the ledger knows what these rows came to."""
        self.run_many("UPDATE rows SET recorded = ? WHERE n = ?", [(recorded, row.n) for row in rows])

    def forget_found(self) -> None:
        """Drop what was found."""
        self.run("DELETE FROM found")

    def found(self, objects: Iterable[tuple[str, bytes, float | None]]) -> None:
        """Add what the service has: id, natural key, and when it appeared (epoch seconds)."""
        self.run_many("INSERT OR REPLACE INTO found (id, key, at) VALUES (?, ?, ?)", objects)

    def adoptable(self) -> Iterator[str]:
        """Return the ids that rows which may have been sent could adopt."""
        sent = "SELECT key FROM rows WHERE at IS NOT NULL AND state < 2"
        query = f"SELECT id FROM found WHERE claimed = 0 AND key IN ({sent})"  # noqa: S608 - no value in it
        return (row[0] for row in self.rows(query))

    def doubtful(self, limit: int) -> list[str] | None:
        """Return the request bodies of the rows that may have been sent; None if they are more than ``limit``."""
        query = "SELECT body FROM rows WHERE at IS NOT NULL AND state < 2 LIMIT ?"
        bodies = [row[0] for row in self.rows(query, limit + 1)]
        return bodies if len(bodies) <= limit else None

    def claim(self, ids: Iterable[str]) -> None:
        """Note that others have created these."""
        self.run_many("UPDATE found SET claimed = 1 WHERE id = ?", [(identifier,) for identifier in ids])

    def adopt(self) -> list[str]:
        """Give each row that may have been sent what was found for it; return the ids for which there is no row."""
        self.run("UPDATE found SET claimed = 1 WHERE id IN (SELECT id FROM rows WHERE state = 2)")
        self.run(
            "CREATE TEMP TABLE matches AS SELECT f.id, w.n FROM "
            "(SELECT id, key, row_number() OVER (PARTITION BY key ORDER BY at, id) AS place FROM found "
            " WHERE claimed = 0 AND (at IS NULL OR at >= (SELECT min(at) FROM rows r WHERE r.key = found.key "
            " AND r.state < 2 AND r.at IS NOT NULL) - ?)) f LEFT JOIN "
            "(SELECT n, key, row_number() OVER (PARTITION BY key ORDER BY state DESC, n) AS place FROM rows "
            " WHERE state < 2 AND at IS NOT NULL) w ON w.key = f.key AND w.place = f.place "
            "WHERE f.key IN (SELECT key FROM rows WHERE state < 2 AND at IS NOT NULL)",
            MARGIN,
        )
        self.run(
            "UPDATE rows SET state = 2, recorded = 0, id = (SELECT id FROM matches m WHERE m.n = rows.n) "
            "WHERE n IN (SELECT n FROM matches)"
        )
        surplus = [row[0] for row in self.rows("SELECT id FROM matches WHERE n IS NULL")]
        self.run("DROP TABLE matches")
        return surplus

    def unrecorded(self, limit: int) -> list[tuple[TableRow, float, str | None]]:
        """Return rows that were sent and of which the ledger does not know that, with time and id."""
        query = "SELECT n, item, key, body, at, id FROM rows WHERE recorded = 0 AND state IN (1, 2) ORDER BY n LIMIT ?"
        return [(TableRow(*row[:4]), row[4], row[5]) for row in self.rows(query, limit)]

    def doubt_waiting(self, since: float | None) -> None:
        """Take the waiting rows for perhaps sent since then (epoch seconds); None ends that."""
        self.run("UPDATE rows SET at = ? WHERE state = 0", since)

    def set_aside_existing(self) -> int:
        """Take the waiting rows whose key was found for existing."""
        return self.run(
            "UPDATE rows SET state = 3, id = (SELECT min(id) FROM found f WHERE f.key = rows.key) "
            "WHERE state = 0 AND key IN (SELECT key FROM found)"
        )

    def numbers(self, state: RowState, limit: int) -> list[int]:
        """Return the numbers of the first rows that stand there."""
        return [row[0] for row in self.rows("SELECT n FROM rows WHERE state = ? ORDER BY n LIMIT ?", state, limit)]

    def unsure_since(self) -> float | None:
        """Return when the first of the unsure rows was sent (epoch seconds); None when there are none."""
        earliest: float | None = self.value("SELECT min(at) FROM rows WHERE state = 1")
        return earliest

    def unsure_until(self) -> float:
        """Return when all unsure rows can be taken as decided (epoch seconds)."""
        return float(self.value("SELECT coalesce(max(settled_at), 0) FROM rows WHERE state = 1"))

    def results(self) -> Iterator[dict[str, Any]]:
        """Iterate over what came of each row; a duplicate has the id of the row it repeats."""
        query = (
            "SELECT n, state, coalesce(id, (SELECT id FROM rows o WHERE o.key = rows.key AND o.state IN (2, 3) "
            "LIMIT 1)) FROM rows ORDER BY n"
        )
        for n, state, identifier in self.rows(query):
            yield {
                "row": n,
                "status": RowState(state).name.lower(),
                "id": None if state == RowState.REJECTED else identifier,
            }

    def rejects(self) -> Iterator[dict[str, Any]]:
        """Iterate over the problems of rows."""
        for n, field, reason in self.rows("SELECT n, field, reason FROM problems ORDER BY n"):
            yield {"row": n, "field": field, "reason": reason}

    def settle(self, now: float) -> int:
        """Let the unsure rows wait again that were not found and now never will be."""
        return self.run("UPDATE rows SET state = 0, at = NULL WHERE state = 1 AND settled_at <= ?", now)
