"""Moments as ISO 8601 texts; a text that names no zone is in UTC, as all of the reference's are."""

from __future__ import annotations

from datetime import UTC, datetime


def with_zone(moment: datetime) -> datetime:
    """Return a moment that has a zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_iso(value: datetime | str) -> datetime:
    """Return the moment that a text names, or a moment itself. :raises ValueError: if it names none."""
    return with_zone(value if isinstance(value, datetime) else datetime.fromisoformat(str(value)))


def write_iso(moment: datetime) -> str:
    """Return the text as the reference writes it, such as ``2023-01-15T10:30:00Z``."""
    return moment.isoformat().replace("+00:00", "Z")
