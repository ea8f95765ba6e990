"""Waiting for screenings from any operator.

An operator that waits in its own process calls :func:`wait_here`. One that defers calls :func:`begin_wait` in
``execute``, and :func:`resume_wait` in the method that Airflow resumes it with; both return what was seen of each
screening once the wait is over, and defer until then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, BaseOperator

from pihupulse_provider.waiting.log import Log
from pihupulse_provider.waiting.packing import unpack_snapshots
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot
from pihupulse_provider.waiting.wait_spec import End, WaitSpec
from pihupulse_provider.waiting.wait_state import WaitState

if TYPE_CHECKING:
    from pihupulse_provider.api.client import Client
    from pihupulse_provider.waiting.task_poller import TaskPoller

_BACKSTOP = timedelta(minutes=2)
"""How much later than the trigger Airflow itself ends a wait, in case no triggerer runs."""


class ScreeningFailedError(AirflowFailException):
    """Screenings ended badly, so that what was waited for can't come: the task fails without a retry.

    :ivar statuses: the status of each screening that failed.
    """

    def __init__(self, message: str, statuses: Mapping[str, str]) -> None:
        super().__init__(message)
        self.statuses = dict(statuses)


def wait_here(
    client: Client, terms: WaitSpec, log: Log, sleep: Callable[[float], None] = time.sleep
) -> list[ScreeningSnapshot]:
    """Wait in this process, and return what was seen of each screening, in the order they were given.

    :param sleep: waits that many seconds.
    :raises ScreeningFailedError: if the goal can't be reached. :raises AirflowSensorTimeout: if it was not in time.
    :raises PihuPulseError: if PihuPulse refuses to be asked, such as for a wrong API key.
    """
    from pihupulse_provider.waiting.task_poller import TaskPoller

    task_poller = TaskPoller(terms, log)
    while (end := look_once(client, task_poller)) is None:
        pause, left = terms.pause(time.time()), terms.seconds_left(time.time())
        sleep(pause if left is None else max(0.0, min(pause, left)))
    return settle(task_poller.watch, end, terms, log)


def begin_wait(
    operator: BaseOperator, client: Client, conn_id: str, terms: WaitSpec, method_name: str
) -> list[ScreeningSnapshot]:
    """Poll once, and defer unless the wait is over already; for the rest see :func:`wait_here`.

    :param method_name: the operator's method that is resumed with an ``event`` for :func:`resume_wait`.
    """
    from pihupulse_provider.waiting.task_poller import TaskPoller

    task_poller = TaskPoller(terms, operator.log)
    end = look_once(client, task_poller)
    if end is None:
        defer_wait(operator, conn_id, terms, method_name)
    return settle(task_poller.watch, end, terms, operator.log)


def resume_wait(
    operator: BaseOperator,
    client: Client,
    conn_id: str,
    terms: WaitSpec,
    *,
    method_name: str,
    event: Mapping[str, Any],
) -> list[ScreeningSnapshot]:
    """Return what the trigger saw, or look again if PihuPulse refused it; for the rest see :func:`wait_here`.

    :param terms: the wait's terms without screenings and start: the event has them.
    """
    terms, watch = recall(terms, event)
    if event["end"] == "error":
        return begin_wait(operator, client, conn_id, terms, method_name)
    return settle(watch, event["end"], terms, operator.log)


def defer_wait(operator: BaseOperator, conn_id: str, terms: WaitSpec, method_name: str) -> NoReturn:
    """Free the worker until the wait is over."""
    # What a triggerer needs is not what a DAG file should load.
    from pihupulse_provider.triggers.watch import WatchTrigger

    left = terms.seconds_left(time.time())
    operator.defer(
        trigger=WatchTrigger(conn_id, terms.dump()),
        method_name=method_name,
        timeout=timedelta(seconds=max(0.0, left)) + _BACKSTOP if left is not None else None,
    )


def look_once(client: Client, task_poller: TaskPoller) -> End | None:
    """Return how the wait has ended; None while it goes on."""
    if task_poller.look(client, time.time()).state != "waiting":
        return "decided"
    left = task_poller.terms.seconds_left(time.time())
    return task_poller.terms.last_resort if left is not None and left <= 0 else None


def recall(terms: WaitSpec, event: Mapping[str, Any]) -> tuple[WaitSpec, WaitState]:
    """Return the terms and the watch as they were when the trigger fired."""
    seen = unpack_snapshots(event["seen"])
    terms = terms.of({one.screening_id: one.candidate_id for one in seen}, event["started_at"])
    watch = terms.watch()
    watch.see(seen)
    return terms, watch


def settle(watch: WaitState, end: End, terms: WaitSpec, log: Log) -> list[ScreeningSnapshot]:
    """Return what was seen of each screening, or raise what the wait's end means."""
    verdict = watch.judge()
    watch.warn(log)
    if verdict.state == "failed":
        raise ScreeningFailedError(
            f"{verdict}, so that wait_for={terms.wait_for!r} can't be reached. Failed: {verdict.failures()}.",
            verdict.failed,
        )
    if end == "timeout":
        raise AirflowSensorTimeout(f"{verdict} at the timeout of {terms.timeout:g} s.")
    log.info("%s%s.", verdict, f" at the deadline of {terms.deadline:g} s" if end == "deadline" else "")
    if verdict.failed:
        log.warning("Failed: %s.", verdict.failures())
    return list(watch)
