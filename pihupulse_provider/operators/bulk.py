"""What the operators have in common that create in bulk.

The engine is imported where it is used: a DAG file, which imports this module too, has no need of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.creating.options import CreateOptions, check_max_rejects
from pihupulse_provider.creating.readers import Source
from pihupulse_provider.operators.base import PihuPulseOperator, create_terms, outputs
from pihupulse_provider.operators.storage import check_writable, write_lines

if TYPE_CHECKING:
    from pihupulse_provider.creating.resources import Resource


class BulkOperator(PihuPulseOperator):
    """Creates many objects, each once, and says what came of each.

    :param max_rejects: how many invalid rows are allowed: a count, or a share of the rows below 1.
    :param results_path: where ``{"row", "status", "id"}`` of each row goes, as JSON Lines; any path of Airflow's
        object storage. (templated)
    :param rejects_path: where ``{"row", "field", "reason"}`` of each problem goes, as JSON Lines. (templated)
    """

    template_fields: Sequence[str] = ("results_path", "rejects_path", *PihuPulseOperator.template_fields)

    def __init__(
        self,
        *,
        max_rejects: float = 0,
        results_path: str | None = None,
        rejects_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_rejects = check_max_rejects(max_rejects)
        self.results_path = results_path
        self.rejects_path = rejects_path

    def create(self, context: Context, kind: Resource, source: Source, **terms: Any) -> dict[str, Any]:
        """Create what the source says, and return the summary."""
        from pihupulse_provider.creating.create_run import CreateRun

        for path in ("results_path", "rejects_path"):
            check_writable(path, getattr(self, path))
        bulk = CreateRun(
            kind,
            CreateOptions(**create_terms(context), max_rejects=self.max_rejects, **terms),
            self.hook.ledger,
            self.hook.connect,
            write_results=lambda records: write_lines("results_path", self.results_path, records),
            write_rejects=lambda records: write_lines("rejects_path", self.rejects_path, records),
            count=lambda name, by: _count(f"pihupulse.{kind.noun}s.{name}", by),
        )
        summary = bulk.run(source).as_dict()
        return outputs({**summary, "results_path": self.results_path, "rejects_path": self.rejects_path})


def _count(name: str, by: int) -> None:
    from airflow.providers.common.compat.sdk import Stats

    Stats.incr(name, by)
