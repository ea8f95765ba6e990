"""Looks at one wait from within a task."""

from __future__ import annotations

from pihupulse_provider.api.client import Client
from pihupulse_provider.api.errors import PihuPulseError
from pihupulse_provider.waiting.list_positions import ListPositions
from pihupulse_provider.waiting.log import Log
from pihupulse_provider.waiting.poll_round import PollRound
from pihupulse_provider.waiting.requests import run_round
from pihupulse_provider.waiting.wait_spec import WaitSpec
from pihupulse_provider.waiting.wait_state import Verdict, WaitState


class TaskPoller:
    """Keeps what a task has seen from one look to the next.

    :param terms: what is waited for.
    :param log: where errors that may pass are told.
    """

    def __init__(self, terms: WaitSpec, log: Log) -> None:
        self.terms = terms
        self.watch: WaitState = terms.watch()
        self._atlas = ListPositions()
        self._log = log

    def look(self, client: Client, now: float) -> Verdict:
        """Poll once all that is still waiting, and return where the wait stands.

        An error that may pass (no answer, 429, 5xx) is a look that saw nothing.

        :param now: the time in epoch seconds.
        :raises PihuPulseError: an error that looking again would not cure, such as a wrong API key.
        """
        look = PollRound(self.watch.open, self._atlas)
        try:
            run_round(client, look)
        except PihuPulseError as error:
            if error.permanent:
                raise
            self._log.warning("This look at PihuPulse failed, the wait goes on: %s", error)
        else:
            self.watch.see(self.terms.gone(look.missing, now))
        self.watch.see(look.drain())
        return self.watch.judge()
