"""How the template fields of operators and sensors are rendered, and what of them is shown.

Airflow renders each field of ``template_fields`` before a task runs, and stores what came of it in its database, where
everybody with access to the task sees it (seen on Airflow 3.0 to 3.3). What a candidate wrote must neither be run as a
template nor be stored there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence, Sized
from datetime import date
from typing import Any, ClassVar

import jinja2
from jinja2 import meta
from jinja2.nativetypes import NativeEnvironment

from pihupulse_provider.api.errors import ConfigurationError

_NOTHING = "None"
"""What a template renders to that found nothing."""
_SCALARS = (str, bool, int, float, date, os.PathLike, type(None))
_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_IDENTIFYING = ("id", "screening_id", "candidate_id", "results_path")
"""The keys by which an object is meant where ids are given; all else of it may be personal, and is not used."""
_OBJECT_WITHIN = re.compile(r"""[\[{(]\s*["']|\[\s*[{\[]""")
"""What no path and no id holds, and the text of a list or an object does, also behind other text."""
_OBJECT = re.compile(r"""\s*[\[{(]+\s*["'].*[\]})]\s*\Z""", re.DOTALL)
"""How the text of a list or an object looks, in JSON or Python, that holds texts."""


_OF_THE_RUN = frozenset(
    {
        *("conn", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "logical_date"),
        *("run_id", "task_instance_key_str", "test_mode", "ts", "ts_nodash", "ts_nodash_with_tz", "var"),
    }
)
"""What templates may name that is the same for each instance of a mapped task; its ``params`` may be expanded, too."""


class Private:
    """A rendered value that shows itself to nobody but the task."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "[personal data]"


class RenderedFields:
    """Renders an operator's template fields; put it before Airflow's base class.

    - What another task gave to ``expand`` or ``expand_kwargs`` is taken as it is. What the DAG's author wrote is
      rendered. (Airflow itself renders the values of ``expand_kwargs``, whoever they are from.)
    - It is done once: in what a template was rendered to, or another task gave, braces are what somebody wrote.
    - A field is text, and an id that came as a number is made one, unless it is among ``native_fields``: those may be
      lists, numbers or booleans, also by ``render_template_as_native_obj``.
    - A template that found nothing, which is the text ``None`` to Airflow, gives None.
    - Nothing in one of ``decisive_fields`` has a meaning of its own, such as any screening: :meth:`check_rendered`
      refuses it from a template or another task, which has found nothing.
    - What ``private_fields`` are rendered to is not stored. Of objects in other native fields only what identifies
      them is kept.
    - A list or an object where a text is meant, or the text that a template makes of what another task returned, is
      not stored either: it may hold people, and :meth:`check_rendered` refuses it.
    """

    template_fields: Sequence[str]
    native_fields: ClassVar[tuple[str, ...]] = ()
    private_fields: ClassVar[tuple[str, ...]] = ()
    decisive_fields: ClassVar[tuple[str, ...]] = ()
    _is_rendered = False
    _emptied: Sequence[str] = ()

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        # The one place through which plain and mapped tasks are rendered alike.
        render = super()._do_render_template_fields  # type: ignore[misc]
        if parent is not self:
            render(parent, template_fields, context, jinja_env, seen_oids)
            return
        if self._is_rendered:
            return
        self._is_rendered = True
        foreign = _given_by_tasks(self, context)
        written = {field: getattr(self, field) for field in template_fields if field not in foreign}
        render(self, [one for one in written if one in self.native_fields], context, jinja_env, seen_oids)
        texts = [one for one in written if one not in self.native_fields]
        render(self, texts, context, _text_environment(self, jinja_env), seen_oids)
        for field in template_fields:
            value = getattr(self, field)
            # Comparing a data frame gives a frame, which is neither true nor false.
            found_nothing = isinstance(value, str) and value == _NOTHING and written.get(field, value) != value
            setattr(self, field, None if found_nothing else self._shown(field, value))
        empty = [field for field in self.decisive_fields if _is_nothing(getattr(self, field))]
        given = _expanded(self, context) if foreign.intersection(empty) else {}
        self._emptied = [
            field for field in empty if (field in given if field in foreign else not _is_nothing(written.get(field)))
        ]

    def _render(self, template: jinja2.Template, context: Any, dag: Any = None) -> Any:
        # Airflow goes by the DAG, which may want numbers and lists, and not by the template's environment.
        if isinstance(template.environment, NativeEnvironment):
            return super()._render(template, context, dag)  # type: ignore[misc]
        return template.render(context)

    def is_private(self, value: Any) -> bool:
        """Return whether what a private field was rendered to may say something of a person."""
        return value is not None

    def reveal(self, name: str) -> Any:
        """Return the value of a native or private field."""
        value = getattr(self, name)
        return value.value if isinstance(value, Private) else value

    def check_rendered(self) -> None:
        """Check what the fields were rendered to.

        :raises ConfigurationError: if one is a list or an object that is not meant, or the text of one, or nothing
            where that means something else.
        """
        if self._emptied:
            raise ConfigurationError(
                f"{' and '.join(self._emptied)} came to nothing, as where a template names what is not there, or a "
                "task returned nothing or was skipped. Where nothing is meant, leave it out of the DAG."
            )
        for field in self.template_fields:
            value = self.reveal(field)
            if self._is_object(field, value):
                what = "a list or an object"
                if isinstance(value, str) or field in self.native_fields:
                    what = f"the text of {what}, as a template makes one of another task's output"
                raise ConfigurationError(f"{field} is {what}. {self._advice(field)}")

    def _advice(self, field: str) -> str:
        if field in self.native_fields:
            return (
                f"Give the other task's output itself ({field}=other_task.output), or set "
                "render_template_as_native_obj=True on the DAG."
            )
        return f'Give the part that is meant, such as {field}=other_task.output["id"].'

    def _shown(self, field: str, value: Any) -> Any:
        if field in self.private_fields and self.is_private(value):
            return Private(value)
        if field in self.native_fields:
            value = _identified(value)
            if not _is_plain(value):
                return Private(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return Private(value) if self._is_object(field, value) else value

    def _is_object(self, field: str, value: Any) -> bool:
        """Return whether a field has a list or an object for a text, or the text of one."""
        if field in self.native_fields:
            found = value if isinstance(value, list | tuple) else [value]
            return any(isinstance(one, str) and _is_text_of_list(one) for one in found)
        if field in self.private_fields:  # text may begin with a bracket, and is not shown anyway
            return False
        return _OBJECT.match(value) is not None if isinstance(value, str) else not _is_scalar(value)


def _identified(value: Any) -> Any:
    """Return a value without what its objects have beside what identifies them."""
    if isinstance(value, Mapping):
        return {key: _identified(value[key]) for key in _IDENTIFYING if key in value}
    return [_identified(one) for one in value] if isinstance(value, list | tuple) else value


def _is_plain(value: Any) -> bool:
    """Return whether a value is a scalar, or made of mappings, lists and scalars: what else there is may show more."""
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if isinstance(value, list | tuple) else _is_scalar(value)


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_scalar(value: Any) -> bool:
    return isinstance(value, _SCALARS) or hasattr(value, "fs")


def is_same_for_all(template: Any) -> bool:
    """Return whether a text is surely rendered to the same for each instance of a mapped task."""
    if not isinstance(template, str):
        return False
    try:
        parsed = jinja2.Environment(autoescape=True).parse(template)
    except jinja2.TemplateSyntaxError:
        return False
    return meta.find_undeclared_variables(parsed) <= _OF_THE_RUN


def _is_text_of_list(text: str) -> bool:
    text = text.strip()
    is_whole = len(text) > 1 and _BRACKETS.get(text[0]) == text[-1]
    return is_whole or _OBJECT_WITHIN.search(text) is not None


def _text_environment(operator: Any, jinja_env: Any) -> Any:
    if not isinstance(jinja_env, NativeEnvironment):
        return jinja_env
    return operator.get_dag().get_template_env(force_sandboxed=True)


def _given_by_tasks(operator: Any, context: Any) -> frozenset[str]:
    """Return the fields of a mapped task whose values other tasks returned."""
    dag = operator.get_dag()
    mapped = dag.task_dict.get(operator.task_id) if dag is not None else None
    expansion = getattr(mapped, "expand_input", None)
    if mapped is None or expansion is None:
        return frozenset()
    if isinstance(expansion.value, Mapping):  # expand()
        return frozenset(name for name, value in expansion.value.items() if hasattr(value, "resolve"))
    is_list = isinstance(expansion.value, Sized)  # expand_kwargs() of a list that the author wrote
    chosen = expansion.value[context["ti"].map_index] if is_list else expansion.value
    if isinstance(chosen, Mapping):
        return frozenset()
    if mapped._disallow_kwargs_override:  # noqa: SLF001 - what partial() has can't be among what the task returned
        return frozenset(field for field in operator.template_fields if field not in mapped.partial_kwargs)
    return frozenset(_expanded(operator, context))


def _expanded(operator: Any, context: Any) -> Mapping[str, Any]:
    """Return what the fields of an instance of a mapped task were expanded with."""
    values: Mapping[str, Any] = operator.get_dag().task_dict[operator.task_id].expand_input.resolve(context)[0]
    return values
