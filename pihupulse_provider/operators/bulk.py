"""What the operators have in common that create in bulk.

The engine is imported where it is used: a DAG file, which imports this module too, has no need of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import Asset, Context

from pihupulse_provider.api import clock
from pihupulse_provider.api.logs import counted
from pihupulse_provider.assets import resource_uri
from pihupulse_provider.connection_form import DEFAULT_CONN_ID
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.options import CreateOptions, check_max_rejects, check_on_existing
from pihupulse_provider.creating.readers import Source
from pihupulse_provider.operators.base import PihuPulseOperator, is_literal, job_options
from pihupulse_provider.operators.links import PihuPulsePageLink, PihuPulseRejectsLink, PihuPulseResultsLink
from pihupulse_provider.operators.storage import check_files_differ, check_not_empty, check_writable, write_lines

if TYPE_CHECKING:
    from pihupulse_provider.creating.resources import Resource
    from pihupulse_provider.operators.lineage import Columns, Dataset, Lineage


class BulkOperator(PihuPulseOperator):
    """Creates many objects, each once, and says what came of each.

    What it creates is an asset of Airflow that the task updates: ``pihupulse://<connection id>/candidates`` or
    ``…/screenings``. Its events hold the counts and the paths of the XCom. Each operator describes the parameters.
    """

    template_fields: Sequence[str] = ("results_path", "rejects_path", *PihuPulseOperator.template_fields)
    operator_extra_links = (PihuPulsePageLink(), PihuPulseResultsLink(), PihuPulseRejectsLink())
    written_files: ClassVar[tuple[str, ...]] = ("results_path", "rejects_path")

    def __init__(
        self,
        *,
        max_rejects: float = 0,
        results_path: str | None = None,
        rejects_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.outlets = self._with_asset(self.outlets, self.pihupulse_conn_id)
        self.max_rejects = check_max_rejects(max_rejects)
        self.results_path = results_path
        self.rejects_path = rejects_path
        check_not_empty("results_path", results_path)
        check_not_empty("rejects_path", rejects_path)
        self.check_own_files()
        if is_literal(results_path, rejects_path):
            check_files_differ(self._written())
        self.created: int | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task; its asset is declared when the DAG is parsed, as a plain task's is."""
        conn_id = kwargs.get("pihupulse_conn_id", DEFAULT_CONN_ID)
        return super().partial(**{**kwargs, "outlets": cls._with_asset(kwargs.get("outlets"), conn_id)})

    @classmethod
    def _with_asset(cls, outlets: Any, conn_id: Any) -> list[Any]:
        declared = outlets if isinstance(outlets, list | tuple) else [outlets] if outlets else []
        if not is_literal(conn_id):
            return [*declared]
        asset = Asset(resource_uri(cls.writes[0], conn_id))
        return [*declared] if asset in declared else [*declared, asset]

    def create(self, context: Context, resource: Resource, source: Source, **options: Any) -> dict[str, Any]:
        """Create what the source says, and return the summary."""
        from pihupulse_provider.creating.create_run import CreateRun
        from pihupulse_provider.operators.activity import shown_progress
        from pihupulse_provider.store.activity import Activity, TaskRef

        check_files_differ(self._written(), self.read_files())
        for argument, path in self._written().items():
            check_writable(argument, path)
        bulk = CreateRun(
            resource,
            CreateOptions(**job_options(context), max_rejects=self.max_rejects, **options),
            self.hook.ledger,
            self.hook.connect,
            write_results=lambda records: write_lines("results_path", self.results_path, records),
            write_rejects=lambda records: write_lines("rejects_path", self.rejects_path, records),
            count=lambda name, by: _count(f"pihupulse.{resource.noun}s.{name}", by),
        )
        began_at = clock.now()

        def activity(task: TaskRef) -> Activity:
            total, done, rejected = bulk.extent
            return Activity(
                task, "import", self.pihupulse_conn_id, f"{resource.noun}s", began_at, None, total, done, rejected
            )

        with shown_progress(self.hook, context, activity):
            summary = asdict(bulk.run(source))
        self.created = summary["created"]
        return self.result(context, {**summary, **self._written()})

    def lineage(self) -> Lineage:
        """Return what the rows come from and go to, and the files that say what came of each."""
        from pihupulse_provider.operators.lineage import Lineage, file_dataset, resource_dataset

        created = resource_dataset(self.hook.account.base_url, self.writes[0])
        sources, columns = self.sources()
        written = [file_dataset(path) for path in (self.results_path, self.rejects_path) if path is not None]
        return Lineage(
            inputs=sources,
            outputs=[created, *written],
            columns=columns,
            rows=self.created,
        )

    def _written(self) -> dict[str, str | None]:
        return {"results_path": self.results_path, "rejects_path": self.rejects_path}

    def read_files(self) -> Iterable[tuple[str, Any]]:
        """Return the files that the rows come from, each with the argument that names it."""
        return ()

    @abstractmethod
    def sources(self) -> tuple[Sequence[Dataset], Columns]:
        """Return what the rows come from, as far as it has a name, and which columns each field is made of."""


class ImportOperator(BulkOperator):
    """Creates a candidate for each row, wherever the rows come from; each operator describes the parameters."""

    writes: ClassVar[Sequence[str]] = ("candidates",)

    def __init__(
        self,
        *,
        field_map: Mapping[str, str | Sequence[str]] | None = None,
        on_existing: str = "skip",
        phone_region: str | None = None,
        drop_invalid_optional: bool = False,
        allow_special_domains: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.on_existing = check_on_existing(on_existing)
        self.candidates = CandidateInput(
            field_map,
            phone_region=phone_region,
            drop_invalid_optional=drop_invalid_optional,
            allow_special_domains=allow_special_domains,
        )

    def create_candidates(self, context: Context, source: Source) -> dict[str, Any]:
        """Create what the rows say, and return the summary."""
        from pihupulse_provider.creating.resources import CandidateResource

        resource = CandidateResource(self.candidates)
        summary = self.create(context, resource, source, on_existing=self.on_existing, on_repeated=self.on_existing)
        for field, rows in self.candidates.left_out.items():
            self.log.warning("%s had no valid %s, which was left out.", counted(rows, "row"), field)
        if self.candidates.unseen:
            columns = ", ".join(map(repr, sorted(self.candidates.unseen)))
            self.log.warning("No row had %s, which field_map names: is that how the source spells it?", columns)
        return summary


def _count(name: str, by: int) -> None:
    from airflow.providers.common.compat.sdk import Stats

    Stats.incr(name, by)
