"""The README's DAG runs as it stands; the examples are run by the integration tests."""

from __future__ import annotations

import subprocess

import pytest

from pihupulse_provider.sandbox import Sandbox
from tests.docs.pages import blocks, pages


@pytest.fixture
def sandbox(monkeypatch):
    """A PihuPulse whose screenings are completed when they are created."""
    with Sandbox(start_seconds=0, screening_seconds=0) as running:
        monkeypatch.setenv("AIRFLOW_CONN_PIHUPULSE_DEFAULT", running.connection_json)
        yield running


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
