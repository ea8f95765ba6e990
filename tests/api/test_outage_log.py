"""A fault that lasts is one line of the log, and its end another."""

from __future__ import annotations

import logging

import pytest

from pihupulse_provider.api.outage_log import OutageLog


def test_each_outage_is_told_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLog(logging.getLogger("pihupulse_provider"))
    with caplog.at_level(logging.INFO):
        outage.recovered("It works again.")
        for _ in range(2):
            outage.failed("It fails: %s", "full")
            outage.failed("It fails: %s", "still full")
            outage.recovered("It works again.")

    lines = [("WARNING", "It fails: full"), ("INFO", "It works again.")]
    assert [(record.levelname, record.message) for record in caplog.records] == lines * 2
