"""The sensor that waits for one of PihuPulse's events."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    conf,
)

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError
from pihupulse_provider.api.events import EVENTS
from pihupulse_provider.api.iso_time import read_iso
from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.hooks.webhooks import EventSource, poller
from pihupulse_provider.operators.base import PihuPulseTask
from pihupulse_provider.store.inbox import EventFilter, Inbox, InboxEvent
from pihupulse_provider.triggers.event_wait import EventWaitTrigger
from pihupulse_provider.waiting.event import first_event

DUE = "{{ dag_run.run_after.isoformat() }}"
"""When the DAG run was due to start; unlike the time when it did start, clearing the run does not move it."""
_BACKSTOP = timedelta(minutes=2)
"""How much later than the trigger Airflow itself ends a wait, in case no triggerer runs."""


class PihuPulseEventSensor(PihuPulseTask, BaseSensorOperator):
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
    ui_color = "#e8f0ff"

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
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        pihupulse_conn_id: str = PihuPulseHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.event = event
        self.screening_id = screening_id
        self.candidate_id = candidate_id
        self.template_id = template_id
        self.since = since
        self.source: EventSource = source
        self.include_personal = include_personal
        self.deferrable = deferrable
        self.pihupulse_conn_id = pihupulse_conn_id
        self._until: float | None = None

    def execute(self, context: Context) -> Any:
        """Wait."""
        if self.event not in EVENTS:
            self.log.warning("PihuPulse documents no event %r, but %s.", self.event, ", ".join(EVENTS))
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; defer afterwards if that is wanted and there is no such event yet."""
        wanted = self._wanted()
        if self.source == "polling":
            poller(self.hook).poll(wanted.events, every=self.poke_interval, since=wanted.since)
        found = first_event(Inbox(self.hook.store), wanted)
        if found is not None:
            return PokeReturnValue(True, self._output(found))
        if self.deferrable:
            self._defer(wanted)
        return PokeReturnValue(False)

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on when the trigger has fired; if PihuPulse refused to be polled, the task looks itself."""
        if event.get("end") == "timeout":
            raise AirflowSensorTimeout(f"No {self.event} came within {self.timeout:g} seconds.")
        if event.get("end") == "error":
            self._until = event["until"]
            return self.execute(context)
        found = Inbox(self.hook.store).at(event["position"])
        if found is None:
            raise PihuPulseError(
                f"The {self.event} at position {event['position']} is not in the inbox any more: check that the "
                "workers and the triggerer have the same [pihupulse] store_url."
            )
        return self._output(found)

    def _defer(self, wanted: EventFilter) -> None:
        now = time.time()
        until = now + self.timeout if self._until is None else self._until
        self.defer(
            trigger=EventWaitTrigger.for_event(
                wanted,
                until=until,
                source=self.source,
                poll_interval=float(self.poke_interval),
                pihupulse_conn_id=self.pihupulse_conn_id,
            ),
            method_name="resume",
            timeout=timedelta(seconds=max(0.0, until - now)) + _BACKSTOP,
        )

    def _wanted(self) -> EventFilter:
        return EventFilter(
            connection=self.pihupulse_conn_id,
            events=(self.event,),
            screening_id=self.screening_id or None,
            candidate_id=self.candidate_id or None,
            template_id=self.template_id or None,
            since=_epoch(self.since),
        )

    def _output(self, found: InboxEvent) -> dict[str, Any]:
        return found.document() if self.include_personal else found.public()


def _epoch(moment: datetime | str | None) -> float | None:
    if not moment:
        return None
    try:
        return read_iso(moment).timestamp()
    except ValueError:
        raise ConfigurationError(f"since is {moment!r}: it must be a datetime or an ISO 8601 text.") from None
