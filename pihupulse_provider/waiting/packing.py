"""Thousands of ids or snapshots as one short text, for Airflow's database."""

from __future__ import annotations

import base64
import json
import lzma
from collections.abc import Iterable, Mapping
from typing import Any

from pihupulse_provider.waiting.screening_snapshot import ScreeningSnapshot


def pack_screenings(screenings: Mapping[str, str | None]) -> str:
    """Return screenings' ids and their candidates' as ASCII text; ten thousand in sequence take about 6 kB."""
    return _pack([list(screenings), list(screenings.values())])


def unpack_screenings(text: str) -> dict[str, str | None]:
    """Return what :func:`pack_screenings` packed."""
    ids, candidates = _unpack(text)
    return dict(zip(ids, candidates, strict=True))


def pack_snapshots(snapshots: Iterable[ScreeningSnapshot]) -> str:
    """Return snapshots as ASCII text."""
    return _pack([list(column) for column in zip(*snapshots, strict=True)])


def unpack_snapshots(text: str) -> list[ScreeningSnapshot]:
    """Return what :func:`pack_snapshots` packed."""
    return [ScreeningSnapshot(*row) for row in zip(*_unpack(text), strict=True)]


def _pack(columns: list[Any]) -> str:
    # Columns, not rows: ids that count up lie side by side, and LZMA leaves almost nothing of them.
    document = json.dumps(columns, separators=(",", ":")).encode()
    return base64.b64encode(lzma.compress(document)).decode()


def _unpack(text: str) -> list[list[Any]]:
    columns: list[list[Any]] = json.loads(lzma.decompress(base64.b64decode(text)))
    return columns
