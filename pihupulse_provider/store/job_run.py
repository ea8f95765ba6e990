"""Which of a job's runs holds it: of several that are alive the one that began last."""

from __future__ import annotations

from dataclasses import dataclass

_OWNER = "t"
"""Begins an owner that tells when it began; those of version 1.0.0 are hexadecimal digits alone."""


@dataclass
class Run:
    """A run of a job. It may take the job more than once: after the store was away, or its response was lost.

    :ivar began_at: when it began, by this process's clock (epoch seconds). ``is_late``: whether it has tried before, so
        that a later run may have the job. ``owner``: what it tried to take the job as, whether or not it heard of it.
        ``is_first``: whether the ledger did not know the job before.
    """

    began_at: float
    is_late: bool = False
    owner: str = ""
    is_first: bool = False

    def holds(self, owner: str) -> bool:
        """Return whether the job's owner is this run."""
        return bool(self.owner) and owner == self.owner


def next_owner(before: str, begun_at: float, *, is_late: bool) -> str | None:
    """Return what stands for a run: its beginning in microseconds, so that a later run is a greater text.

    :param before: the owner until now, empty if there was none. :param begun_at: by the store's clock (epoch seconds).
    :param is_late: whether a run that began later may have the job; then None is returned if one does.
    """
    known = int(before[1:], 16) if before.startswith(_OWNER) else 0
    begun = int(begun_at * 1e6)
    if is_late and known > begun:
        return None
    return f"{_OWNER}{max(begun, known + 1):015x}"
