"""An event loop whose time passes only while everybody waits, and then at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

STARTS_AT = 1_000_000.0
_ROUNDING = 1e-6
"""Added to each leap: what was added up in floating point must not end just before a timer is due."""


class _Leaping(selectors.SelectSelector):
    """Never waits: it adds up how long it would have."""

    def __init__(self, starts_at: float) -> None:
        super().__init__()
        self.now = starts_at

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if timeout is None and not ready:
            raise RuntimeError("Everybody waits for somebody else.")
        if timeout and timeout > 0:
            self.now += timeout + _ROUNDING
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time begins with ``starts_at``; nothing may run in other threads."""

    def __init__(self, starts_at: float = STARTS_AT) -> None:
        self._leaping = _Leaping(starts_at)
        super().__init__(self._leaping)

    def time(self) -> float:
        """Return the virtual time."""
        return self._leaping.now


def now() -> float:
    """Return the running loop's time."""
    return asyncio.get_running_loop().time()


def in_virtual_time(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
