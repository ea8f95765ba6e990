"""The links on a task instance's page in Airflow."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from pihupulse_provider.operators.candidates import PihuPulseImportCandidatesOperator
from pihupulse_provider.operators.links import PihuPulsePageLink, browsable
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.transfers.pihupulse_to_storage import PihuPulseToStorageOperator

TASK = SimpleNamespace(dag_id="hiring & more", run_id="manual__2026-01-01T00:00:00+00:00", task_id="wait", map_index=3)


@pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="Airflow 3.0 has no pages of plugins")
class TestToThePage:
    def test_it_names_the_task_instance(self):
        url = urlsplit(PihuPulsePageLink().get_link(SimpleNamespace(), ti_key=TASK))
        assert url.path == "/pihupulse/overview/"
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert query == {"dag_id": TASK.dag_id, "run_id": TASK.run_id, "task_id": "wait", "map_index": "3"}

    def test_it_lies_below_the_base_path_of_airflow_on_whichever_host_that_is(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://data.internal/airflow/")
        url = PihuPulsePageLink().get_link(SimpleNamespace(), ti_key=TASK)
        assert url.startswith("/airflow/pihupulse/overview/?")


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://bucket/a b/r.jsonl", "https://s3.console.aws.amazon.com/s3/object/bucket?prefix=a+b%2Fr.jsonl"),
        ("s3://aws_default@bucket/r.jsonl", "https://s3.console.aws.amazon.com/s3/object/bucket?prefix=r.jsonl"),
        ("gs://bucket/r.jsonl", "https://console.cloud.google.com/storage/browser/_details/bucket/r.jsonl"),
        ("https://files.internal/r.jsonl", "https://files.internal/r.jsonl"),
        ("file:///tmp/r.jsonl", ""),
        ("/tmp/r.jsonl", ""),
        ("javascript://x/%0aalert(1)", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_files_are_linked_where_a_browser_can_show_them(path, url):
    assert browsable(path) == url


def test_each_task_has_links_to_what_it_has():
    links = {
        kind: [link.name for link in kind.operator_extra_links]
        for kind in (PihuPulseImportCandidatesOperator, PihuPulseScreeningSensor, PihuPulseToStorageOperator)
    }
    assert links == {
        PihuPulseImportCandidatesOperator: ["PihuPulse", "Results", "Rejects"],
        PihuPulseScreeningSensor: ["PihuPulse", "Results"],
        PihuPulseToStorageOperator: ["PihuPulse", "Exported file"],
    }
