"""The sensor that waits for screenings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context, PokeReturnValue, conf

from pihupulse_provider.api import clock
from pihupulse_provider.api.clock import seconds
from pihupulse_provider.connection_form import DEFAULT_CONN_ID
from pihupulse_provider.operators.activity import PihuPulseSensor, ShownWait
from pihupulse_provider.operators.base import is_literal, texts
from pihupulse_provider.operators.ids import read_screenings, results_paths_in
from pihupulse_provider.operators.links import PihuPulsePageLink, PihuPulseResultsLink
from pihupulse_provider.operators.storage import check_files_differ, check_not_empty, check_writable, write_lines
from pihupulse_provider.triggers.waiting import TaskPoller, defer_wait, end_wait, outcome, recall
from pihupulse_provider.waiting.wait_spec import FAILED, SUCCEEDED, WaitFor, WaitSpec, check_limits, parse_wait_for
from pihupulse_provider.waiting.wait_state import ScreeningSnapshot, WaitState


class PihuPulseScreeningSensor(PihuPulseSensor):
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

    native_fields: ClassVar[tuple[str, ...]] = (
        "screening_ids",
        "candidate_ids",
        "wait_for",
        "failed_statuses",
        "succeeded_statuses",
    )
    decisive_fields: ClassVar[tuple[str, ...]] = ("failed_statuses", "succeeded_statuses")
    template_fields: Sequence[str] = (*native_fields, "results_path", "pihupulse_conn_id")
    written_files: ClassVar[tuple[str, ...]] = ("results_path",)
    operator_extra_links = (PihuPulsePageLink(), PihuPulseResultsLink())

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
        pihupulse_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": results_path is not None, **kwargs})
        self.screening_ids = screening_ids
        self.candidate_ids = candidate_ids
        if is_literal(wait_for):
            parse_wait_for(wait_for)
        self.wait_for = wait_for
        self.failed_statuses = failed_statuses
        self.succeeded_statuses = succeeded_statuses
        self.deadline = None if deadline is None else seconds("deadline", deadline)
        check_not_empty("results_path", results_path)
        self.results_path = results_path
        self.check_own_files()
        self.deferrable = deferrable
        self.pihupulse_conn_id = pihupulse_conn_id
        self._poller: TaskPoller | None = None
        check_limits(self.timeout, self.deadline)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; defer afterwards if that is wanted and the wait goes on."""
        poller = self._poller or self._begin(context)
        end = poller.poll(self.hook.get_conn())
        if end is not None:
            return PokeReturnValue(True, self._output(outcome(poller.state, end, self.log)))
        poller.report()
        if self.deferrable:
            defer_wait(self, self.pihupulse_conn_id, poller.state, "resume")
        return PokeReturnValue(False)

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on when the trigger has fired; if PihuPulse refused it, the task polls itself."""
        state = recall(self._spec(), event)
        if event["end"] == "error":
            self._poller = TaskPoller(state, self.log)
            return self.execute(context)
        return self._output(outcome(state, event["end"], self.log))

    def end_at_limit(self, context: Context) -> Any:
        """Return what there is when the wait's time is over."""
        spec = self._spec()
        spec = spec.of(self._screenings(), clock.now() - (spec.limit or 0.0))
        return self._output(end_wait(self.hook.get_conn(), spec, self.log))

    def _begin(self, context: Context) -> TaskPoller:
        since = self.rescheduled_since(context)
        spec = self._spec().of(self._screenings(), clock.now() if since is None else since)
        if since is None:
            self.hook.get_connection(self.pihupulse_conn_id)  # fails here if there is none, before it says anything
            named = (("screening_ids", path) for path in results_paths_in(self.reveal("screening_ids")))
            check_files_differ({"results_path": self.results_path}, named)
            check_writable("results_path", self.results_path)
            self.log.info("%s", spec.describe())
        # What reads and writes the store is not what a DAG file should load.
        from pihupulse_provider.store.list_pages import ListPages

        pages = ListPages(self.hook.store, self.hook.account.key)
        show = ShownWait(self.hook, context).show
        self._poller = TaskPoller(WaitState(spec), self.log, show=show, pages=pages)
        return self._poller

    def _screenings(self) -> dict[str, str | None]:
        return read_screenings(self.reveal("screening_ids"), self.reveal("candidate_ids"))

    def _spec(self) -> WaitSpec:
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
        write_lines("results_path", self.results_path, (snapshot.public() for snapshot in snapshots))
        statuses = Counter(snapshot.status or "not seen" for snapshot in snapshots)
        return {"results_path": self.results_path, "screenings": len(snapshots), "statuses": dict(statuses)}
