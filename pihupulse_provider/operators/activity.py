"""Shows on the PihuPulse page what a task is doing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import BaseSensorOperator, TaskDeferred

from pihupulse_provider.api.clock import read_iso
from pihupulse_provider.operators.base import PihuPulseTask
from pihupulse_provider.store.activity import Activity, ActivityLog, State, TaskRef

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from pihupulse_provider.hooks.pihupulse import PihuPulseHook
    from pihupulse_provider.store.engine import Store
    from pihupulse_provider.waiting.wait_state import WaitState

_EVERY = 5.0
_STILL_THERE = 30.0
"""After how many seconds an activity is written again although nothing of it has changed."""
_PATIENCE = 5.0
"""How long a task that is done waits for its last write: a store that is away does not hold it up."""


class ShownWait:
    """Shows a wait that a task has by itself, without a triggerer.

    :param context: the task's. Who calls an operator by hand may give one without a task instance: then nothing is
        shown.
    """

    def __init__(self, hook: PihuPulseHook, context: Context) -> None:
        self._hook = hook
        self._task = TaskRef.of(context.get("ti"))

    def show(self, state: WaitState, next_at: float) -> None:
        """Show how far a wait for screenings is, and when it polls next."""
        from pihupulse_provider.waiting.wait_board import screenings_wait

        self.put(lambda task: screenings_wait(task, self._hook.pihupulse_conn_id, state, next_at))

    def put(self, make: Callable[[TaskRef], Activity]) -> None:
        """Show a wait of any kind."""
        if self._task is not None:
            _log_of(self._hook.store).put([make(self._task)])

    @contextmanager
    def until_end(self) -> Iterator[None]:
        """Take the wait off the page when it ends, however it does; a deferred or rescheduled one stays."""
        goes_on = False
        try:
            yield
        except (TaskDeferred, AirflowRescheduleException):
            goes_on = True
            raise
        finally:
            if self._task is not None and not goes_on:
                _log_of(self._hook.store).end([self._task])


class PihuPulseSensor(PihuPulseTask, BaseSensorOperator):
    """A sensor that shows its wait for as long as it lasts, whether or not a triggerer waits."""

    template_fields: Sequence[str] = ("pihupulse_conn_id",)

    def execute(self, context: Context) -> Any:
        """Wait."""
        with ShownWait(self.hook, context).until_end():
            return super().execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on from where it deferred; its triggerer may never have begun."""
        with ShownWait(self.hook, context).until_end():
            return super().resume_execution(next_method, next_kwargs, context)

    def rescheduled_since(self, context: Context) -> float | None:
        """Return when it first poked, in epoch seconds; None in its first poke, and where it is not rescheduled."""
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        # Airflow 3.0 gives the text of it in dag.test().
        return read_iso(first).timestamp() if first else None


@cache
def _log_of(store: Store) -> ActivityLog:
    return ActivityLog(store)


@contextmanager
def shown_progress(hook: PihuPulseHook, context: Context, make: Callable[[TaskRef], Activity]) -> Iterator[None]:
    """Show how far a bulk operation is while the context lasts, and how it ended.

    A thread of its own writes, so that a slow store slows nothing down.

    :param context: the task's; see :class:`ShownWait`. :param make: returns how far it is; called in that thread.
    """
    task, is_over = TaskRef.of(context.get("ti")), threading.Event()
    if task is None:
        yield
        return
    state: State = "running"
    arguments = (_log_of(hook.store), lambda: replace(make(task), state=state), is_over)
    thread = threading.Thread(target=_keep_shown, args=arguments, name="pihupulse-activity", daemon=True)
    thread.start()
    try:
        yield
        state = "done"
    except BaseException:
        state = "failed"
        raise
    finally:
        is_over.set()
        thread.join(_PATIENCE)


def _keep_shown(log: ActivityLog, make: Callable[[], Activity], is_over: threading.Event) -> None:
    written, age, is_last = None, 0.0, False
    while not is_last:
        is_last = is_over.is_set()
        activity = make()
        if activity != written or age >= _STILL_THERE:
            log.put([activity])
            written, age = activity, 0.0
        if not is_last:
            is_over.wait(_EVERY)
            age += _EVERY
