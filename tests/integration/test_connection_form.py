"""The form that Airflow's API server makes for a PihuPulse connection."""

from __future__ import annotations

import pytest
from airflow import __version__

from pihupulse_provider.connection_form import FIELDS

AIRFLOW_VERSION = tuple(map(int, __version__.split(".")[:2]))


@pytest.fixture
def form(airflow):
    forms = airflow.get(f"{airflow.url}/ui/connections/hook_meta")
    [form] = [one for one in forms if one["connection_type"] == "pihupulse"]
    return form


def test_its_name_is_the_services(form):
    assert form["hook_name"] == "PihuPulse"


# Older ones need Flask-AppBuilder to ask the hook for its form.
if AIRFLOW_VERSION >= (3, 2):

    def test_it_asks_for_the_key_and_the_address(form):
        standard = form["standard_fields"]
        assert standard["password"]["title"] == "API key"
        assert standard["host"]["title"] == "Base URL"
        assert {name for name, field in standard.items() if field and field["hidden"]} == {"login", "url_schema"}

    def test_it_has_a_field_for_each_extra_and_masks_the_secret_ones(form):
        extras = form["extra_fields"]
        assert extras.keys() == {field.name for field in FIELDS}
        masked = {name for name, field in extras.items() if field["schema"].get("format") == "password"}
        assert masked == {field.name for field in FIELDS if field.secret}


def test_a_connection_made_with_it_can_be_tested(airflow, sandbox):
    filled = {"conn_type": "pihupulse", "host": sandbox.base_url, "password": sandbox.api_key, "port": 0}
    answer = airflow.post("/connections/test", {"connection_id": "from_the_form", **filled, "extra": '{"plan": ""}'})
    assert answer["status"] is True
    assert answer["message"].startswith("Connected to")
