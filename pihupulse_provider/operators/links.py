"""Links on a task instance's page in Airflow: to the PihuPulse page, and to the files that the task wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from airflow.providers.common.compat.sdk import conf
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

PAGE_PATH = "/pihupulse/overview"
"""Where the PihuPulse page is, below the base path of Airflow's API server."""


def page_url(**params: str | int) -> str:
    """Return the page's address on whichever host Airflow's UI is, filtered by what is given."""
    base = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return f"{base}{PAGE_PATH}/{'?' + urlencode(params) if params else ''}"


def browsable(path: str | None) -> str:
    """Return where a browser shows a file of object storage; empty if there is no such address."""
    scheme, _, rest = (path or "").partition("://")
    where, _, key = rest.partition("/")
    bucket = where.rpartition("@")[2]  # before it may be a connection of Airflow's
    if scheme in ("http", "https"):
        return path or ""
    if not bucket or not key:
        return ""
    if scheme in ("s3", "s3a", "s3n"):
        return f"https://s3.console.aws.amazon.com/s3/object/{quote(bucket)}?{urlencode({'prefix': key})}"
    if scheme in ("gs", "gcs"):
        return f"https://console.cloud.google.com/storage/browser/_details/{quote(bucket)}/{quote(key)}"
    return ""


class PihuPulsePageLink(BaseOperatorLink):
    """To the PihuPulse page, with what this task does and waits for (from Airflow 3.1 on, which has the page)."""

    name = "PihuPulse"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address; Airflow calls it when the task has run, and keeps it as an XCom."""
        if not AIRFLOW_V_3_1_PLUS:
            return ""
        task = {"dag_id": ti_key.dag_id, "run_id": ti_key.run_id, "task_id": ti_key.task_id}
        is_mapped = ti_key.map_index is not None and ti_key.map_index >= 0
        return page_url(**task, **({"map_index": ti_key.map_index} if is_mapped else {}))


class _FileLink(BaseOperatorLink):
    """To a file that the task wrote, where a browser can show it."""

    argument: str

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address; empty if there is no file, or no address to see it at."""
        path = getattr(operator, self.argument, None)
        return browsable(str(path)) if path else ""


class PihuPulseResultsLink(_FileLink):
    """To the results."""

    name = "Results"
    argument = "results_path"


class PihuPulseRejectsLink(_FileLink):
    """To the rejected rows."""

    name = "Rejects"
    argument = "rejects_path"


class PihuPulseExportLink(_FileLink):
    """To the exported file."""

    name = "Exported file"
    argument = "path"
