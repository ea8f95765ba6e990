"""Operators for screening templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import Context

from pihupulse_provider.operators.base import PihuPulseOperator


class PihuPulseListTemplatesOperator(PihuPulseOperator):
    """List the screening templates (API reference, "List Templates").

    The XCom is a list of templates, each with ``id``, ``name``, ``duration_minutes`` and ``question_count``.

    :param pihupulse_conn_id: the connection. (templated)
    """

    reads: ClassVar[Sequence[str]] = ("templates",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"multiple_outputs": False, **kwargs})

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the templates."""
        templates = self.hook.list_templates()
        self.log.info("Found %d screening template%s.", len(templates), "" if len(templates) == 1 else "s")
        return [self.output_of(template) for template in templates]
