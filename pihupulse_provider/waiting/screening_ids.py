"""The screenings that a user names: by id, by what another task returned, or by a file of results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pihupulse_provider.api.errors import ConfigurationError

ReadLines = Callable[[str], Iterable[str]]
Pair = tuple[str, str | None]


def read_screenings(value: Any, candidates: Any, read_lines: ReadLines) -> dict[str, str | None]:
    """Return the ids of screenings, each with its candidate's id or None, in the order given and each once.

    :param value: an id; the path of a JSON Lines file of results; an object that a task returned (a screening, or a
        summary with a ``results_path``); or any iterable of ids and such objects.
    :param candidates: the candidates' ids in the same order, or None.
    :param read_lines: reads the lines of a file.
    :raises ConfigurationError: if it is none of these.
    """
    pairs = list(_pairs(value, read_lines))
    if candidates is not None:
        owners = [_candidate_id(one) for one in _listed(candidates)]
        if len(owners) != len(pairs):
            raise ConfigurationError(
                f"candidate_ids names {len(owners)} candidates for {len(pairs)} screenings: give one for each, in the "
                "same order, or leave candidate_ids out."
            )
        pairs = [(screening_id, owner) for (screening_id, _), owner in zip(pairs, owners, strict=True)]
    return dict(pairs)


def _pairs(value: Any, read_lines: ReadLines) -> Iterator[Pair]:
    for one in _listed(value):
        path = one.get("results_path") if isinstance(one, Mapping) else one
        if isinstance(path, str) and "/" in path:
            yield from _results(path, read_lines)
        else:
            yield _screening(one)


def _results(path: str, read_lines: ReadLines) -> Iterator[Pair]:
    """Return the rows that have an id: the others were refused, and there is nothing to wait for."""
    for number, line in enumerate(read_lines(path), 1):
        try:
            row = json.loads(line)
            screening_id = row.get("screening_id") or row.get("id")
        except (ValueError, AttributeError):
            raise ConfigurationError(
                f"Line {number} of {path} is not a JSON object with an id: is it the results_path of a task that "
                "created screenings?"
            ) from None
        if screening_id is not None:
            yield str(screening_id), row.get("candidate_id")


def _screening(one: Any) -> Pair:
    if isinstance(one, Mapping):
        screening_id = one.get("screening_id") or one.get("id")
        return _id(screening_id, "screening_ids"), one.get("candidate_id")
    return _id(one, "screening_ids"), None


def _candidate_id(one: Any) -> str:
    if isinstance(one, Mapping):
        one = one.get("candidate_id") or one.get("id")
    return _id(one, "candidate_ids")


def _listed(value: Any) -> Iterable[Any]:
    return [value] if isinstance(value, str | int | Mapping) or value is None else value


def _id(value: Any, argument: str) -> str:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or text in (".", ".."):
        raise ConfigurationError(
            f"{argument} holds a {type(value).__name__} that is no id: give ids such as 's67890', objects with an id, "
            "or the path of a file of results."
        )
    return text
