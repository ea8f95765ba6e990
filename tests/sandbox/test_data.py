from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pihupulse_provider.sandbox import Sandbox
from pihupulse_provider.sandbox.command_line import settings_from
from tests.sandbox.clients import ALEX, START, client_of, created, screened

COMMAND = [sys.executable, "-m", "pihupulse_provider.sandbox"]


@contextmanager
def process(*options: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """Run the command and yield it with a client for the address it prints."""
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as running:
        try:
            url = re.search(r"http://\S+/v1", running.stdout.readline()).group()
            headers = {"Authorization": "Bearer pp_sandbox"}
            with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
                yield running, client
        finally:
            running.kill()


def opened(path: Path) -> Sandbox:
    return Sandbox(data=path, clock=lambda: START)


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    first = opened(path)
    with client_of(first) as client:
        kept, gone = created(client, resume_url="https://example.com/cv.pdf"), created(client)
        screening_id = screened(client, kept, send_invitation=True)
        deleted = screened(client, kept)
    first.complete(screening_id, score=70)
    first.archive(kept)
    first.delete(deleted)
    first.delete(gone)
    before = (first.candidates, first.screenings, first.invitations)
    first.close()
    second = opened(path)
    assert (second.candidates, second.screenings, second.invitations) == before
    with client_of(second) as client:
        assert created(client) == "c12347"
        assert screened(client, kept) == "s67892"
    second.close()


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    first = opened(path)
    first.insert_candidates(2)
    first.close()
    os.truncate(path, path.stat().st_size - 5)
    second = opened(path)
    assert [row["id"] for row in second.candidates] == ["c12345"]
    second.insert_candidates(1)
    second.close()
    third = opened(path)
    assert len(third.candidates) == 2
    third.close()


def test_a_data_file_has_one_user_at_a_time(tmp_path: Path) -> None:
    first = opened(tmp_path / "data.jsonl")
    with pytest.raises(RuntimeError, match="in use by another sandbox"):
        opened(tmp_path / "data.jsonl")
    first.close()


def test_a_killed_sandbox_has_kept_what_it_answered(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    with process("--data", str(path), "--plan", "unlimited") as (running, client):
        for _ in range(20):
            assert client.post("/candidates", json=ALEX).status_code == 201
        running.kill()
    sandbox = opened(path)
    assert len(sandbox.candidates) == 20
    sandbox.close()


def test_the_command_serves_what_its_options_say_and_stops_on_a_signal(tmp_path: Path) -> None:
    templates = tmp_path / "templates.json"
    templates.write_text(
        '[{"id":"t1","name":"Welder","description":"Welding","duration_minutes":20,"question_count":5,'
        '"created_at":"2023-01-01T00:00:00Z","updated_at":"2023-01-01T00:00:00Z","skills":["MIG"]}]'
    )
    options = ["--plan", "professional", "--candidates", "7", "--templates", str(templates)]
    fault = ["--fault", "error,times=1,method=GET,path=/candidates,status=503,after_commit=false"]
    with process(*options, *fault) as (running, client):
        assert client.get("/candidates").status_code == 503
        response = client.get("/candidates")
        assert response.json()["meta"]["total_count"] == 7
        assert response.headers["X-RateLimit-Limit"] == "300"
        assert client.get("/templates").json()["data"][0]["name"] == "Welder"
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=5) == 0


def refused(*options: str) -> str:
    ended = subprocess.run([*COMMAND, *options], check=False, capture_output=True, text=True, timeout=20)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_the_command_says_why_it_cannot_start(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        assert f"Port {sandbox.port} on 127.0.0.1 is taken" in refused("--port", str(sandbox.port))
    assert "none.json can't be read: No such file" in refused("--templates", str(tmp_path / "none.json"))
    assert "No such file or directory" in refused("--data", str(tmp_path / "none" / "data.jsonl"))


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--burst", "0", "burst must be greater than 0"),
        ("--port", "65536", "port must be less than or equal to 65535"),
        ("--candidates", "-1", "candidates must be greater than or equal to 0"),
        ("--start-seconds", "-1", "start_seconds must be greater than or equal to 0"),
        ("--fault", "fire", "kind must be 'latency', 'error'"),
        ("--fault", "drop,times=x", "times must be a valid integer"),
        ("--webhook-url", "ftp://example.com", "webhook_url must begin with http:// or https://"),
        ("--webhook-loss", "2", "webhook_loss must be less than or equal to 1"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], option: str, value: str, problem: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        settings_from([option, value])
    assert problem in capsys.readouterr().err.splitlines()[-1]


def test_no_start_of_the_command_gives_the_ids_of_another_again() -> None:
    """What a ledger knows as another run's candidate is never the id of a new one."""
    ids = []
    for _ in range(2):
        with process("--candidates", "1") as (_, client):
            ids += [row["id"] for row in client.get("/candidates").json()["data"]]
            ids += [created(client), screened(client, ids[-1])]
    assert len(set(ids)) == 6


def test_a_reset_gives_no_id_again_where_ids_are_unique() -> None:
    times = iter(range(1_700_000_000, 1_800_000_000))
    sandbox = Sandbox(unique_ids=True, seed=3, clock=lambda: next(times))
    first, before = sandbox.insert_candidates(1), sandbox.candidates[0]
    sandbox.service.reset()
    assert sandbox.insert_candidates(1) != first
    after = sandbox.candidates[0]
    assert (before["name"], before["phone"], before["skills"]) == (after["name"], after["phone"], after["skills"])


def test_a_data_file_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(
        '{"candidate": {"serial": 12345, "name": "A", "email": "a@example.com", "phone": null, "has_resume": false, '
        '"created_at": 1.0, "updated_at": 1.0, "status": "active"}}\n'
    )
    sandbox = opened(path)
    assert [row["id"] for row in sandbox.candidates] == ["c12345"]
    sandbox.close()
