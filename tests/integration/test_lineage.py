"""One DAG runs on what another imports, and OpenLineage's provider hears of both."""

from __future__ import annotations

import json

PEOPLE = "name,email\n" + "".join(f"Lineage {n},lineage.{n}@example.com\n" for n in range(2))


def complete_events(path, dag_id):
    """Return what OpenLineage was told when tasks of a DAG had ended, by task."""
    events = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    ended = [event for event in events if event["eventType"] == "COMPLETE"]
    names = {event["job"]["name"].removeprefix(f"{dag_id}."): event for event in ended}
    return {name: event for name, event in names.items() if f"{dag_id}.{name}" in {e["job"]["name"] for e in ended}}


def test_an_import_starts_the_dag_that_screens_and_both_are_in_the_lineage(airflow, sandbox, openlineage, tmp_path):
    (tmp_path / "people.csv").write_text(PEOPLE)
    airflow.patch("/dags/screen_new_imports", {"is_paused": False})
    params = {"source": f"file://{tmp_path}/people.csv", "results": f"file://{tmp_path}/results"}
    run_id = airflow.trigger("import_from_storage", params)
    airflow.wait_for_success("import_from_storage", run_id)
    before = len(sandbox.screenings)
    runs = "/dags/screen_new_imports/dagRuns"
    airflow.wait_until(lambda: airflow.get(runs)["dag_runs"], 60, "the import has started a run")
    [screening_run] = airflow.get(runs)["dag_runs"]
    airflow.wait_for_success("screen_new_imports", screening_run["dag_run_id"])
    airflow.patch("/dags/screen_new_imports", {"is_paused": True})
    assert len(sandbox.screenings) <= before + 2
    created = airflow.xcom("screen_new_imports", screening_run["dag_run_id"], "create_screenings")
    assert created["created"] == 2

    airflow.wait_until(
        lambda: "create_screenings" in complete_events(openlineage, "screen_new_imports"), 30, "the lineage is told"
    )
    imported = complete_events(openlineage, "import_from_storage")["import_candidates"]
    host = "pihupulse://" + sandbox.base_url.split("/")[2]
    [source] = imported["inputs"]
    assert (source["namespace"], source["name"]) == ("file", f"{tmp_path}/people.csv")
    target = imported["outputs"][0]
    assert (target["namespace"], target["name"]) == (host, "candidates")
    fields = target["facets"]["columnLineage"]["fields"]
    assert fields["email"]["inputFields"][0]["field"] == "email"
    screened = complete_events(openlineage, "screen_new_imports")["create_screenings"]
    assert [one["name"] for one in screened["outputs"]] == ["screenings"]
    assert "lineage.0@" not in openlineage.read_text("utf-8")
