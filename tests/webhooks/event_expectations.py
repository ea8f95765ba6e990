"""What must have become of events in the end of a history."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.creating.world import START

MARGIN = 8.0
"""Seconds by which the service's time is not known."""
ORDER = ("candidate.created", "screening.created", "screening.started", "screening.completed", "report.generated")


@dataclass
class Stage:
    """A stage that a candidate or a screening has reached, in the history's time."""

    name: str
    subject: str
    at: float
    gone_at: float | None = None

    @property
    def kind(self) -> str:
        return "candidates" if self.name == "candidate.created" else "screenings"


@dataclass
class Reading:
    """A reading of a list."""

    kind: str
    began_at: float
    every: float = 0.0
    ended_at: float | None = None
    is_whole: bool = False


def what_is_wrong(history: Any) -> str | None:
    """Return what is wrong; None if nothing is."""
    rows = history.stored()
    checks = [_wrong_inbox, _wrong_requests, *([_wrong_readers] if history.replaced_at is None else [])]
    for check in checks:
        if wrong := check(history, rows):
            return wrong
    for sensor in history.sensors:
        if wrong := _wrong_sensor(history, sensor):
            return f"{sensor}: {wrong}"
    return None


def _subject(entry):
    return entry.event.candidate_id if entry.event.event == "candidate.created" else entry.event.screening_id


def _wrong_inbox(history, rows):
    polled = [one for one in rows if "by" not in one.event.data]
    counts = Counter((one.event.event, _subject(one)) for one in polled)
    if twice := [one for one, count in counts.items() if count > 1]:
        return f"stored twice: {twice}"
    began = {
        kind: min((r.began_at for r in history.readings if r.kind == kind), default=1e9)
        for kind in ("candidates", "screenings")
    }
    whole = {
        kind: min((r.ended_at for r in history.readings if r.kind == kind and r.is_whole), default=1e9)
        for kind in began
    }
    sinces = [one.since for one in history.sensors if one.source == "polling" and one.since is not None]
    for stage in history.stages:
        key = (stage.name, stage.subject)
        followed_from = min([began[stage.kind], *sinces])
        if stage.name == "screening.created":
            is_old, is_due = stage.at < began["screenings"], stage.at > whole["screenings"]
        else:
            is_old, is_due = stage.at < followed_from - MARGIN, stage.at > began[stage.kind] + MARGIN
        if counts[key] and is_old and history.replaced_at is None:
            return f"{key} is from before, {stage.at}, {followed_from}"
        if not counts[key] and is_due and stage.gone_at is None and history.replaced_at is None:
            return f"{key} was not stored"
    return _out_of_order(history, polled, began)


def _out_of_order(history, polled, began):
    at = {(one.name, one.subject): one.at for one in history.stages}
    last: dict[str, int] = {}
    for one in polled:
        name, subject = one.event.event, _subject(one)
        # What a reader asked for later, from before the list was followed, comes later.
        if at[name, subject] < began["screenings"] + MARGIN:
            continue
        if ORDER.index(name) < last.get(subject, 0):
            return f"{name} of {subject} comes late"
        last[subject] = ORDER.index(name)
    return None


def _wrong_requests(history, rows):
    for kind in ("candidates", "screenings"):
        readings = [one for one in history.readings if one.kind == kind]
        often = sum(every < 5 for _, every in history.polls)
        least = min([every for _, every in history.polls if every >= 5], default=5)
        most = (
            history.loop.time() / least
            + often
            + 5
            + 5 * history.chances.clock_set
            + 3 * (history.replaced_at is not None)
        )
        if len(readings) > most:
            return f"{len(readings)} readings of {kind}, and not {most:.0f}"
        shared = [one for one in readings if one.every >= 5]
        at_once = max((sum(o.began_at <= r.began_at < (o.ended_at or 1e9) for o in shared) for r in shared), default=0)
        if at_once > 2 and not history.chances.clock_set and history.replaced_at is None:
            return f"{at_once} readings of {kind} at once"
    if history.wrote_nothing > 30 + 3 * len(history.readings):
        return f"{history.wrote_nothing} transactions wrote nothing"
    return None


def _wrong_readers(history, rows):
    for reader in history.assets:
        if wrong := _wrong_assets(history, reader, rows):
            return f"{reader.name}: {wrong}"
    for consumer in history.consumers:
        wanted = [one.position for one in rows if not consumer.events or one.event.event in consumer.events]
        given = Counter(position for positions in consumer.results.values() for position in positions)
        if given != Counter(wanted):
            return f"{consumer.name}: wanted {wanted}, given {given}"
    return None


def _wrong_assets(history, reader, rows):
    wanted = [one.position for one in rows if not reader.trigger.events or one.event.event in reader.trigger.events]
    given = Counter(position for _, position in reader.stored)
    skipped = max((position for _, position in reader.seeks), default=0)
    if missing := [one for one in wanted if not given[one] and one > skipped]:
        return f"not handed on: {missing} {reader.seeks}"
    if wrong := [one for one in given if one not in wanted]:
        return f"handed on, and not wanted: {wrong}"
    for at, position in reader.seeks:
        after = {one for moment, one in reader.stored if moment > at}
        if missing := [one for one in wanted if one > position and one not in after]:
            return f"not handed on again: {missing}"
    return None if history.chances.kills or reader.seeks else _wrong_in_peace(history, reader, rows, given)


def _wrong_in_peace(history, reader, rows, given):
    """Return what is wrong with asset events of a trigger that nobody killed and whose cursor nobody set."""
    first_refused = min((position for _, position in reader.refusals), default=1 << 60)
    if twice := [one for one, count in given.items() if count > 1 and one < first_refused]:
        return f"handed on twice: {twice}"
    if reader.refusals:
        return None
    order = [position for _, position in reader.stored]
    if reader.is_shared and order != sorted(order):
        return "out of order"
    stored_at = {one.position: one.received_at - START for one in rows}
    late = {one: (at, stored_at[one]) for one, at in reader.heard_at.items() if at > stored_at[one] + 10}
    return f"handed on late: {late}" if late and is_store_quiet(history) else None


def is_store_quiet(history):
    """Return whether the store was always there, and its clock right."""
    return not (history.chances.clock_set or history.away or history.chances.share_failing)


def _wrong_sensor(history, sensor):
    if sensor.ended_at is None:
        return "never ended"
    if sensor.found is None:
        return _wrong_timeout(history, sensor)
    if history.replaced_at is not None:
        subject = sensor.found["candidate_id" if sensor.event == "candidate.created" else "screening_id"]
        return None if (sensor.found["event"], subject) == (sensor.event, sensor.subject) else "another event"
    if sensor.found["position"] != sensor.first_match:
        return f"ended with {sensor.found['position']}, and not {sensor.first_match}"
    return _stalled(history, sensor) or _too_late(history, sensor)


def _wrong_timeout(history, sensor):
    if history.chances.clock_set and sensor.since is not None:
        return None
    if sensor.first_match is not None:
        return "timed out, although it was there"
    began_at, limit = sensor.tries[-1], sensor.tries[-1] + sensor.timeout
    if sensor.ended_at < limit - 0.1:
        return f"timed out at {sensor.ended_at}, and not after {limit}"
    stage = _stage(history, sensor)
    if stage is None or began_at < history.calm_from or sensor.source != "polling" or history.replaced_at is not None:
        return None
    return f"timed out, and missed {stage}" if stage.at < limit - 1 else None


def _stage(history, sensor):
    """Return the stage that it waits for, if it surely counts."""
    stage = next((one for one in history.stages if (one.name, one.subject) == (sensor.event, sensor.subject)), None)
    if stage is None or stage.gone_at is not None:
        return None
    if stage.name == "screening.created" or sensor.since is None:
        followed = [r.ended_at for r in history.readings if r.kind == stage.kind and r.is_whole]
        return stage if followed and stage.at > min(followed) and stage.at > (sensor.since or 0.0) else None
    return stage if stage.at > sensor.since + MARGIN else None


def _too_late(history, sensor):
    stage = _stage(history, sensor)
    if stage is None or history.chances.deletes or history.chances.clock_set:
        return None
    interval = sensor.interval if sensor.source == "polling" else history.chances.interval
    if sensor.mode != "deferrable":
        interval += sensor.interval
    due = max(stage.at, sensor.tries[-1], history.calm_from) + 2 * interval + 60
    return f"ended at {sensor.ended_at}, and not by {due}" if sensor.ended_at > due else None


def _stalled(history, sensor):
    """Return what is wrong if a wait did not hear of what was in the inbox."""
    if sensor.mode != "deferrable" or history.chances.kills or not is_store_quiet(history):
        return None
    entry = next(one for one in history.stored() if one.position == sensor.first_match)
    due = max(entry.received_at - START, sensor.tries[-1] + 35) + 10
    is_late = sensor.ended_at > due and sensor.source == "webhooks"
    return f"heard at {sensor.ended_at} of what was there at {due}" if is_late else None
