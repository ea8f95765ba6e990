"""What every PihuPulse operator and sensor has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property, wraps
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Asset, BaseOperator, Context
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from pihupulse_provider.api.errors import ConfigurationError, PihuPulseError
from pihupulse_provider.connection_form import DEFAULT_CONN_ID
from pihupulse_provider.operators.rendering import RenderedFields, is_same_for_all

if TYPE_CHECKING:
    from pihupulse_provider.api.models import Model
    from pihupulse_provider.hooks.pihupulse import PihuPulseHook
    from pihupulse_provider.operators.lineage import Lineage

_FAIL, _TIMED_OUT = "__fail__", "Trigger timeout"
"""How Airflow 3.0 to 3.3 resume a task whose deferral took too long."""


def _guarded(run: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(run)
    def guarded(self: PihuPulseTask, *args: Any, **kwargs: Any) -> Any:
        try:
            self.check_rendered()
            return run(self, *args, **kwargs)
        except PihuPulseError as error:
            if error.permanent and not isinstance(error, AirflowException):
                error.__class__ = _failing(type(error))  # type: ignore[arg-type]
            raise

    return guarded


@cache
def _failing(kind: Any) -> Any:
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind, AirflowFailException), names)


def _named(begin: Callable[..., Any]) -> Callable[..., Any]:
    """Have errors in a task's arguments name the task: of a DAG's traceback Airflow shows the end, which is ours."""

    @wraps(begin)
    def named(task: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return begin(task, *args, **kwargs)
        except ConfigurationError as error:
            name = f"Task {getattr(task, 'task_id', None) or kwargs.get('task_id')}: "
            if not str(error).startswith(name):  # a subclass's error passes here once for each class
                error.args = (f"{name}{error}",)
            raise

    return named


class PihuPulseTask(RenderedFields):
    """A task that talks to PihuPulse, operator or sensor; put it before Airflow's base class.

    What its fields were rendered to is checked before it does anything. An error that says it is permanent, such as a
    404 or a wrong argument, fails the task without a retry: it becomes an ``AirflowFailException`` as well as what it
    was (Airflow 3.0 to 3.3 spend no retry on one).
    """

    ui_color = "#dbe7ff"
    ui_fgcolor = "#14284b"
    pihupulse_conn_id: str
    written_files: ClassVar[tuple[str, ...]] = ()
    """The fields that are paths of files which the task writes."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in {"execute", "resume_execution"} & vars(cls).keys():
            setattr(cls, name, _guarded(vars(cls)[name]))
        if "__init__" in vars(cls):
            cls.__init__ = _named(vars(cls)["__init__"])  # type: ignore[method-assign]

    @classmethod
    @_named
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task. :raises ConfigurationError: if all its instances would write the same file."""
        for field in cls.written_files:
            _check_own(field, kwargs.get(field))
        return super().partial(**kwargs)  # type: ignore[misc]

    def check_own_files(self) -> None:
        """Check that in a mapped task group each instance writes files of its own.

        :raises ConfigurationError: if all would write the same file.
        """
        if self.get_closest_mapped_task_group() is not None:  # type: ignore[attr-defined]
            for field in self.written_files:
                _check_own(field, getattr(self, field))

    @_guarded
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Run the task from where it deferred, or its ``end_at_limit`` where no triggerer ended its wait in time."""
        is_timed_out = next_method == _FAIL and (next_kwargs or {}).get("error") == _TIMED_OUT
        if is_timed_out and hasattr(self, "end_at_limit"):
            next_method, next_kwargs = "end_at_limit", {}
        return super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]

    @cached_property
    def hook(self) -> PihuPulseHook:
        """Return the hook of the connection."""
        # The client and the store are for the task: a DAG file, which imports this module too, has no need of them.
        from pihupulse_provider.hooks.pihupulse import PihuPulseHook

        return PihuPulseHook(self.pihupulse_conn_id)


def _check_own(field: str, path: Any) -> None:
    if is_same_for_all(path):
        raise ConfigurationError(
            f"{field} is the same for each instance of this mapped task, and each would replace what the others wrote: "
            "put {{ ti.map_index }} into it."
        )


class PihuPulseOperator(PihuPulseTask, BaseOperator):
    """A task that talks to PihuPulse.

    Each field of its result also gets an XCom of its own, so that ``output["id"]`` works; ``multiple_outputs=False``
    leaves them out.

    :param pihupulse_conn_id: the connection.
    :param include_personal: whether the XCom also gets names, e-mail addresses, phone numbers, résumé links and
        fields that the API reference does not name. XComs are stored in Airflow's database.
    """

    template_fields: Sequence[str] = ("pihupulse_conn_id",)
    reads: ClassVar[Sequence[str]] = ()
    """Which of PihuPulse's lists the task reads, and which it writes."""
    writes: ClassVar[Sequence[str]] = ()

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

    def lineage(self) -> Lineage:
        """Return what the task reads and writes."""
        from pihupulse_provider.operators.lineage import Lineage, resource_dataset

        address = self.hook.account.base_url
        return Lineage(
            inputs=[resource_dataset(address, resource) for resource in self.reads],
            outputs=[resource_dataset(address, resource) for resource in self.writes],
        )

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the lineage as the OpenLineage provider asks for it; also of a task that failed."""
        from pihupulse_provider.operators.lineage import openlineage

        return openlineage(self.lineage())

    def result(self, context: Context, fields: dict[str, Any]) -> dict[str, Any]:
        """Return fields as the task's result, and put their counts and paths into the events of its assets."""
        output = outputs(fields)
        extra = {name: value for name, value in output.items() if isinstance(value, str | int | float)}
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra = dict(extra)
        return output

    def output_of(self, model: Model) -> dict[str, Any]:
        """Return what of an object goes into the XCom."""
        return outputs(model.document() if self.include_personal else model.public())


def outputs(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields as a task with ``multiple_outputs`` may return them.

    Airflow 3.0 fails a task that gives an XCom the value None (fixed in 3.1), so there such fields are left out.
    """
    return fields if AIRFLOW_V_3_1_PLUS else {name: value for name, value in fields.items() if value is not None}


def boolean(argument: str, value: Any) -> bool:
    """Return a boolean, also of the text that a template makes of one. :raises ConfigurationError: if it is none."""
    meant = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        str(value).strip().lower()
    )
    if meant is None:
        raise ConfigurationError(f"{argument} must be True or False, also where a template gives it.")
    return meant


def texts(argument: str, value: Any) -> tuple[str, ...]:
    """Return a list of texts; a text is a list of one. :raises ConfigurationError: if it is none."""
    listed = () if value is None else (value,) if isinstance(value, str) else value
    found = tuple(listed) if isinstance(listed, Iterable) else (listed,)
    if not all(isinstance(one, str) for one in found):
        raise ConfigurationError(f"{argument} must be a list of texts.")
    return tuple(one for one in found if one.strip())


def is_literal(*values: Any) -> bool:
    """Return whether nothing of these arguments is left to be rendered or to come from another task."""
    return all(
        value is None or (isinstance(value, str | bool | int | float) and "{" not in str(value)) for value in values
    )


def job_options(context: Context) -> dict[str, Any]:
    """Return the options of a create that the task instance decides: its job, and what may have come of it before."""
    return {
        "job": create_job(context),
        "first_try": context["ti"].try_number <= 1,
        "since": context["dag_run"].run_after,
    }


def create_job(context: Context) -> str:
    """Return the name of what a task instance creates: the same for each of its tries, and after a clear."""
    ti = context["ti"]
    return f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
