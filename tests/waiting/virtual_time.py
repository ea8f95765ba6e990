"""An event loop whose time jumps to the next timer instead of passing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

STARTS_AT = 1_000_000.0
_ROUNDING = 1e-6


class _Jumping(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            self.loop.now += timeout + _ROUNDING
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time is in epoch seconds, and begins with ``STARTS_AT``; nothing may run in other threads."""

    def __init__(self) -> None:
        selector = _Jumping()
        selector.loop = self
        self.now = STARTS_AT
        super().__init__(selector)

    def time(self) -> float:
        """Return the virtual time."""
        return self.now


def now() -> float:
    """Return the running loop's time."""
    return asyncio.get_running_loop().time()


def in_virtual_time(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
