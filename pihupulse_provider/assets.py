"""PihuPulse's lists as assets of Airflow: ``pihupulse://<connection id>/<resource>``.

An asset is named by the connection and not by the host: the connection's id is known when a DAG is parsed, stays the
same from a laptop to production, and tells two accounts of one host apart. OpenLineage, which also hears of systems
outside Airflow, gets the host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.assets import Asset

SCHEME = "pihupulse"
RESOURCES = ("candidates", "screenings", "reports", "templates")


def resource_uri(resource: str, conn_id: str) -> str:
    """Return the URI of one of ``RESOURCES`` in the account of a connection."""
    return f"{SCHEME}://{quote(conn_id, safe='')}/{resource}"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return a URI as Airflow stores it. :raises ValueError: if it names no connection or no resource."""
    if not uri.netloc or uri.path.strip("/") not in RESOURCES or uri.query:
        raise ValueError(
            f"An asset of PihuPulse is {SCHEME}://<connection id>/<resource>, where the resource is one of "
            f"{', '.join(RESOURCES)}."
        )
    return uri


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> Any:  # noqa: ARG001 - Airflow gives both
    """Return the dataset of OpenLineage that an asset is; it has the account's host."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    from pihupulse_provider.hooks.pihupulse import PihuPulseHook

    parsed = urlsplit(asset.uri)
    account = PihuPulseHook(unquote(parsed.netloc)).account
    return Dataset(namespace=openlineage_namespace(account.base_url), name=parsed.path.strip("/"))


def openlineage_namespace(base_url: str) -> str:
    """Return OpenLineage's namespace of an account, such as ``pihupulse://api.pihupulse.com``."""
    return f"{SCHEME}://{urlsplit(base_url).netloc}"
