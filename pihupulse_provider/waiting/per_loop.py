"""What all that runs in an event loop shares, and nothing outside of it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Things by key, for each event loop its own; they go with it."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, T]] = WeakKeyDictionary()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the running event loop's one thing of that key, made if there is none yet."""
        kept = self._of.setdefault(asyncio.get_running_loop(), {})
        if key not in kept:
            kept[key] = make()
        return kept[key]

    def forget(self, key: Hashable) -> None:
        """Let the next one who asks for it have it made anew."""
        self._of.get(asyncio.get_running_loop(), {}).pop(key, None)


def in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start what all share: what it logs must not go to the log of the task that came first."""
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())
