"""What waiting needs of a logger: Airflow's own and the standard library's both have it."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """Takes messages with ``%s`` fields."""

    def info(self, event: str, /, *args: Any) -> Any:
        """Tell of progress."""
        ...

    def warning(self, event: str, /, *args: Any) -> Any:
        """Tell of something that a person should look at."""
        ...
