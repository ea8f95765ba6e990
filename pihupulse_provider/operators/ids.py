"""Ids out of what another task returned or a user gives: an id, a list, an object, a summary, a file of results."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from pihupulse_provider.api.errors import ConfigurationError, kind_of
from pihupulse_provider.creating.readers import FileFormat, Row
from pihupulse_provider.operators.storage import open_source

Pair = tuple[str, str | None]


def results_path_in(value: Any) -> str | None:
    """Return the path of a file of results, if that, or a summary that names one, is what was given."""
    path = value.get("results_path") if isinstance(value, Mapping) else value
    is_path = isinstance(path, str) and (path is not value or "/" in path)
    return path if is_path else None


def results_paths_in(value: Any) -> Iterator[str]:
    """Yield the paths of all files of results that are named, also in lists, and by each instance of a mapped task.

    An iterator is left alone: it can be read once only.
    """
    path = results_path_in(value)
    if path is not None:
        yield path
    elif isinstance(value, Collection) and not isinstance(value, str | Mapping):
        for one in value:
            yield from results_paths_in(one)


def candidate_rows(value: Any) -> Iterator[Row]:
    """Yield a row with a ``candidate_id`` for each candidate: of an import's results, or of lists of lists.

    :raises ConfigurationError: if an object names neither a candidate nor results.
    :raises SourceError: if a file of results can't be read.
    """
    path = results_path_in(value)
    if path is not None:
        yield from _candidates_of(path)
        return
    for number, row in enumerate(_flat(value), start=1):
        yield row._replace(number=number)


def read_screenings(value: Any, candidates: Any) -> dict[str, str | None]:
    """Return the ids of screenings, each with its candidate's id or None, in the order given and each once.

    :param value: an id; the path of a file of results; an object that a task returned (a screening, or a summary with
        a ``results_path``); or any iterable of ids and such objects.
    :param candidates: the candidates' ids in the same order, or None.
    :raises ConfigurationError: if it is none of these. :raises SourceError: if a file of results can't be read.
    """
    pairs = list(_pairs(value))
    if candidates is not None:
        owners = [_candidate_id(one) for one in _listed(candidates)]
        if len(owners) != len(pairs):
            raise ConfigurationError(
                f"candidate_ids names {len(owners)} candidates for {len(pairs)} screenings: give one for each, in the "
                "same order, or leave candidate_ids out."
            )
        pairs = [(screening_id, owner) for (screening_id, _), owner in zip(pairs, owners, strict=True)]
    return dict(pairs)


def _results(path: str) -> Iterator[Row]:
    with open_source(path, FileFormat("jsonl")) as results:
        yield from results.rows


def _candidates_of(path: str) -> Iterator[Row]:
    for row in _results(path):
        if row.values is None:
            yield row._replace(reason=f"{row.reason} (line {row.number} of {path})")
        elif row.values.get("status") != "rejected":
            # By its line: in results of several imports, one behind the other, the numbers of rows repeat.
            yield Row(row.number, {"candidate_id": row.values.get("id")})


def _flat(candidate_ids: Any) -> Iterator[Row]:
    """Yield a row for each candidate of lists of lists, of objects, and of files of results."""
    is_list = isinstance(candidate_ids, Iterable) and not isinstance(candidate_ids, str | Mapping)
    for one in candidate_ids if is_list else [candidate_ids]:
        path = results_path_in(one)
        if path is not None:
            yield from _candidates_of(path)
        elif isinstance(one, list | tuple):
            yield from _flat(one)
        else:
            yield Row(0, {"candidate_id": _id_of(one)})


def _id_of(one: Any) -> Any:
    if not isinstance(one, Mapping):
        return str(one) if isinstance(one, int) and not isinstance(one, bool) else one
    if "id" not in one:
        raise ConfigurationError(
            "candidate_ids holds an object with neither a results_path nor an id. Set results_path of the import "
            "before it, or give a list of ids."
        )
    return one["id"]


def _pairs(value: Any) -> Iterator[Pair]:
    for one in _listed(value):
        path = results_path_in(one)
        if path is not None:
            yield from _screenings_of(path)
        else:
            yield _screening(one)


def _screenings_of(path: str) -> Iterator[Pair]:
    """Yield the rows that have an id: the others were refused, and there is nothing to wait for."""
    for row in _results(path):
        if row.values is None:
            raise ConfigurationError(
                f"Line {row.number} of {path} {row.reason}: is it the results_path of a task that created screenings?"
            )
        if not {"screening_id", "id"} & row.values.keys():
            raise ConfigurationError(
                f"Line {row.number} of {path} has no id: is it the results_path of a task that created screenings?"
            )
        screening_id = row.values.get("screening_id") or row.values.get("id")
        if screening_id is not None:
            yield str(screening_id), row.values.get("candidate_id")


def _screening(one: Any) -> Pair:
    if isinstance(one, Mapping):
        if not {"screening_id", "id"} & one.keys():
            raise ConfigurationError(
                "screening_ids holds an object with neither a results_path nor an id. Set results_path of the task "
                "before it that creates the screenings, or give a list of ids."
            )
        screening_id = one.get("screening_id") or one.get("id")
        return _id(screening_id, "screening_ids"), one.get("candidate_id")
    return _id(one, "screening_ids"), None


def _candidate_id(one: Any) -> str:
    if isinstance(one, Mapping):
        one = one.get("candidate_id") or one.get("id")
    return _id(one, "candidate_ids")


def _listed(value: Any) -> Iterable[Any]:
    is_table = hasattr(value, "columns")  # a data frame, whose items are its columns
    is_one = is_table or isinstance(value, str | bytes | Mapping)
    return value if isinstance(value, Iterable) and not is_one else [value]


def _id(value: Any, argument: str) -> str:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or text in (".", ".."):
        raise ConfigurationError(
            f"{argument} is or holds {kind_of(value)}, that is no id: give ids such as 's67890', objects with an "
            "id, or the path of a file of results."
        )
    return text
