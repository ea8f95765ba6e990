"""What became of a fleet's run: the local PihuPulse's counts beside what the run says."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from pihupulse_provider.sandbox import Sandbox
from tests.fleet.faults import Faults

Row = tuple[str, Any, str]
_HELD = ("memory", "threads", "handles")


def drained(folder: Path) -> list[str]:
    """Return the screenings of which the event DAG's runs read the completion."""
    return [one for path in folder.glob("drained-*.json") for one in json.loads(path.read_text())]


class Ended(NamedTuple):
    """How the run ended, and how many tasks had to be cleared since the API key had been revoked."""

    state: str
    cleared: int


def outcome(
    sandbox: Sandbox,
    folder: Path,
    options: Namespace,
    ended: Ended,
    tasks: Sequence[Mapping[str, Any]],
    taken: Mapping[int, int],
    connections: int,
    faults: Faults,
) -> tuple[list[Row], bool]:
    """Return the table's rows, and whether all is as it should be."""
    emails = Counter(one["email"] for one in sandbox.candidates)
    screened = Counter(one["candidate_id"] for one in sandbox.screenings)
    invited = Counter(one["candidate_id"] for one in sandbox.invitations)
    events = Counter(drained(folder))
    completed = [one for one in sandbox.deliveries if one.event.name == "screening.completed"]
    arrived = {one.event.data["screening_id"] for one in completed if one.arrived}
    counts = {
        "rows lost": options.runs * options.rows - len(emails),
        "rows doubled": _doubled(emails),
        "screenings lost": options.runs * options.screenings - len(screened),
        "screenings doubled": _doubled(screened),
        "invitations doubled": _doubled(invited),
        "events read twice": _doubled(events),
        "events never read": len(arrived - events.keys()),
        "results that PihuPulse has otherwise": _disagreeing(sandbox, folder),
        "event runs that failed": sum(one["dag_id"] == "drain" and one["state"] == "failed" for one in tasks),
    }
    further = [max(0, one["try_number"] - 1) for one in tasks]
    if options.restarts:
        counts["tries beyond the first"] = sum(further)
        counts["deliveries tried again"] = sum(one.attempts - 1 for one in sandbox.deliveries if one.attempts)
    rows: list[Row] = [("the run", ended.state, "")]
    rows += [(name, count, "ok" if count == 0 else "NOT OK") for name, count in counts.items()]
    rows.append(("tries beyond the first", sum(further), f"of {len(tasks)} tasks; the most of one: {max(further)}"))
    rows.append(("tasks cleared", ended.cleared, "as the API key had been revoked"))
    if options.runs == 1:
        usable = "while PihuPulse was there and took the key" if faults.unusable else ""
        rows.append(("import: share of the plan", f"{_of_plan(sandbox, options, faults.unusable):.3f}", usable))
        rows.append(("import: by the minute", " ".join(_by_the_minute(sandbox, options.rate)), "of the plan"))
    rows.append(("429s", sandbox.count(status=429), f"of {sandbox.count()} requests"))
    waiting = sandbox.count("GET /screenings") + sandbox.count("GET /candidates/:id")
    rows.append(("requests of waiting", waiting, f"for {options.runs * options.screenings} screenings"))
    given_up = sum(not one.arrived for one in completed)
    rows.append(("completions given up by PihuPulse", given_up, "as no receiver took them in six attempts"))
    rows.append(("connections to each receiver", " + ".join(map(str, taken.values())), ""))
    rows.append(("connections to the store", connections, "at the end"))
    return rows, ended.state == "success" and not any(counts.values())


def _disagreeing(sandbox: Sandbox, folder: Path) -> int:
    """Return how many ids only the results of the runs have, or only PihuPulse."""
    lines = [line for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
    had = {one["id"] for one in (*sandbox.candidates, *sandbox.screenings)}
    return len({json.loads(line)["id"] for line in lines} ^ had)


def _of_plan(sandbox: Sandbox, options: Namespace, unusable: Sequence[tuple[float, float]]) -> float:
    """Return which share of the plan's requests the import used, but for the time when it could use none."""
    began, ended = _import(sandbox)
    seconds = ended - began - sum(max(0.0, min(until, ended) - max(at, began)) for at, until in unusable)
    used = [
        one.at
        for one in sandbox.requests
        if began <= one.at <= ended and one.status != 429 and not any(at <= one.at <= until for at, until in unusable)
    ]
    return (len(used) - options.rate // 20) * 60 / options.rate / seconds if seconds > 0 else 0.0


def _by_the_minute(sandbox: Sandbox, rate: int) -> list[str]:
    began, ended = _import(sandbox)
    minutes = Counter(int((one.at - began) // 60) for one in sandbox.requests if one.at < ended and one.status != 429)
    return [f"{minutes[minute] / rate:.2f}" for minute in range(int((ended - began) // 60))]


def _import(sandbox: Sandbox) -> tuple[float, float]:
    sent = [one.at for one in sandbox.requests if one.route == "/candidates" and one.method == "POST"]
    return sent[0], sent[-1]


def faults_and_cost(sandbox: Sandbox, rate: int, faults: Faults) -> list[tuple[str, str, str]]:
    """Return each fault, and the share of the plan that was used from it until the next, while the import went on."""
    began, ended = _import(sandbox)
    until = [*(one.at for one in faults.begun[1:]), ended]
    rows = []
    for (at, name), next_at in zip(faults.begun, until, strict=True):
        seconds = min(next_at, ended) - at
        used = sum(at <= one.at < min(next_at, ended) and one.status != 429 for one in sandbox.requests)
        share = f"{used * 60 / rate / seconds:.2f}" if seconds > 0 else "the import was over"
        rows.append((f"{at - began:.0f} s", name, share))
    return rows


def _doubled(counts: Counter[str]) -> int:
    return sum(count - 1 for count in counts.values())


def flatness(samples: Sequence[Mapping[str, Mapping[str, int]]]) -> list[tuple[str, str, str, str]]:
    """Return each part's memory, threads and handles: medians of the second and the last third, and the most."""
    return [
        (name, *(_thirds([one[name].get(what, 0) for one in samples if name in one]) for what in _HELD))
        for name in (samples[0] if samples else ())
    ]


def _thirds(held: Sequence[int]) -> str:
    third = (len(held) + 2) // 3
    shown = median(held[third : 2 * third] or held), median(held[-third:]), max(held)
    return "/".join(f"{value:.0f}" for value in shown)
