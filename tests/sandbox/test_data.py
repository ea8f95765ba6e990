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
        answer = client.get("/candidates")
        assert answer.json()["meta"]["total_count"] == 7
        assert answer.headers["X-RateLimit-Limit"] == "300"
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
    assert "burst must be at least 1" in refused("--burst", "0")
    assert "kind" in refused("--fault", "fire")
    assert "holds no list of templates" in refused("--templates", str(tmp_path / "none.json"))
    assert "No such file or directory" in refused("--data", str(tmp_path / "none" / "data.jsonl"))
