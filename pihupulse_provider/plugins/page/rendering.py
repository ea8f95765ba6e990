"""What the page's templates are given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pihupulse_provider.api.clock import write_iso
from pihupulse_provider.api.logs import utc
from pihupulse_provider.plugins.page import icon
from pihupulse_provider.store.activity import STALLED_SECONDS
from pihupulse_provider.store.overview import Overview, Wanted

THEME_SCRIPT = Path(__file__).with_name("theme.js").read_text("utf-8")
"""Makes the page follow the theme of Airflow's UI; it is within the page, so that it runs before the first paint."""
SECTIONS = {"waits": "Waits", "transfers": "Imports and exports", "deliveries": "Deliveries"}
SIZE, SHORT = 50, 8
"""Rows of a section's own page, and of the overview."""
_KEPT = ("q", "dag_id", "run_id", "task_id", "map_index", "embedded")
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


@dataclass(frozen=True)
class Address:
    """Where the page is.

    :ivar base: the path of the page. :ivar airflow: the path of Airflow. :ivar section: which part of the page.
    :ivar query: what the request asked for. ``embedded`` among it: the page is in a frame of Airflow's UI, which has a
        title and a menu, and out of which no link can lead.
    """

    base: str
    airflow: str
    section: str
    query: dict[str, str]

    @property
    def embedded(self) -> bool:
        """Return whether the page is in a frame of Airflow's UI."""
        return "embedded" in self.query

    def link(self, section: str = "", **changed: Any) -> str:
        """Return a link to a part of the page, which keeps what was asked for but for what is changed."""
        kept = {name: value for name, value in self.query.items() if name in _KEPT and value}
        query = {name: value for name, value in {**kept, **changed}.items() if value is not None}
        return f"{self.base}/{section}" + (f"?{urlencode(query)}" if query else "")

    def only(self, row: Any) -> str:
        """Return a link to what the task instance of a row does."""
        index = row.map_index if row.map_index >= 0 else None
        task = {"dag_id": row.dag_id, "run_id": row.run_id, "task_id": row.task_id, "map_index": index}
        return self.link("", **task, q=None)

    def task(self, row: Any) -> str:
        """Return a link to a task instance's page in Airflow."""
        run, task = quote(row.run_id, safe=""), quote(row.task_id, safe="")
        mapped = f"/mapped/{row.map_index}" if row.map_index >= 0 else ""
        return f"{self.airflow}/dags/{quote(row.dag_id, safe='')}/runs/{run}/tasks/{task}{mapped}"

    def values(self, wanted: Wanted, overview: Overview) -> dict[str, Any]:
        """Return what of the store this part of the page shows."""
        size = SIZE if self.section else SHORT
        is_all = not (self.section or wanted.is_of_task or wanted.text)
        has_deliveries = self.section in ("", "deliveries") and not wanted.is_of_task
        has_waits, has_transfers = self.section in ("", "waits"), self.section in ("", "transfers")
        return {
            "now": overview.now,
            "size": size,
            "accounts": overview.accounts() if is_all else None,
            "waits": overview.tasks(("wait",), wanted, size) if has_waits else None,
            "transfers": overview.tasks(("import", "export"), wanted, size) if has_transfers else None,
            "deliveries": overview.deliveries(wanted, size) if has_deliveries else None,
            "consumers": overview.consumers() if has_deliveries and not wanted.text else None,
        }


def duration(seconds: float) -> str:
    """Return a span of time in its two greatest units, such as ``3 min`` or ``2 h 5 min``."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {unit}")
        left %= size
    return " ".join(parts) or f"{left} s"


def moment(epoch: float) -> str:
    """Return epoch seconds as an ISO 8601 time in UTC; a clock that was set beyond all years gives none."""
    try:
        return write_iso(datetime.fromtimestamp(int(epoch), UTC))
    except (ValueError, OverflowError, OSError):
        return ""


def state_of(row: Any, now: float) -> str:
    """Return in a word how a row's task fares."""
    if row.state == "running" and now - row.updated_at > STALLED_SECONDS:
        return "stopped"
    return str(row.state)


def moved_by(row: Any) -> str:
    """Return what a row's task moves, and which way; the store has ``import`` for all that creates in bulk."""
    if row.kind == "import" and row.what == "screenings":
        return "creating screenings"
    return f"{row.kind} of {row.what}"


def finished(row: Any) -> int:
    """Return how many of a row's total have come to an end, good or bad."""
    return int(min(row.done + row.failed, row.total))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        duration=duration,
        moment=moment,
        utc=utc,
        state_of=state_of,
        moved_by=moved_by,
        finished=finished,
        sections=SECTIONS,
        icon=icon,
        theme_script=THEME_SCRIPT,
    )
    environment.filters["counted"] = lambda number: f"{number:,}"
    return environment


_templates = _environment()


def render(template: str, address: Address, **values: Any) -> str:
    """Return a page."""
    return _templates.get_template(template).render(at=address, **values)
