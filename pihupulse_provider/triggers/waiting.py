"""Waiting for screenings from any operator.

An operator that waits in its own process calls :func:`wait_here`. One that defers calls :func:`begin_wait` in
``execute``, and :func:`resume_wait` in the method that Airflow resumes it with; both return what was seen of each
screening once the wait is over, and defer until then. What Airflow itself ends, because no triggerer did in time, is
polled once more by :func:`end_wait`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, BaseOperator

from pihupulse_provider.api import clock
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.api.logs import Log, duration, utc
from pihupulse_provider.waiting.wait_spec import End, WaitSpec
from pihupulse_provider.waiting.wait_state import GRACE, ScreeningSnapshot, WaitState, unpack

if TYPE_CHECKING:
    from pihupulse_provider.api.client import Client
    from pihupulse_provider.store.list_pages import ListPages

BACKSTOP = timedelta(minutes=2)
"""How much later than the trigger Airflow itself ends a wait, in case no triggerer runs."""
_FRESH_SECONDS = 3.0
"""How old a page may be that another task has read: as if this one had begun so much earlier."""
_QUIET_SECONDS = 300.0
"""How often the log hears of progress that is none."""


class ScreeningFailedError(AirflowFailException):
    """Screenings ended badly, so that what was waited for can't come: the task fails without a retry.

    :ivar statuses: the status of each screening that failed.
    """

    def __init__(self, message: str, statuses: Mapping[str, str]) -> None:
        super().__init__(message)
        self.statuses = dict(statuses)


class TaskPoller:
    """Polls for one wait from within a task, and keeps what it has seen from one poll to the next.

    :param state: what is waited for.
    :param now: returns the time, in epoch seconds.
    :param show: takes how far the wait is and when the next poll is, after each that does not end it.
    :param pages: shares what the first poll reads of the list with other tasks that begin now.
    """

    def __init__(
        self,
        state: WaitState,
        log: Log,
        now: Callable[[], float] = clock.now,
        show: Callable[[WaitState, float], None] | None = None,
        pages: ListPages | None = None,
    ) -> None:
        from pihupulse_provider.waiting.request_plan import ListPositions

        self.state = state
        self._positions = ListPositions()
        self._log = log
        self._now = now
        self._show = show
        self._pages = pages
        self._said, self._said_at = "", 0.0

    def poll(self, client: Client) -> End | None:
        """Poll once all that still waits, and return how the wait has ended; None while it goes on.

        An error that may pass (no response, 429, 5xx) is a poll that saw nothing.

        :raises PihuPulseError: an error that polling again would not cure, such as a wrong API key.
        """
        # The client and its models are for the task: a DAG file, which imports this module too, has no need of them.
        from pihupulse_provider.waiting.poll_round import PollRound, run_round

        round_ = PollRound(self.state.open, self._positions)
        began_at = self._now()
        pages, self._pages = self._pages, None
        # A page that is not this moment's is no proof that a screening is gone.
        is_young = began_at - self.state.spec.started_at < GRACE
        try:
            if pages is None or not is_young:
                run_round(client, round_)
            else:
                fresh = min(_FRESH_SECONDS, self.state.spec.interval)
                run_round(client, round_, lambda number, request: pages.read(number, fresh, request))
        except PihuPulseError as error:
            if error.permanent:
                raise
            self._warn(error)
        else:
            self.state.see(self.state.gone(round_.missing, began_at))
            if round_.error is not None:
                self._warn(round_.error)
        self.state.see(round_.drain())
        self.state.warn(self._log)
        return self._end()

    def report(self) -> None:
        """Show how far the wait is, and log it if that is new or was not logged for five minutes."""
        now = self._now()
        progress = str(self.state.judge())
        if self._show is not None:
            self._show(self.state, now + self.state.spec.pause(now))
        if progress != self._said or now - self._said_at >= _QUIET_SECONDS:
            self._said, self._said_at = progress, now
            self._log.info("%s. The next poll is at %s.", progress, utc(now + self.state.spec.pause(now)))

    def _warn(self, error: PihuPulseError) -> None:
        self._log.warning("This poll of PihuPulse failed, the wait goes on: %s", error)

    def _end(self) -> End | None:
        if self.state.judge().state != "waiting":
            return "decided"
        left = self.state.spec.seconds_left(self._now())
        return self.state.spec.last_resort if left is not None and left <= 0 else None


def wait_here(
    client: Client,
    spec: WaitSpec,
    log: Log,
    sleep: Callable[[float], None] = time.sleep,
    show: Callable[[WaitState, float], None] | None = None,
) -> list[ScreeningSnapshot]:
    """Wait in this process, and return what was seen of each screening, in the order they were given.

    :param sleep: waits that many seconds. :param show: see :class:`TaskPoller`.
    :raises ScreeningFailedError: if the goal can't be reached. :raises AirflowSensorTimeout: if it was not in time.
    :raises PihuPulseError: if PihuPulse refuses to be polled, such as for a wrong API key.
    """
    poller = _begin(spec, log, show)
    while (end := poller.poll(client)) is None:
        poller.report()
        pause, left = spec.pause(clock.now()), spec.seconds_left(clock.now())
        sleep(pause if left is None else max(0.0, min(pause, left)))
    return outcome(poller.state, end, log)


def begin_wait(
    operator: BaseOperator, client: Client, conn_id: str, spec: WaitSpec, method_name: str
) -> list[ScreeningSnapshot]:
    """Poll once, and defer unless the wait is over already; for the rest see :func:`wait_here`.

    :param method_name: the operator's method that is resumed with an ``event`` for :func:`resume_wait`.
    """
    poller = _begin(spec, operator.log)
    end = poller.poll(client)
    if end is None:
        poller.report()
        defer_wait(operator, conn_id, poller.state, method_name)
    return outcome(poller.state, end, operator.log)


def resume_wait(
    operator: BaseOperator,
    client: Client,
    conn_id: str,
    spec: WaitSpec,
    *,
    method_name: str,
    event: Mapping[str, Any],
) -> list[ScreeningSnapshot]:
    """Return what the trigger saw, or poll again if PihuPulse refused it; for the rest see :func:`wait_here`.

    :param spec: the wait's, without screenings and start: the event has them.
    """
    state = recall(spec, event)
    if event["end"] == "error":
        return begin_wait(operator, client, conn_id, state.spec, method_name)
    return outcome(state, event["end"], operator.log)


def end_wait(client: Client, spec: WaitSpec, log: Log) -> list[ScreeningSnapshot]:
    """Poll once more at the limit of a wait, and return or raise what :func:`wait_here` does."""
    log.info("No triggerer ended the wait in time: the task polls once more itself.")
    poller = TaskPoller(WaitState(spec), log)
    return outcome(poller.state, poller.poll(client) or spec.last_resort, log)


def defer_wait(operator: BaseOperator, conn_id: str, state: WaitState, method_name: str) -> NoReturn:
    """Free the worker until the wait is over."""
    # What a triggerer needs is not what a DAG file should load.
    from pihupulse_provider.triggers.watch import WatchTrigger

    now = clock.now()
    left = state.spec.seconds_left(now)
    operator.defer(
        trigger=WatchTrigger(conn_id, state.dump(now)),
        method_name=method_name,
        timeout=None if left is None else timedelta(seconds=max(0.0, left)) + BACKSTOP,
    )


def recall(spec: WaitSpec, event: Mapping[str, Any]) -> WaitState:
    """Return the wait as it was when the trigger fired, also one of version 1.0.0."""
    seen = unpack(event["seen"])
    started_at = clock.now() - event["waited"] if "waited" in event else event["started_at"]
    state = WaitState(spec.of({one.screening_id: one.candidate_id for one in seen}, started_at))
    state.see(seen)
    return state


def outcome(state: WaitState, end: End, log: Log) -> list[ScreeningSnapshot]:
    """Return what was seen of each screening, or raise what the wait's end means."""
    verdict, spec = state.judge(), state.spec
    state.warn(log)
    if verdict.state == "failed":
        raise ScreeningFailedError(
            f"{verdict}, so that wait_for={spec.wait_for!r} can't be reached. Failed: {verdict.failures()}."
            f"{verdict.advice()}",
            verdict.failed,
        )
    if end == "timeout" and verdict.state == "waiting":
        raise AirflowSensorTimeout(f"{verdict} at the timeout of {duration(spec.timeout or 0)}.")
    at_deadline = end == "deadline" and spec.deadline is not None
    log.info("%s%s.", verdict, f" at the deadline of {duration(spec.deadline or 0)}" if at_deadline else "")
    if verdict.failed:
        log.warning("Failed: %s.%s", verdict.failures(), verdict.advice())
    return list(state)


def _begin(spec: WaitSpec, log: Log, show: Callable[[WaitState, float], None] | None = None) -> TaskPoller:
    log.info("%s", spec.describe())
    return TaskPoller(WaitState(spec), log, show=show)
