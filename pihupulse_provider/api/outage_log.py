"""Says once that something fails, and once that it works again."""

from __future__ import annotations

import logging


class OutageLog:
    """Logs the first failure in a row, and the recovery from it; the failures between go to DEBUG.

    Make one for each thing that can fail, and call :meth:`failed` or :meth:`recovered` after every try::

        try:
            tail(store)
        except StoreError as error:
            outage.failed("The inbox can't be read now: %s", error)
        else:
            outage.recovered("The inbox can be read again.")

    :param log: where to.
    :param level: the level of the first failure; a recovery is told at INFO.
    """

    def __init__(self, log: logging.Logger, level: int = logging.WARNING) -> None:
        self._log = log
        self._level = level
        self._is_failing = False

    def failed(self, message: str, *args: object) -> None:
        """Take note of a failure; say it if the last try did not fail."""
        self._log.log(logging.DEBUG if self._is_failing else self._level, message, *args)
        self._is_failing = True

    def recovered(self, message: str, *args: object) -> None:
        """Take note of a success; say it if the last try failed."""
        if self._is_failing:
            self._log.info(message, *args)
        self._is_failing = False
