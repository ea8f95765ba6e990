"""The rows of one run, and where each of them stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from pihupulse_provider.api.clock import SERVER_TIME_MARGIN
from pihupulse_provider.creating.rows import FoundRow, RowState, SendResult, TableRow
from pihupulse_provider.exporting.temporary_database import TemporaryDatabase
from pihupulse_provider.store.ledger import Mark

_SCHEMA = """
CREATE TABLE rows (
    n INTEGER PRIMARY KEY, item BLOB, key BLOB, body TEXT,
    state INTEGER NOT NULL DEFAULT 0, id TEXT, at REAL, service_time REAL, decided_at REAL,
    recorded INTEGER NOT NULL DEFAULT 0, unmarked_at REAL
);
CREATE TABLE problems (n INTEGER, field TEXT, reason TEXT);
CREATE TABLE found (
    id TEXT PRIMARY KEY, key BLOB, at REAL, not_before REAL, has_failed INTEGER,
    claimed INTEGER NOT NULL DEFAULT 0, known INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
"""``state`` is the number of a :class:`RowState`. ``at`` and ``service_time`` are one moment by our clock and the
service's: when an open row was sent, or may have been by a try that left no mark; by when a created one was there.
``unmarked_at`` is when this run was about to send a row of which the ledger does not know that."""
_INDEXES = (
    "CREATE INDEX rows_item ON rows (item)",
    "CREATE INDEX rows_key ON rows (key)",
    "CREATE INDEX rows_state ON rows (state, n)",
    "CREATE INDEX rows_unmarked ON rows (n) WHERE unmarked_at IS NOT NULL",
    "CREATE INDEX found_key ON found (key)",
)
_SENT = "state < 2 AND at IS NOT NULL"
"""Rows that were sent, or may have been, and of which it is not known what they came to."""
_MOMENT = (
    "CASE WHEN service_time IS NOT NULL THEN service_time WHEN at = 0 THEN 0 "
    "WHEN state = 0 THEN at + min(?, 0) ELSE at + ? END"
)
"""When a row was sent, by the service's clock: as recorded, else our time and the seconds that the service is ahead.

Of a waiting row nobody knows by whose clock its time is, so the earlier of both counts. The seconds are bound twice."""
_TO_BE_ADOPTED = "claimed = 0 AND known = 0 AND (has_failed = 0 OR at IS NOT NULL)"
"""What may be a row's; one that has failed is not, unless its time tells that it is new: it stands in nobody's way."""


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
        numbers = {(n,) for n, _, _ in reasons}
        self.run_many("INSERT INTO rows (n, state) VALUES (?, 5) ON CONFLICT (n) DO UPDATE SET state = 5", numbers)

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

    def count(self, *states: RowState) -> int:
        """Return how many rows stand there, or how many there are."""
        if not states:
            return int(self.value("SELECT count(*) FROM rows"))
        return sum(int(self.value("SELECT count(*) FROM rows WHERE state = ?", state)) for state in states)

    def waiting(self, after: int, limit: int) -> list[TableRow]:
        """Return the next rows to be sent."""
        query = "SELECT n, item, key, body FROM rows WHERE state = 0 AND n > ? ORDER BY n LIMIT ?"
        return [TableRow(*row) for row in self.rows(query, after, limit)]

    def remember(self, marks: Iterable[Mark], decided_at: float) -> None:
        """Take over what the job's earlier tries sent.

        :param decided_at: from when on what they sent has been carried out, or never will be.
        """
        self.run_many(
            "UPDATE rows SET state = CASE WHEN ? IS NULL THEN 1 ELSE 2 END, id = ?, at = ?, service_time = ?, "
            "decided_at = ?, recorded = 1 WHERE item = ? AND state = 0",
            ((one.object_id, one.object_id, one.at, one.service_time, decided_at, one.item) for one in marks),
        )

    def some_created(self, most: int) -> list[tuple[str, str]]:
        """Return id and request body of some of the rows that are created: the first, the last, and between them."""
        created = self.count(RowState.CREATED)
        places = sorted({place * (created - 1) // max(1, most - 1) for place in range(most)}) if created else []
        query = "SELECT id, body FROM rows WHERE state = 2 ORDER BY n LIMIT 1 OFFSET ?"
        return [row for place in places for row in self.rows(query, place)]

    def unsure_items(self) -> list[bytes]:
        """Return the identities of the unsure rows."""
        return [row[0] for row in self.rows("SELECT item FROM rows WHERE state = 1")]

    def learn(self, marks: Iterable[Mark]) -> None:
        """Take over the ids that an earlier try got for unsure rows after this one began, if no other row has them."""
        self.run_many(
            "UPDATE rows SET state = 2, id = ?, recorded = 1 WHERE item = ? AND state = 1 AND NOT EXISTS "
            "(SELECT 1 FROM rows other WHERE other.key = rows.key AND other.id = ?)",
            [(mark.object_id, mark.item, mark.object_id) for mark in marks if mark.object_id is not None],
        )

    def set_aside_repeated_keys(self) -> int:
        """Take all rows but one of each key for duplicates: the one already sent, or else the first."""
        return self.run(
            "UPDATE rows SET state = 4 WHERE state = 0 AND n NOT IN (SELECT n FROM (SELECT n, row_number() OVER "
            "(PARTITION BY key ORDER BY state = 0, n) AS place FROM rows WHERE state < 3) WHERE place = 1)"
        )

    def record(self, results: Sequence[SendResult]) -> None:
        """Take over what came of requests."""
        self.run_many(
            "UPDATE rows SET state = ?, id = ?, at = ?, service_time = NULL, decided_at = ? WHERE n = ?",
            [(one.state, one.id, one.at, one.decided_at, one.row.n) for one in results],
        )
        refused = [(one.row.n, None, one.reason or "") for one in results if one.state is RowState.REJECTED]
        if refused:
            self.refuse(refused)

    def set_recorded(self, rows: Iterable[TableRow], *, recorded: bool) -> None:
        """Set whether the ledger knows what these rows came to."""
        query = "UPDATE rows SET recorded = ?, unmarked_at = NULL WHERE n = ?"
        self.run_many(query, [(recorded, row.n) for row in rows])

    def set_unmarked(self, rows: Iterable[TableRow], at: float) -> None:
        """Note that these are about to be sent at that moment, and that the ledger could not be told."""
        self.run_many("UPDATE rows SET unmarked_at = ? WHERE n = ?", [(at, row.n) for row in rows])

    def in_question(self, limit: int, *, sent: bool) -> list[str] | None:
        """Return the request bodies of the rows whose end is open; None if they are more than ``limit``.

        :param sent: only of those that were sent, or may have been.
        """
        query = f"SELECT body FROM rows WHERE {_SENT if sent else 'state < 2'} LIMIT ?"  # noqa: S608 - no value in it
        bodies = [row[0] for row in self.rows(query, limit + 1)]
        return bodies if len(bodies) <= limit else None

    def forget_found(self) -> None:
        """Drop what was found, but for what was there before anything was sent."""
        self.run("DELETE FROM found WHERE known = 0")

    def found(self, objects: Iterable[FoundRow]) -> None:
        """Add what the service has."""
        query = "INSERT INTO found (id, key, at, not_before, has_failed) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        self.run_many(query, objects)

    def exclude_found(self) -> None:
        """Give no row what was found so far: it was there before anything was sent."""
        self.run("UPDATE found SET known = 1")

    def unknown(self, ids: Collection[str]) -> set[str]:
        """Return which of these ids are neither a row's nor were there before anything was sent."""
        query = "SELECT 1 FROM found WHERE id = ? AND known = 1"
        return {one for one in ids if not self.all(query, one)}

    def adoptable(self) -> Iterator[tuple[str, bytes, float | None]]:
        """Return id, key and earliest moment of what rows which may have been sent could adopt."""
        return self.rows(
            f"SELECT id, key, not_before FROM found WHERE {_TO_BE_ADOPTED} "  # noqa: S608 - no value in it
            f"AND key IN (SELECT key FROM rows WHERE {_SENT})"
        )

    def claim(self, ids: Iterable[str]) -> None:
        """Note that others have created these."""
        self.run_many("UPDATE found SET claimed = 1 WHERE id = ?", [(identifier,) for identifier in ids])

    def adopt(self, now: float, ahead: float, new_since: float) -> list[str]:
        """Give each row that may have been sent what was found for it.

        Where more was found than rows account for, those rows are ambiguous, as are those for which something was found
        that may be older, and a forgotten job's. Of two rows that say the same, the one decided first gets it.

        :param now: by when what was found was there. ``ahead``: seconds by which the service's clock is ahead of ours.
        :param new_since: what appeared earlier may be another job's (epoch seconds of the service's clock).
        :return: the ids that are ambiguous.
        """
        self.run(
            "UPDATE found SET claimed = 1 WHERE EXISTS (SELECT 1 FROM rows r "
            "WHERE r.key = found.key AND r.id = found.id AND r.state = 2)"
        )
        self.run(
            "CREATE TEMP TABLE matches AS SELECT f.id, f.key, w.n, f.at IS NULL AND "  # noqa: S608 - no value in it
            "coalesce(f.not_before, 0) < ? AS may_be_old FROM "
            "(SELECT id, key, at, not_before, row_number() OVER (PARTITION BY key ORDER BY at, id) AS place FROM found "
            f" WHERE {_TO_BE_ADOPTED} AND (at IS NULL OR at >= (SELECT min({_MOMENT}) FROM rows "
            f" WHERE rows.key = found.key AND {_SENT}) - ?)) f LEFT JOIN "
            "(SELECT n, key, row_number() OVER (PARTITION BY key ORDER BY state DESC, decided_at, n) AS place "
            f" FROM rows WHERE {_SENT}) w ON w.key = f.key AND w.place = f.place "
            f"WHERE f.key IN (SELECT key FROM rows WHERE {_SENT})",
            new_since,
            ahead,
            ahead,
            SERVER_TIME_MARGIN,
        )
        surplus = "SELECT key FROM matches WHERE n IS NULL OR may_be_old"
        ambiguous = [row[0] for row in self.rows(f"SELECT id FROM matches WHERE key IN ({surplus})")]  # noqa: S608
        self.run(f"UPDATE rows SET state = 6 WHERE {_SENT} AND key IN ({surplus})")  # noqa: S608 - no value in it
        self.run(f"DELETE FROM matches WHERE key IN ({surplus})")  # noqa: S608 - no value in it
        self.run(
            "UPDATE rows SET state = 2, recorded = 0, at = ?, service_time = NULL, "
            "id = (SELECT id FROM matches m WHERE m.n = rows.n) WHERE n IN (SELECT n FROM matches)",
            now,
        )
        self.run("DROP TABLE matches")
        return ambiguous

    def unrecorded(self, limit: int) -> list[tuple[TableRow, Mark]]:
        """Return rows that were sent, or may be right now, of which the ledger does not know that, with their marks."""
        # Ambiguous ones too: another try looks for theirs, once it is settled what is whose. The plus keeps out the
        # index of states, in which all waiting rows are.
        query = (
            "SELECT n, item, key, body, at, id, service_time FROM rows WHERE recorded = 0 AND state IN (1, 2, 6) "
            "UNION ALL SELECT n, item, key, body, unmarked_at, id, NULL FROM rows "
            "WHERE unmarked_at IS NOT NULL AND +state = 0 ORDER BY n LIMIT ?"
        )
        return [(row := TableRow(*one[:4]), Mark(row.item, row.key, *one[4:])) for one in self.rows(query, limit)]

    def assume_maybe_sent(self, since: float, service_time: float | None = None) -> None:
        """Treat all waiting rows as possibly sent by an earlier try, at that moment or later; 0 means at any time.

        :param service_time: the same by the service's clock, where that is known.
        """
        self.run("UPDATE rows SET at = ?, service_time = ? WHERE state = 0", since, service_time)

    def assume_not_sent(self) -> None:
        """Treat all waiting rows as never sent."""
        self.run("UPDATE rows SET at = NULL, service_time = NULL WHERE state = 0")

    def set_aside_existing(self) -> int:
        """Take the rows whose key was found and has not failed for existing; unsure ones too: a clock may be wrong."""
        standing = "SELECT min(id) FROM found f WHERE f.key = rows.key AND f.has_failed = 0"
        return self.run(
            f"UPDATE rows SET state = 3, id = ({standing}) WHERE state < 2 AND "  # noqa: S608 - no value in it
            "key IN (SELECT key FROM found WHERE has_failed = 0)"
        )

    def numbers(self, state: RowState, limit: int) -> list[int]:
        """Return the numbers of the first rows that stand there."""
        return [row[0] for row in self.rows("SELECT n FROM rows WHERE state = ? ORDER BY n LIMIT ?", state, limit)]

    def sent_since(self, ahead: float) -> float | None:
        """Return when the first of the rows whose end is open may have been sent, in seconds of the service's clock.

        :param ahead: by how much that is ahead of ours. :return: None when it may have been at any time.
        """
        query = f"SELECT min({_MOMENT}) FROM rows WHERE {_SENT}"  # noqa: S608 - no value in it
        earliest: float | None = self.value(query, ahead, ahead)
        return earliest or None

    def unsure_until(self) -> float:
        """Return from when on all unsure rows have been carried out, or never will be (epoch seconds)."""
        return float(self.value("SELECT coalesce(max(decided_at), 0) FROM rows WHERE state = 1"))

    def requeue_not_found(self, looked_at: float) -> int:
        """Let the unsure rows wait again that are not found although they were decided by then; return how many.

        :param looked_at: when the search began.
        """
        return self.run(
            "UPDATE rows SET state = 0, at = NULL, service_time = NULL WHERE state = 1 AND decided_at <= ?", looked_at
        )

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
