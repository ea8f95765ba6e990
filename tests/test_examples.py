"""The examples that need no triggerer of their own; the others are run by the tests of what they show."""

from __future__ import annotations

import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.docs.pages import blocks, pages

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.stem for path in (ROOT / "dags_examples").glob("*.py"))
TESTS = {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}


@pytest.fixture
def sandbox(monkeypatch):
    """A PihuPulse whose screenings are completed when they are created."""
    with Sandbox(start_seconds=0, screening_seconds=0) as running:
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", running.connection_json)
        yield running


def example(name):
    return getattr(import_module(f"dags_examples.{name}"), name)()


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_is_run_by_a_test(name):
    assert any(f'"{name}"' in text for text in TESTS.values())


def test_one_candidate_is_screened(dag_runs, sandbox):
    run = dag_runs.run(example("screen_one_candidate"), {"name": "Alex", "email": "alex@example.com"})
    assert run.state == "success"
    [screening] = sandbox.screenings
    assert run.xcom("screen")["score"] == screening["score"]
    assert [one["screening_id"] for one in sandbox.invitations] == [screening["id"]]


def test_several_are_screened_and_go_one_of_two_ways(dag_runs, sandbox):
    candidates = sandbox.insert_candidates(4)
    run = dag_runs.run(example("screen_and_branch"), {"candidate_ids": candidates, "pass_score": 70})
    assert run.state == "success"
    scores = {one["candidate_id"]: one["score"] for one in sandbox.screenings}
    passed = [scores[one] >= 70 for one in candidates]
    assert len(set(passed)) == 2
    assert run.states("follow_up.invite") == ["success" if one else "skipped" for one in passed]
    assert run.states("follow_up.decline") == ["skipped" if one else "success" for one in passed]


def test_a_file_is_imported_screened_and_ranked(dag_runs, sandbox, tmp_path):
    rows = "".join(f"Person {number},person.{number}@example.com\n" for number in range(5))
    (tmp_path / "people.csv").write_text(f"name,email\n{rows}")
    run = dag_runs.run(
        example("import_and_screen"),
        {"source": f"file://{tmp_path}/people.csv", "results": f"file://{tmp_path}/results"},
    )
    assert run.state == "success"
    ranked = run.xcom("shortlist")
    assert [one["score"] for one in ranked] == sorted((one["score"] for one in sandbox.screenings), reverse=True)
    assert {one["candidate_id"] for one in ranked} == {one["id"] for one in sandbox.candidates}


def test_the_dag_of_the_readme_runs_as_it_stands(dag_runs, sandbox, tmp_path):
    (page,) = (page for page in pages() if page.name == "README.md")
    (block,) = blocks(page, "python")
    namespace = {}
    exec(block.text.replace("/tmp/pihupulse", str(tmp_path)), namespace)
    (shell,) = (shell.text for shell in blocks(page, "bash") if "applicants.csv" in shell.text)
    subprocess.run(shell.replace("/tmp/pihupulse", str(tmp_path)), shell=True, check=True)
    run = dag_runs.run(namespace["screen_applicants"]())
    assert run.state == "success"
    assert len(sandbox.invitations) == 2
