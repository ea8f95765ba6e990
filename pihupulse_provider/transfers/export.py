"""What the operators have in common that read everything of a kind out of PihuPulse."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.api import clock
from pihupulse_provider.api.async_client import run_to_end
from pihupulse_provider.api.clock import moment
from pihupulse_provider.exporting.export import DETAILS, MODELS, Export, check_resource
from pihupulse_provider.exporting.file_formats import Writer
from pihupulse_provider.operators.activity import shown_progress
from pihupulse_provider.operators.base import PihuPulseOperator
from pihupulse_provider.operators.links import PihuPulseExportLink, PihuPulsePageLink
from pihupulse_provider.store.activity import Activity, TaskRef

if TYPE_CHECKING:
    from pihupulse_provider.operators.lineage import Dataset, Lineage


class ExportOperator(PihuPulseOperator):
    """Reads all candidates, screenings, reports or templates; a subclass says where they go, and what is asked for."""

    template_fields: Sequence[str] = ("updated_since", *PihuPulseOperator.template_fields)
    operator_extra_links = (PihuPulsePageLink(), PihuPulseExportLink())

    def __init__(
        self,
        *,
        resource: str,
        detail: bool = False,
        status: str | None = None,
        updated_since: str | datetime | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_resource(resource, detail=detail, status=status)
        self.resource = resource
        self.detail = detail
        self.status = status
        self.updated_since = updated_since
        self.rows: int | None = None

    @property
    def fields(self) -> list[str]:
        """Return the fields of the resource that are written."""
        return [field for field in MODELS[self.resource].model_fields if field not in self.fields_left_out]

    def lineage(self) -> Lineage:
        """Return what is read, and where its fields go."""
        from pihupulse_provider.operators.lineage import Lineage, of_source, resource_dataset

        source, target = resource_dataset(self.hook.account.base_url, self.resource, self.fields), self.target()
        return Lineage(
            inputs=[source],
            outputs=[target] if target is not None else [],
            columns=of_source(source, {field: [field] for field in self.fields}),
            rows=self.rows,
        )

    @abstractmethod
    def target(self) -> Dataset | None:
        """Return where the rows go; None if that is not known yet."""

    @property
    def fields_left_out(self) -> frozenset[str]:
        """Return the fields of the resource that are not read."""
        return DETAILS if self.resource == "candidates" and not self.detail else frozenset()

    def export(self, context: Context, writer: Writer) -> dict[str, Any]:
        """Read everything into a writer, and return ``{"rows", "watermark", "requests", "seconds"}``."""
        return run_to_end(self._export(context, writer))

    async def _export(self, context: Context, writer: Writer) -> dict[str, Any]:
        async with self.hook.connect() as client:
            since = moment("updated_since", self.updated_since)
            export = Export(self.resource, client, self.detail, self.status, since)
            began_at = clock.now()

            def activity(task: TaskRef) -> Activity:
                total, done = export.progress.of or None, export.progress.done
                return Activity(task, "export", self.pihupulse_conn_id, self.resource, began_at, None, total, done)

            with shown_progress(self.hook, context, activity):
                await export.run(writer)
            self.rows = export.rows
            watermark = export.watermark.isoformat() if export.watermark is not None else None
            return {
                "rows": export.rows,
                "watermark": watermark,
                "requests": client.requests_sent,
                "seconds": export.seconds,
            }
