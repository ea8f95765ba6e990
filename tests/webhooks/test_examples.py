"""The example DAGs on events run as they are, with webhooks from a local PihuPulse."""

from __future__ import annotations

from importlib import import_module

import pytest

from pihupulse_provider.hooks import settings
from tests.webhooks.inboxes import receive
from tests.webhooks.running import receiving


@pytest.fixture
def webhooks(pihupulse_sandbox):
    """Deliver the webhooks of the local PihuPulse into the inbox that the DAGs read."""
    with receiving(settings.store(), lambda: [pihupulse_sandbox.webhook_secret]) as url:
        pihupulse_sandbox.send_webhooks_to(url)
        yield


def example(name):
    return getattr(import_module(f"dags_examples.{name}"), name)()


def test_on_completed_screenings(dag_runs, pihupulse_sandbox):
    receive("s-high", score=95, candidate_id="c-high")
    receive("s-low", score=20, candidate_id="c-low")
    shortlisted = dag_runs.run(example("on_completed_screenings")).xcom("shortlist")
    assert "c-high" in shortlisted
    assert "c-low" not in shortlisted
    assert dag_runs.run(example("on_completed_screenings")).xcom("shortlist") == []


@pytest.mark.usefixtures("webhooks")
def test_wait_for_report(dag_runs, pihupulse_sandbox):
    (candidate,) = pihupulse_sandbox.insert_candidates(1)
    run = dag_runs.run(example("wait_for_report"), {"candidate_id": candidate})
    assert run.state == "success"
    screening = run.xcom("create_screening")["id"]
    assert run.xcom("wait_for_report")["event"] == "report.generated"
    assert run.xcom("wait_for_report")["screening_id"] == run.xcom("get_report")["screening_id"] == screening
