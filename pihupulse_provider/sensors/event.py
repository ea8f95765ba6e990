"""The sensor that waits for one of PihuPulse's events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any, ClassVar, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    Context,
    PokeReturnValue,
    conf,
)

from pihupulse_provider.api import clock
from pihupulse_provider.api.clock import moment
from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError
from pihupulse_provider.api.events import check_events, is_name
from pihupulse_provider.api.logs import duration, shown_id, utc
from pihupulse_provider.connection_form import DEFAULT_CONN_ID
from pihupulse_provider.hooks.webhooks import EventSource, check_reading, poller, why_none_is_received
from pihupulse_provider.operators.activity import PihuPulseSensor, ShownWait
from pihupulse_provider.operators.base import is_literal
from pihupulse_provider.operators.links import PihuPulsePageLink
from pihupulse_provider.store.engine import StoreError
from pihupulse_provider.store.inbox import EventFilter, Inbox, InboxEvent
from pihupulse_provider.triggers.event_wait import EventWaitTrigger, event_wait, first_event
from pihupulse_provider.triggers.waiting import BACKSTOP

T = TypeVar("T")
DUE = "{{ dag_run.run_after.isoformat() }}"
"""When the DAG run was due to start; unlike the time when it did start, clearing the run does not move it."""


class PihuPulseEventSensor(PihuPulseSensor):
    """Waits for an event, and returns it: ids, status, score and times, nothing personal.

    Of several that match, the oldest counts. What it returns is one of the objects that
    :class:`~pihupulse_provider.operators.events.PihuPulseReadEventsOperator` returns a list of.

    :param event: its name, such as ``report.generated`` (API reference, "Available Events").
    :param screening_id: only an event of this screening.
    :param candidate_id: only an event of this candidate.
    :param template_id: only an event of a screening with this template.
    :param since: events that were received from this time on count, even if the task started later; a datetime or an
        ISO 8601 text. By default when the DAG run was due to start. None: any event that is still kept.
    :param source: ``"webhooks"``, or ``"polling"`` to derive the events from PihuPulse's lists, where no webhook can
        come in; it reads them every ``poke_interval`` seconds, once for all sensors that share the store.
    :param include_personal: whether the XCom also gets ``data``, all that PihuPulse sent.
    :param allow_unknown_event: whether an event that the API reference does not name is waited for too, rather than
        refused.
    :param deferrable: whether to wait in the triggerer, without a worker; by default as ``[operators]
        default_deferrable`` says.
    :param pihupulse_conn_id: the connection that webhooks are received for.
    """

    template_fields: Sequence[str] = (
        "event",
        "screening_id",
        "candidate_id",
        "template_id",
        "since",
        "pihupulse_conn_id",
    )
    decisive_fields: ClassVar[tuple[str, ...]] = ("screening_id", "candidate_id", "template_id", "since")
    operator_extra_links = (PihuPulsePageLink(),)

    def __init__(
        self,
        *,
        event: str,
        screening_id: str | None = None,
        candidate_id: str | None = None,
        template_id: str | None = None,
        since: datetime | str | None = DUE,
        source: EventSource = "webhooks",
        include_personal: bool = False,
        allow_unknown_event: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        pihupulse_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.event = event
        self.screening_id = screening_id
        self.candidate_id = candidate_id
        self.template_id = template_id
        self.since = since
        check_reading(source)
        self.source: EventSource = source
        self.include_personal = include_personal
        self.deferrable = deferrable
        self.pihupulse_conn_id = pihupulse_conn_id
        self.allow_unknown_event = allow_unknown_event
        self._seconds = float(self.timeout)
        self._began_at = 0.0
        if is_literal(event):
            check_events("event", [event], allow_unknown=allow_unknown_event)

    def execute(self, context: Context) -> Any:
        """Wait."""
        check_events("event", [self.event], allow_unknown=self.allow_unknown_event)
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as over:
            # With soft_fail Airflow skips the task at its limit, and for some errors.
            if over.__cause__ is not None:
                raise
        try:
            return self.end_at_limit(context)
        except AirflowSensorTimeout as over:
            if self.soft_fail:
                raise AirflowSkipException(str(over)) from None
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; defer afterwards if that is wanted and there is no such event yet."""
        wanted = self._wanted()
        if self.source == "polling":
            self._unless_away(
                lambda: poller(self.hook).poll(wanted.events, every=self.poke_interval, since=wanted.since)
            )
        found = self._unless_away(lambda: first_event(Inbox(self.hook.store), wanted))
        if found is not None:
            return PokeReturnValue(True, self._output(found))
        if not self._began_at:
            self._begin(context, wanted)
        self._show(context, wanted)
        if self.deferrable:
            self._defer(wanted)
        return PokeReturnValue(False)

    def _unless_away(self, look: Callable[[], T]) -> T | None:
        """Return what a look gives; None after an error that may pass, for which the wait goes on as in a triggerer."""
        try:
            return look()
        except PihuPulseError as error:
            if error.permanent:
                raise
            self.log.warning("This look for the event failed, the wait goes on: %s", error)
            return None

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on when the trigger has fired; if PihuPulse refused to be polled, the task polls itself."""
        if event.get("end") == "timeout":
            return self.end_at_limit(context)
        if event.get("end") == "error":
            # Version 1.0.0 said when the wait ends, not how long it still may take.
            self._seconds = event["seconds"] if "seconds" in event else max(0.0, event["until"] - clock.now())
            return self.execute(context)
        found = Inbox(self.hook.store).at(event["position"])
        # What a store that has taken the place of another one has there is something else.
        if found is None or not replace(self._wanted(), since=None).matches(found):
            raise PihuPulseError(
                f"The {self.event} at position {event['position']} is not in the inbox any more: check that the "
                "workers and the triggerer have the same [pihupulse] store_url."
            )
        return self._output(found)

    def end_at_limit(self, context: Context) -> Any:
        """Poll once more, and return the event if it has come."""
        wanted = self._wanted()
        if self.source == "polling":
            poller(self.hook).poll_anew(wanted.events, since=wanted.since)
        found = first_event(Inbox(self.hook.store), wanted)
        if found is None:
            raise self._timed_out(wanted)
        return self._output(found)

    def _timed_out(self, wanted: EventFilter) -> AirflowSensorTimeout:
        mistaken = ""
        with suppress(StoreError):  # it does not change what happened
            mistaken = self._mistaken(wanted)
        return AirflowSensorTimeout(f"No {self._named(wanted)} came within {duration(self.timeout)}.{mistaken}")

    def _mistaken(self, wanted: EventFilter) -> str:
        """Return a sentence on an id that events only have as that of something else; empty if there is none."""
        for given, other in permutations(("screening_id", "candidate_id", "template_id"), 2):
            value = getattr(wanted, given)
            if value is not None and self._has_come(wanted, other, value) and not self._has_come(wanted, given, value):
                return f" {shown_id(value)} was given as {given}, and the events that came have it as {other}."
        return ""

    def _has_come(self, wanted: EventFilter, subject: str, value: str) -> bool:
        named: dict[str, Any] = {subject: value}
        return bool(Inbox(self.hook.store).newest(EventFilter(wanted.connection, **named), limit=1))

    def _begin(self, context: Context, wanted: EventFilter) -> None:
        since = self.rescheduled_since(context)
        self._began_at = clock.now() if since is None else since
        if since is None:
            self.hook.get_connection(self.pihupulse_conn_id)  # fails here if there is none, and not in the triggerer
            self._describe(wanted)
            self._warn_if_nothing_comes()

    def _show(self, context: Context, wanted: EventFilter) -> None:
        now = clock.now()
        next_at = None if self.deferrable and self.source == "webhooks" else now + float(self.poke_interval)
        ShownWait(self.hook, context).put(lambda task: event_wait(task, wanted, self._began_at, next_at))

    def _defer(self, wanted: EventFilter) -> None:
        self.defer(
            trigger=EventWaitTrigger.for_event(
                wanted,
                seconds=self._seconds,
                source=self.source,
                poll_interval=float(self.poke_interval),
                pihupulse_conn_id=self.pihupulse_conn_id,
            ),
            method_name="resume",
            timeout=timedelta(seconds=self._seconds) + BACKSTOP,
        )

    def _describe(self, wanted: EventFilter) -> None:
        """Say what is waited for, what can bring it, and what else ends the wait."""
        since = "at any time" if wanted.since is None else f"since {utc(wanted.since)}"
        self.log.info(
            "Waiting for %s, received %s for the connection %s. %s It times out at %s, after %s.",
            self._named(wanted),
            since,
            wanted.connection,
            self._describe_source(),
            utc(self._began_at + self._seconds),
            duration(self.timeout),
        )

    def _named(self, wanted: EventFilter) -> str:
        subjects = {"screening": wanted.screening_id, "candidate": wanted.candidate_id, "template": wanted.template_id}
        of = " and ".join(f"{subject} {shown_id(one)}" for subject, one in subjects.items() if one)
        return f"{self.event} of {of}" if of else self.event

    def _describe_source(self) -> str:
        if self.source == "polling":
            return f"PihuPulse's lists are polled every {duration(self.poke_interval)}."
        if self.deferrable:
            return "A webhook ends the wait within a second or so."
        return f"The inbox of webhooks is read every {duration(self.poke_interval)}."

    def _warn_if_nothing_comes(self) -> None:
        if self.source == "polling":
            return
        if problem := why_none_is_received(self.pihupulse_conn_id):
            self.log.warning("%s", problem)
            return
        wanted = EventFilter(connection=self.pihupulse_conn_id)
        if self._unless_away(lambda: Inbox(self.hook.store).newest(wanted, limit=1)) == []:
            self.log.warning(
                "No webhook was received for %s so far. Check that a receiver runs and has this worker's [pihupulse] "
                "store_url, and that PihuPulse's dashboard (Settings → Webhooks) names its address.",
                self.pihupulse_conn_id,
            )

    def _wanted(self) -> EventFilter:
        since = moment("since", self.since)
        return EventFilter(
            connection=self.pihupulse_conn_id,
            events=(self.event,),
            screening_id=_subject("screening_id", self.screening_id),
            candidate_id=_subject("candidate_id", self.candidate_id),
            template_id=_subject("template_id", self.template_id),
            since=since.timestamp() if since else None,
        )

    def _output(self, found: InboxEvent) -> dict[str, Any]:
        return found.document() if self.include_personal else found.public()


def _subject(argument: str, value: object) -> str | None:
    """Return an id as events have it: another task's, or a template's, may be a whole number; None for any."""
    if value is None:
        return None
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not is_name(text):
        what = f"a {type(value).__name__} that is no id" if text or not isinstance(value, str) else "empty"
        raise ConfigurationError(
            f"{argument} is {what}: it must be one id that PihuPulse gave, such as "
            f"{{{{ ti.xcom_pull('create')['id'] }}}}."
        )
    return text
