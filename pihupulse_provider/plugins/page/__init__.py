"""The PihuPulse page in Airflow's UI."""

from __future__ import annotations

from urllib.parse import quote

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{colour}" stroke-width="2" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="M2 12h4l3-8 5 16 3-8h5"/></svg>'
)


def icon(colour: str) -> str:
    """Return the icon, a pulse, as an address that holds it."""
    return f"data:image/svg+xml,{quote(_ICON.format(colour=colour))}"
