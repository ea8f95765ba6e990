"""The receiver without an API server around it: ``uvicorn --factory pihupulse_provider.webhooks.alone:application``."""

from __future__ import annotations

from pihupulse_provider.hooks.webhooks import receiver
from pihupulse_provider.webhooks.receiver import PREFIX, Receiver


def application() -> Receiver:
    """Return the receiver as Airflow's configuration says, under the same path as in the API server.

    :raises ConfigurationError: if the configuration can't work.
    """
    return receiver(prefix=PREFIX)
