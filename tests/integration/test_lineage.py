"""One DAG runs on what another imports, and OpenLineage's provider hears of both."""

from __future__ import annotations

import json

import pytest


def complete_events(path, dag_id):
    """Return what OpenLineage heard when tasks of a DAG had ended, by task."""
    events = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    ended = [event for event in events if event["eventType"] == "COMPLETE"]
    names = {event["job"]["name"].removeprefix(f"{dag_id}."): event for event in ended}
    return {name: event for name, event in names.items() if f"{dag_id}.{name}" in {e["job"]["name"] for e in ended}}


@pytest.mark.usefixtures("example_runs")
def test_an_import_and_the_dag_that_it_starts_are_in_the_lineage(airflow, sandbox, openlineage):
    airflow.wait_until(
        lambda: "create_screenings" in complete_events(openlineage, "screen_new_imports"), 30, "the lineage is there"
    )
    imported = complete_events(openlineage, "import_from_storage")["import_candidates"]
    host = "pihupulse://" + sandbox.base_url.split("/")[2]
    [source] = imported["inputs"]
    assert source["namespace"] == "file"
    assert source["name"].endswith("/examples/candidates.csv")
    target = imported["outputs"][0]
    assert (target["namespace"], target["name"]) == (host, "candidates")
    fields = target["facets"]["columnLineage"]["fields"]
    assert fields["email"]["inputFields"][0]["field"] == "email"
    screened = complete_events(openlineage, "screen_new_imports")["create_screenings"]
    assert [one["name"] for one in screened["outputs"]] == ["screenings"]
    assert "amara.okafor@" not in openlineage.read_text("utf-8").casefold()
