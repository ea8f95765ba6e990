"""A person can follow how far a bulk operation is."""

from __future__ import annotations

from pihupulse_provider.exporting.progress import Progress


def lines(caplog, expected, steps):
    now = [0.0]
    progress = Progress("Creating candidates", lambda: now[0])
    progress.expect(expected)
    for _ in range(steps):
        now[0] += 1.0
        progress.advance(10)
    return [record.getMessage() for record in caplog.records]


def test_it_tells_rows_rate_and_time_left_at_a_sensible_pace(caplog):
    caplog.set_level("INFO")
    assert lines(caplog, 80_000, 70) == [
        "Creating candidates: 50 of 80,000 rows (0.1%), 10.0 rows a second, 2:13:15 left",
        "Creating candidates: 350 of 80,000 rows (0.4%), 10.0 rows a second, 2:12:45 left",
        "Creating candidates: 650 of 80,000 rows (0.8%), 10.0 rows a second, 2:12:15 left",
    ]


def test_where_the_number_of_rows_is_not_known_it_tells_the_rest(caplog):
    caplog.set_level("INFO")
    assert lines(caplog, None, 5) == ["Creating candidates: 50 rows, 10.0 rows a second"]
