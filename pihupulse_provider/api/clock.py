"""The clock of this process: moments that never jump."""

from __future__ import annotations

import time

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, where the system has such a clock."""
_STARTED_AT = time.time() - time.clock_gettime(_STEADY)


def now() -> float:
    """Return the time in epoch seconds, as the wall clock said when this module was imported, and steady since then.

    Setting the machine's clock does not change it, so it measures durations too. Moments that several processes share
    come from the store, whose time each of them compares with this one.
    """
    return _STARTED_AT + time.clock_gettime(_STEADY)
