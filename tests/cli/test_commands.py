"""The commands, as ``python -m pihupulse_provider.webhooks`` and as ``airflow pihupulse`` call them."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from airflow.cli import cli_parser

from pihupulse_provider.api import Account
from pihupulse_provider.cli.main import COMMANDS, Command, get_commands
from pihupulse_provider.hooks import settings
from pihupulse_provider.store.cursors import Cursor
from pihupulse_provider.store.inbox import EventFilter, Inbox
from pihupulse_provider.store.ledger import Ledger
from tests.webhooks.inboxes import receive
from tests.webhooks.running import CONNECTION, receiving, serving


def inbox() -> Inbox:
    return Inbox(settings.store())


def test_a_test_event_goes_the_whole_way(run):
    with receiving(settings.store()) as url:
        printed = run("send", "--url", url.split("/webhooks/")[0], "--screening-id", "s1", "--score", "77")
    assert "responded with 202: stored" in printed
    (entry,) = inbox().read(EventFilter()).events
    assert (entry.event.screening_id, entry.event.public()["score"]) == ("s1", 77)


def test_a_test_event_to_nobody_says_so(run):
    with pytest.raises(SystemExit, match="Is the receiver running there"):
        run("send", "--url", "http://127.0.0.1:1/pihupulse")


@pytest.mark.parametrize("url", ["not-a-url", "127.0.0.1:9200", "ftp://127.0.0.1/pihupulse", "http://", "http://["])
def test_a_test_event_to_what_is_no_address_is_refused(run, capsys, url: str):
    with pytest.raises(SystemExit):
        run("send", "--url", url)
    assert f"{url} is not an address such as http://127.0.0.1:9200/pihupulse" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "why"),
    [(httpx.ConnectError("It ended."), "It ended"), (httpx.ReadTimeout(""), "ReadTimeout")],
)
def test_why_there_was_no_response_is_one_sentence(run, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str):
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(httpx, "stream", fail)
    with pytest.raises(SystemExit, match=f"/pihupulse_default: {why}. Is the receiver running there"):
        run("send")


def test_a_test_event_to_a_server_without_a_receiver_says_what_its_response_means(run, capsys):
    """Airflow's API server shows its UI at every path, and takes nothing there."""

    async def user_interface(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 405, "headers": []})
        await send({"type": "http.response.body", "body": b'{"detail":"Method Not Allowed"}'})

    with serving(user_interface) as address, pytest.raises(SystemExit, match="1"):
        run("send", "--url", address)
    printed = capsys.readouterr().out
    assert "responded with 405: nothing receives webhooks at this address. Set [pihupulse] webhook_conn" in printed


def test_what_answers_in_place_of_a_receiver_is_shown_in_part_and_without_what_a_terminal_carries_out(run, capsys):
    async def endless(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 400, "headers": []})
        for _ in range(2000):
            await send({"type": "http.response.body", "body": b"\x1b[31mred\n" * 100, "more_body": True})

    with serving(endless) as address, pytest.raises(SystemExit):
        run("send", "--url", address)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    (shown,) = (line for line in printed.splitlines() if "responded with 400" in line)
    assert "responded with 400: \ufffd[31mred\ufffd" in shown
    assert len(shown) < 500


def test_events_are_listed_without_anything_personal(run):
    receive("s1", candidate_name="Jane Doe")
    receive("s2", "report.generated")
    printed = run("events", "--event", "screening.completed")
    assert "Jane" not in printed
    assert re.search(r"^1 .* screening.completed +s1 +c12345 +t54321 +85$", printed, re.MULTILINE)
    assert "s2" not in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--connection", "nope"],
            "The inbox has no event of the connection nope, which [pihupulse] webhook_connections does not name.\n",
        ),
        (
            ["--event", "report.generated"],
            "The inbox has events of the connection pihupulse_default, but none of those asked for.\n",
        ),
    ],
)
def test_no_event_is_said_in_a_sentence(run, arguments: list[str], said: str):
    assert run("events") == "The inbox has no event of the connection pihupulse_default.\n"
    receive("s1")
    assert run("events", *arguments) == said


def test_a_replay_sets_a_cursor_back_to_a_time_or_a_position(run):
    for number in range(3):
        receive(f"s{number}")
    cursor = Cursor(settings.store(), CONNECTION, "land")
    cursor.commit(cursor.position(), 3)
    assert re.search(r"land +3 +0 ", run("consumers"))
    run("replay", "--consumer", "land", "--position", "1")
    assert cursor.position() == 1
    run("replay", "--consumer", "land", "--since", (datetime.now(UTC) - timedelta(hours=1)).isoformat())
    assert cursor.position() == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--consumer", "land"], "either --since or --position"),
        (["--consumer", "nobody", "--position", "1"], "has no consumer nobody"),
    ],
)
def test_a_replay_that_makes_no_sense_says_why(run, arguments: list[str], complaint: str):
    with pytest.raises(SystemExit, match=complaint):
        run("replay", *arguments)


def test_a_replay_past_the_newest_event_is_refused(run):
    for number in range(2):
        receive(f"s{number}")
    cursor = Cursor(settings.store(), CONNECTION, "land")
    assert cursor.position() == 0
    with pytest.raises(SystemExit, match="--position is 20, and the newest event is at 2"):
        run("replay", "--consumer", "land", "--position", "20")
    assert cursor.position() == 0
    run("replay", "--consumer", "land", "--position", "2")
    assert cursor.position() == 2


def test_pruning_deletes_what_is_older(run):
    receive("s1")
    assert run("prune") == "Deleted 0 events older than 30 days.\n"
    assert run("prune", "--days", "0") == "Deleted 1 event older than 0 days.\n"


def test_forgetting_deletes_what_the_ledger_has_of_old_jobs(run):
    ledger = Ledger(settings.store(), Account("key"))
    ledger.mark(ledger.open("dag/run/task/-1"), [(b"i" * 16, b"k" * 16)])
    assert run("forget", "--days", "400").startswith("Forgot 0 creates of 0 jobs")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("serve --port 99999", "--port: must be from 0 to 65535, not 99999"),
        ("serve --workers 0", "--workers: must be at least 1, not 0"),
        ("serve --workers two", "--workers: two is not a whole number"),
        ("events --limit -1", "--limit: must be from 1 to 9007199254740992, not -1"),
        ("events --limit 99999999999999999999", "--limit: must be from 1 to 9007199254740992"),
        ("prune --days -1", "--days: must be at least 0, not -1"),
        ("prune --days nan", "--days: must be at least 0, not nan"),
        ("forget --days 0.5", "--days: must be at least 1, not 0.5: a task that is still at work needs what is known"),
        ("replay --consumer land --position -1", "--position: must be from 0 to"),
    ],
)
def test_a_number_out_of_bounds_is_refused_before_anything_is_done(run, capsys, given, problem):
    receive("s1")
    with pytest.raises(SystemExit):
        run(*given.split())
    assert problem in capsys.readouterr().err
    assert inbox().head() == len(inbox().read(EventFilter()).events) == 1


def test_a_reader_that_has_seen_enough_ends_a_command_quietly():
    """As ``head`` does. It is no success: a check may have found nothing wrong so far, and a server does not serve."""
    receive("s1")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as nowhere:  # noqa: PTH123 - a descriptor
        command = [sys.executable, "-m", "pihupulse_provider.webhooks", "events"]
        done = subprocess.run(command, stdout=nowhere, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "pipe" not in done.stderr.lower(), done.stderr


@pytest.mark.parametrize("command", ["prune", "serve"])
def test_a_command_that_needs_a_number_says_that_the_setting_is_none(run, command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__INBOX_RETENTION_DAYS", "abc")
    with pytest.raises(SystemExit, match=r"^Error: \[pihupulse\] inbox_retention_days is 'abc'"):
        run(command)


def test_a_test_event_for_a_missing_connection_is_refused_in_a_sentence(run):
    with pytest.raises(SystemExit, match=r"^Error: There is no connection missing: add it"):
        run("send", "--connection", "missing")


def test_a_test_event_has_one_of_the_documented_names(run, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run("send", "--event", "screening.complete")
    assert "'screening.completed'" in capsys.readouterr().err


def test_a_time_that_is_none_is_refused_in_a_sentence(run, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run("events", "--since", "yesterday")
    assert "yesterday is not an ISO 8601 time such as" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_every_default(run, command: Command, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="0"):
        run(command.name, "--help")
    shown = " ".join(capsys.readouterr().out.split())
    for argument in command.arguments:
        if (default := argument.options.get("default")) is not None:
            assert f"(default: {default})" in shown
        else:
            assert argument.options.get("required") or "left out" in shown or command.name == "replay"


@pytest.mark.parametrize("given", ["nope", "nope --help", "Check", "prune.", "9200 --port 1"])
def test_a_command_that_there_is_not_is_refused_with_those_that_there_are(run, given: str, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(*given.split())
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"argument command: invalid choice: '{given.partition(' ')[0]}'" in said
    assert all(command.name in said for command in COMMANDS)


def test_serving_nothing_is_refused(run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS", "")
    with pytest.raises(SystemExit, match="webhook_connections names no connection"):
        run("--port", "0")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_airflow_shows_the_same_help(command: Command, capsys: pytest.CaptureFixture[str]):
    """It takes a text in brackets for markup, such as of colours."""
    parser = argparse.ArgumentParser()
    cli_parser._add_command(parser.add_subparsers(), get_commands()[0])
    with pytest.raises(SystemExit, match="0"):
        parser.parse_args(["pihupulse", command.name, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert command.help in shown
    for argument in command.arguments:
        assert argument.help.replace("%(default)s", str(argument.options.get("default"))) in shown


def test_airflow_takes_the_same_commands(capsys: pytest.CaptureFixture[str]):
    receive("s1")
    parser = argparse.ArgumentParser()
    (group,) = get_commands()
    cli_parser._add_command(parser.add_subparsers(), group)
    parsed = parser.parse_args(["pihupulse", "events", "--limit", "1"])
    parsed.func(parsed)
    assert " s1 " in capsys.readouterr().out
    assert [command.name for command in group.subcommands] == [command.name for command in COMMANDS]
