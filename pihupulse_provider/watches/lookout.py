"""Looks at one wait from within a task."""

from __future__ import annotations

from pihupulse_provider.api.client import Client
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.watches.asking import PERMANENT, look_through
from pihupulse_provider.watches.atlas import Atlas
from pihupulse_provider.watches.look import Look
from pihupulse_provider.watches.screening import ScreeningWatch, Verdict
from pihupulse_provider.watches.telling import Log
from pihupulse_provider.watches.terms import Terms


class Lookout:
    """Keeps what a task has seen from one look to the next.

    :param terms: what is waited for.
    :param log: where errors that may pass are told.
    """

    def __init__(self, terms: Terms, log: Log) -> None:
        self.terms = terms
        self.watch: ScreeningWatch = terms.watch()
        self._atlas = Atlas()
        self._log = log

    def look(self, client: Client, now: float) -> Verdict:
        """Look once at all that is still waiting, and return where the wait stands.

        An error that may pass (no answer, 429, 5xx) is a look that saw nothing.

        :param now: the time in epoch seconds.
        :raises PihuPulseError: an error that looking again would not cure, such as a wrong API key.
        """
        look = Look(self.watch.open, self._atlas)
        try:
            look_through(client, look)
        except PERMANENT:
            raise
        except PihuPulseError as error:
            self._log.warning("This look at PihuPulse failed, the wait goes on: %s", error)
        else:
            self.watch.see(self.terms.gone(look.missing, now))
        self.watch.see(look.drain())
        return self.watch.judge()
