"""A local PihuPulse to develop and test against: ``python -m pihupulse_provider.sandbox`` or ``Sandbox``.

It follows the PihuPulse API reference and nothing else, refuses what is not documented there, and shares no code
with the client, so that the two can contradict each other.

Where the reference leaves a choice, the sandbox makes one:

- A create returns 201. A candidate needs ``name`` and ``email``, a screening ``candidate_id`` and ``template_id``;
  the other fields may be left out but not be null.
- Unknown parameters and fields, a ``limit`` above 100 and a body without ``Content-Type: application/json`` get 400,
  undocumented paths 404, undocumented methods 405.
- ``GET /screenings`` takes ``page`` and ``limit``. Without ``status``, ``GET /candidates`` lists all. A page after the
  last is empty.
- An unknown id gets 404 with the code ``invalid_request``, as in the reference's sample, also in the body of
  ``POST /screenings``; a missing report and an unknown path get ``not_found``.
- The key is checked before the limit: a 401 costs nothing and bears no rate-limit headers. A 429 costs nothing.
- A screening is ``pending``, then ``in_progress``, then ``completed``. Only completed ones have a score, a
  ``completed_at`` and a report, and they alone send ``screening.completed`` and ``report.generated``.
- A webhook whose response is no 2xx is sent again, up to six times in all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pihupulse_provider.sandbox.faults import Fault
    from pihupulse_provider.sandbox.sandbox import Sandbox
    from pihupulse_provider.sandbox.settings import Settings

__all__ = ["Fault", "Sandbox", "Settings"]

_HOMES = {"Fault": "faults", "Sandbox": "sandbox", "Settings": "settings"}


def __getattr__(name: str) -> Any:
    """Import on first use: pytest loads this package in each of its runs, for the plugin."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
