"""The example DAG on events reads each of them once."""

from __future__ import annotations

from importlib import import_module

from tests.webhooks.inboxes import receive


def example(name):
    return getattr(import_module(f"dags_examples.{name}"), name)()


def test_on_completed_screenings(dag_runs, pihupulse_sandbox):
    receive("s-high", score=95, candidate_id="c-high")
    receive("s-low", score=20, candidate_id="c-low")
    shortlisted = dag_runs.run(example("on_completed_screenings")).xcom("shortlist")
    assert "c-high" in shortlisted
    assert "c-low" not in shortlisted
    assert dag_runs.run(example("on_completed_screenings")).xcom("shortlist") == []
