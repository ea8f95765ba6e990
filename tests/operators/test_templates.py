"""Listing templates."""

from __future__ import annotations

from pihupulse_provider.operators.templates import PihuPulseListTemplatesOperator


def test_its_xcom_is_the_list_of_templates_as_plain_json(dag_runs, pihupulse_sandbox):
    with dag_runs.dag() as dag:
        PihuPulseListTemplatesOperator(task_id="templates")
    templates = dag_runs.run(dag).xcom("templates")
    assert [one["id"] for one in templates][:2] == ["t54321", "t54322"]
    assert templates[0] == {
        "id": "t54321",
        "name": "Frontend Developer",
        "description": "Screening for frontend development skills",
        "duration_minutes": 30,
        "question_count": 15,
        "created_at": "2022-12-10T08:30:00Z",
        "updated_at": "2023-01-05T14:20:00Z",
    }
