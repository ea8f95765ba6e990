"""What the operators have in common that create in bulk.

The engine is imported where it is used: a DAG file, which imports this module too, has no need of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

from pihupulse_provider.creating.errors import SourceError
from pihupulse_provider.creating.options import CreateOptions, check_max_rejects
from pihupulse_provider.creating.readers import FileFormat, Source
from pihupulse_provider.operators.base import PihuPulseOperator, create_terms, outputs

if TYPE_CHECKING:
    from pihupulse_provider.creating.resources import Resource


class BulkOperator(PihuPulseOperator):
    """Creates many objects, each once, and says what came of each.

    :param max_rejects: how many unusable rows are borne: a count, or a share of the rows below 1.
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

        bulk = CreateRun(
            kind,
            CreateOptions(**create_terms(context), max_rejects=self.max_rejects, **terms),
            self.hook.ledger,
            self.hook.connect,
            write_results=lambda records: _write(self.results_path, records),
            write_rejects=lambda records: _write(self.rejects_path, records),
            count=lambda name, by: _count(f"pihupulse.{kind.noun}s.{name}", by),
        )
        summary = bulk.run(source).as_dict()
        return outputs({**summary, "results_path": self.results_path, "rejects_path": self.rejects_path})


@contextmanager
def open_source(path: str, file_format: FileFormat) -> Iterator[Source]:
    """Open a file of rows at any path of Airflow's object storage.

    :raises SourceError: if it can't be opened.
    """
    try:
        file = ObjectStoragePath(path).open("rb")  # type: ignore[no-untyped-call]
    except OSError as error:
        raise SourceError(
            f"{path} can't be opened: {error.strerror or error}. Check the path and its access."
        ) from error
    with file, file_format.reading(path, file) as source:
        yield source


def _write(path: str | None, records: Iterator[dict[str, Any]]) -> None:
    if path is not None:
        from pihupulse_provider.exporting.atomic_file import write_json_lines

        write_json_lines(ObjectStoragePath(path), records)


def _count(name: str, by: int) -> None:
    from airflow.providers.common.compat.sdk import Stats

    Stats.incr(name, by)
