"""The operator that reads the events that webhooks brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.events import check_events
from pihupulse_provider.api.logs import counted
from pihupulse_provider.hooks.webhooks import EventSource, Start, check_reading, poller, why_none_is_received
from pihupulse_provider.operators.base import PihuPulseOperator, create_job, is_literal
from pihupulse_provider.operators.links import PihuPulseResultsLink
from pihupulse_provider.operators.storage import check_not_empty, check_writable, write_lines
from pihupulse_provider.store.cursors import Cursor, check_consumer
from pihupulse_provider.store.inbox import EventFilter, Inbox, InboxEvent


class PihuPulseReadEventsOperator(PihuPulseOperator):
    """Reads every event that came since this consumer's last run, oldest first.

    The consumer's cursor moves when the task has its result. A task that is retried, or cleared later, returns the
    events that it returned before; so none is lost and none is read by two runs.

    It returns a list with one ``{"position", "received_at", "event", "created_at", "screening_id", "candidate_id",
    "template_id", "status", "score", "completed_at"}`` for each event. With ``results_path`` the list goes there as
    JSON Lines, and the XCom is ``{"results_path", "events"}``, the latter a count.

    :param consumer: the name of the cursor: one for each DAG, whose runs must not overlap (``max_active_runs=1``).
    :param events: the names of the events to read; all if empty. The cursor moves past the others.
    :param limit: the most events of one run; None for all. A template gives it as a text.
    :param start: where a new consumer begins: with the ``"earliest"`` event that is still kept, or the ``"latest"``.
    :param source: ``"webhooks"``, or ``"polling"`` to derive the events from PihuPulse's lists first, where no webhook
        can come in.
    :param results_path: where to write the events, for any storage that Airflow knows.
    :param include_personal: whether each event also gets ``data``, all that PihuPulse sent.
    :param allow_unknown_event: whether ``events`` may name some that the API reference does not.
    """

    template_fields: Sequence[str] = (*PihuPulseOperator.template_fields, "consumer", "events", "limit", "results_path")
    written_files: ClassVar[tuple[str, ...]] = ("results_path",)
    operator_extra_links = (PihuPulseResultsLink(),)
    native_fields: ClassVar[tuple[str, ...]] = ("events", "limit")

    def __init__(
        self,
        *,
        consumer: str,
        events: Sequence[str] = (),
        limit: int | str | None = None,
        start: Start = "earliest",
        source: EventSource = "webhooks",
        results_path: str | None = None,
        allow_unknown_event: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": results_path is not None, **kwargs})
        self.consumer = consumer
        if is_literal(consumer):
            check_consumer(consumer)
        if is_literal(*(events if isinstance(events, list | tuple) else [events])):
            check_events("events", events, allow_unknown=allow_unknown_event)
        self.events = events
        self.limit = limit
        check_reading(source, start)
        self.start = start
        self.source = source
        self.allow_unknown_event = allow_unknown_event
        check_not_empty("results_path", results_path)
        self.results_path = results_path
        self.check_own_files()

    def execute(self, context: Context) -> Any:
        """Read, and move the cursor."""
        self.hook.get_connection(self.pihupulse_conn_id)  # fails if there is none
        check_writable("results_path", self.results_path)
        inbox = Inbox(self.hook.store)
        events = check_events("events", self.reveal("events"), allow_unknown=self.allow_unknown_event)
        if self.source == "polling":
            poller(self.hook).poll(events)
        cursor = Cursor(inbox.store, self.pihupulse_conn_id, self.consumer)
        reader = create_job(context)
        stretch = cursor.stretch(reader, inbox.head() if self.start == "latest" else 0)
        wanted = EventFilter(connection=self.pihupulse_conn_id, events=events)
        batch = inbox.read_all(wanted, after=stretch.start, until=stretch.end, limit=self._limit())
        self.log.info("Read %s up to position %d.", counted(len(batch.events), "event"), batch.end)
        may_lack_webhooks = not batch.events and self.source == "webhooks"
        if may_lack_webhooks and (problem := why_none_is_received(self.pihupulse_conn_id)):
            self.log.warning("%s", problem)

        def commit() -> None:
            if stretch.end is None:
                cursor.commit(stretch.start, batch.end, reader)

        return self._output(batch.events, commit)

    def _limit(self) -> int | None:
        given = self.reveal("limit")
        limit = int(given) if given not in (None, "") else None
        if limit is not None and limit < 1:
            raise ConfigurationError(f"limit is {limit}: it must be at least 1, or None for all events.")
        return limit

    def _output(self, entries: Sequence[InboxEvent], commit: Callable[[], None]) -> Any:
        events = [entry.document() if self.include_personal else entry.public() for entry in entries]
        if self.results_path is None:
            commit()
            return events
        # Another try may have read more, and written that there: who finds the cursor moved leaves its file alone.
        write_lines("results_path", self.results_path, events, commit)
        return {"results_path": self.results_path, "events": len(events)}
