"""PihuPulse without Airflow: the clients, their models and errors, the rate limit and the retry policy.

Each of the modules says by its ``__all__`` what of it is public here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pihupulse_provider.api.account import *  # noqa: F403
    from pihupulse_provider.api.async_client import *  # noqa: F403
    from pihupulse_provider.api.client import *  # noqa: F403
    from pihupulse_provider.api.errors import *  # noqa: F403
    from pihupulse_provider.api.limiter import *  # noqa: F403
    from pihupulse_provider.api.models import *  # noqa: F403
    from pihupulse_provider.api.rate_limit import *  # noqa: F403
    from pihupulse_provider.api.retry import *  # noqa: F403

_MODULES = ("errors", "account", "rate_limit", "limiter", "models", "retry", "client", "async_client")
"""The lighter before those that import them: a DAG file that only needs an error pays for no client."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; Python asks for the modules of this package here too."""
    if name[0].isupper():
        for module in map(import_module, (f"{__name__}.{one}" for one in _MODULES)):
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
