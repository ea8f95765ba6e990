"""What every PihuPulse operator has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, Context
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.connection_form import DEFAULT_CONN_ID
from pihupulse_provider.operators.rendering import RenderedFields

if TYPE_CHECKING:
    from pihupulse_provider.api.models import Model
    from pihupulse_provider.hooks.pihupulse import PihuPulseHook


class PihuPulseOperator(RenderedFields, BaseOperator):
    """A task that talks to PihuPulse.

    Each field of its result also gets an XCom of its own, so that ``output["id"]`` works; ``multiple_outputs=False``
    leaves them out.

    :param pihupulse_conn_id: the connection.
    :param include_personal: whether the XCom also gets names, e-mail addresses, phone numbers, résumé links and
        fields that the API reference does not name. XComs are stored in Airflow's database.
    """

    template_fields: Sequence[str] = ("pihupulse_conn_id",)
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        pihupulse_conn_id: str = DEFAULT_CONN_ID,
        include_personal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.pihupulse_conn_id = pihupulse_conn_id
        self.include_personal = include_personal

    @cached_property
    def hook(self) -> PihuPulseHook:
        """Return the hook of the connection."""
        # The client and the store are for the task: a DAG file, which imports this module too, has no need of them.
        from pihupulse_provider.hooks.pihupulse import PihuPulseHook

        return PihuPulseHook(self.pihupulse_conn_id)

    def output_of(self, model: Model) -> dict[str, Any]:
        """Return what of an object goes into the XCom."""
        return outputs(model.document() if self.include_personal else model.public())


def outputs(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields as a task with ``multiple_outputs`` may return them.

    Airflow 3.0 fails a task that gives an XCom the value None (fixed in 3.1), so there such fields are left out.
    """
    return fields if AIRFLOW_V_3_1_PLUS else {name: value for name, value in fields.items() if value is not None}


def seconds(argument: str, value: Any) -> float:
    """Return a duration in seconds. :raises ConfigurationError: if it is none, or not above 0."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < float("inf"):
        raise ConfigurationError(f"{argument} must be a number of seconds above 0 or a timedelta, not {value!r}.")
    return float(number)


def create_terms(context: Context) -> dict[str, Any]:
    """Return under which terms a task instance creates: what for, and what may have come of it before."""
    return {
        "job": create_job(context),
        "first_try": context["ti"].try_number <= 1,
        "since": context["dag_run"].run_after,
    }


def create_job(context: Context) -> str:
    """Return the name of what a task instance creates: the same for each of its tries, and after a clear."""
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
