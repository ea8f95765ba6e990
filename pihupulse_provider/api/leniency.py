"""What to make of a document in which something does not fit: an odd optional field counts as missing."""

from __future__ import annotations

import json
import logging
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

log = logging.getLogger(__name__)
_AS_SENT = "_as_sent"
"""Ends the name under which an object's extras keep what came in a field that counts as missing."""
_warned: set[str] = set()


def fitted(model: type[BaseModel], document: Any, error: ValidationError) -> Any:
    """Return a copy of a document that fits a model: odd optional fields have their defaults, and lists no nulls.

    What came in an odd field is kept beside it, as ``score_as_sent``. What is needed is left as it is: an id, or the
    list that a page consists of.

    :param error: what the model says of the document.
    """
    document = deepcopy(document)
    lists_with_nulls: list[list[Any]] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        odd = _odd_field(model, document, item["loc"])
        if odd is not None and (odd.nulls or odd.becomes_its_default()):
            lists_with_nulls.append(odd.nulls)
            _warn_once(odd)
    for one in lists_with_nulls:
        one[:] = [value for value in one if value is not None]
    return document


@dataclass
class _Odd:
    """The innermost field that something does not fit in.

    :ivar model: the model that names it. :ivar holder: the object that it is in.
    :ivar nulls: the list that it consists of, if what does not fit is a null among others; else an empty one.
    """

    model: type[BaseModel]
    holder: dict[str, Any]
    name: str
    nulls: list[Any]

    def becomes_its_default(self) -> bool:
        """Take what came out of the field. Return False if the field is needed."""
        field = self.model.model_fields[self.name]
        sent = self.holder.get(self.name)
        if not field.is_required():
            default = field.get_default()
        elif sent is None and get_origin(field.annotation) is list and self.name in self.holder:
            default = []
        else:
            return False
        if sent is not None and sent != default and _is_json(sent):
            self.holder[self.name + _AS_SENT] = sent
        self.holder[self.name] = default
        return True


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):  # a number such as 1e999 is infinite in Python, and none in JSON
        return False
    return True


def _odd_field(model: type[BaseModel], document: Any, path: tuple[int | str, ...]) -> _Odd | None:
    """Return the innermost field on the way to what does not fit; None if that is the whole document."""
    odd: _Odd | None = None
    kind, value = _model_in(model), document
    for part in path:
        if isinstance(value, dict) and kind is not None and part in kind.model_fields:
            odd = _Odd(kind, value, str(part), [])
            kind, value = _model_in(kind.model_fields[odd.name].annotation), value.get(odd.name)
        elif isinstance(value, list) and isinstance(part, int) and odd is not None:
            odd.nulls = value if value[part] is None else []
            value = value[part]
        else:
            break
    return odd


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, by itself or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _warn_once(odd: _Odd) -> None:
    name = f"{odd.model.__name__.partition('[')[0]}.{odd.name}"
    if name not in _warned:
        _warned.add(name)
        log.warning(
            "PihuPulse sent something in %s that is not what the API reference describes: it is left out there.", name
        )
