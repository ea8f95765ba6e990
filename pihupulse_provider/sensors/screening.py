"""The sensor that waits for screenings."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseSensorOperator, Context, PokeReturnValue, conf

from pihupulse_provider.hooks.pihupulse import PihuPulseHook
from pihupulse_provider.operators.base import PihuPulseTask, seconds, texts
from pihupulse_provider.operators.storage import check_writable, read_lines
from pihupulse_provider.sensors.outcomes import write_outcomes
from pihupulse_provider.triggers.waiting import defer_wait, look_once, recall, settle
from pihupulse_provider.waiting.screening_ids import read_screenings
from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot
from pihupulse_provider.waiting.statuses import FAILED, SUCCEEDED
from pihupulse_provider.waiting.wait_for import WaitFor
from pihupulse_provider.waiting.wait_spec import WaitSpec, check_limits

if TYPE_CHECKING:
    from pihupulse_provider.waiting.task_poller import TaskPoller


class PihuPulseScreeningSensor(PihuPulseTask, BaseSensorOperator):
    """Waits until screenings are completed, be it one or ten thousand.

    It returns a list with one ``{"screening_id", "candidate_id", "status", "score", "completed_at"}`` for each
    screening, in the order given; those that still wait or have failed are there too, without a score. With
    ``results_path`` the list goes there as JSON Lines, and the XCom is ``{"results_path", "screenings", "statuses"}``:
    where it is, how many there are, and how many of each status.

    It fails with :class:`~pihupulse_provider.triggers.waiting.ScreeningFailedError`, and without a retry, as soon as so
    many screenings failed that ``wait_for`` can't be reached. Poking, rescheduling and deferring come out the same.

    :param screening_ids: an id; what another task returned (a screening, a list of them, the summary of a task that
        created many, or its ``results_path``); or a list of ids.
    :param candidate_ids: the candidates' ids in the same order: while few screenings wait, looking at their candidates
        takes the fewest requests. What a create task returned has them already.
    :param wait_for: ``"all"``, ``"any"``, a count (int), or a share (float, such as 0.9) that has to be completed.
    :param failed_statuses: statuses that end a screening badly, upper and lower case alike; by default ``failed``,
        ``cancelled``, ``canceled``, ``expired`` and ``declined``. Any other status is still waiting.
    :param succeeded_statuses: statuses that end a screening well; by default ``completed``.
    :param deadline: seconds or timedelta after which the sensor succeeds with what there is. It then never fails for
        failed screenings, and ends as soon as nothing waits any more.
    :param results_path: where to write the outcomes as JSON Lines, for any storage that Airflow knows.
    :param deferrable: whether to wait in the triggerer, without a worker; by default as ``[operators]
        default_deferrable`` says.
    :param pihupulse_conn_id: the connection.
    """

    template_fields: Sequence[str] = (
        "screening_ids",
        "candidate_ids",
        "wait_for",
        "failed_statuses",
        "succeeded_statuses",
        "results_path",
        "pihupulse_conn_id",
    )
    native_fields: ClassVar[tuple[str, ...]] = (
        "screening_ids",
        "candidate_ids",
        "wait_for",
        "failed_statuses",
        "succeeded_statuses",
    )
    ui_color = "#e8f0ff"

    def __init__(
        self,
        *,
        screening_ids: Any,
        candidate_ids: Any = None,
        wait_for: WaitFor = "all",
        failed_statuses: Iterable[str] = FAILED,
        succeeded_statuses: Iterable[str] = SUCCEEDED,
        deadline: timedelta | float | None = None,
        results_path: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        pihupulse_conn_id: str = PihuPulseHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": results_path is not None, **kwargs})
        self.screening_ids = screening_ids
        self.candidate_ids = candidate_ids
        self.wait_for = wait_for
        self.failed_statuses = failed_statuses
        self.succeeded_statuses = succeeded_statuses
        self.deadline = None if deadline is None else seconds("deadline", deadline)
        self.results_path = results_path
        self.deferrable = deferrable
        self.pihupulse_conn_id = pihupulse_conn_id
        self._lookout: TaskPoller | None = None
        check_limits(self.timeout, self.deadline)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; defer afterwards if that is wanted and the wait goes on."""
        task_poller = self._lookout or self._begin(context)
        end = look_once(self.hook.get_conn(), task_poller)
        if end in ("decided", "deadline"):
            return PokeReturnValue(True, self._output(settle(task_poller.watch, end, task_poller.terms, self.log)))
        task_poller.watch.warn(self.log)
        self.log.info("%s.", task_poller.watch.judge())
        if self.deferrable and end is None:
            defer_wait(self, self.pihupulse_conn_id, task_poller.terms, "resume")
        return PokeReturnValue(False)

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on when the trigger has fired; if PihuPulse refused it, the task looks itself."""
        terms, watch = recall(self._terms(), event)
        if event["end"] == "error":
            self._look_for(terms)
            return self.execute(context)
        return self._output(settle(watch, event["end"], terms, self.log))

    def _begin(self, context: Context) -> TaskPoller:
        if not self._first_reschedule(context):
            check_writable("results_path", self.results_path)
        screenings = read_screenings(self.reveal("screening_ids"), self.reveal("candidate_ids"), read_lines)
        return self._look_for(self._terms().of(screenings, self._started_at(context)))

    def _look_for(self, terms: WaitSpec) -> TaskPoller:
        # The client that it asks with is for the task: a DAG file has no need of it.
        from pihupulse_provider.waiting.task_poller import TaskPoller

        self._lookout = TaskPoller(terms, self.log)
        return self._lookout

    def _started_at(self, context: Context) -> float:
        first = self._first_reschedule(context)
        # Airflow 3.0 gives the text of it in dag.test().
        return datetime.fromisoformat(str(first)).timestamp() if first else time.time()

    def _first_reschedule(self, context: Context) -> Any:
        return context["ti"].get_first_reschedule_date(context) if self.reschedule else None

    def _terms(self) -> WaitSpec:
        return WaitSpec(
            screenings={},
            started_at=0.0,
            wait_for=self.reveal("wait_for"),
            succeeded_statuses=texts("succeeded_statuses", self.reveal("succeeded_statuses")),
            failed_statuses=texts("failed_statuses", self.reveal("failed_statuses")),
            interval=self.poke_interval,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait.total_seconds() if self.max_wait else None,
            timeout=self.timeout,
            deadline=self.deadline,
        )

    def _output(self, snapshots: list[ScreeningSnapshot]) -> Any:
        if self.results_path is None:
            return [snapshot.public() for snapshot in snapshots]
        return write_outcomes(self.results_path, snapshots)
