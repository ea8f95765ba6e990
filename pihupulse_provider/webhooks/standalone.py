"""The receiver without an API server around it.

Started with ``uvicorn --factory pihupulse_provider.webhooks.standalone:application``.
"""

from __future__ import annotations

import sys

from pihupulse_provider.hooks.webhooks import receiver
from pihupulse_provider.webhooks.receiver import PREFIX, Receiver

_SWITCH_SECONDS = 0.0005


def application() -> Receiver:
    """Return the receiver as Airflow's configuration says, under the same path as in the API server.

    :raises ConfigurationError: if the configuration can't work.
    """
    # Between two statements the inbox's thread waits for its turn to run Python, by default 5 ms: longer than a commit.
    sys.setswitchinterval(_SWITCH_SECONDS)
    return receiver(prefix=PREFIX)
