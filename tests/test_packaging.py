"""What Airflow and an installer are told about the package."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

from pihupulse_provider.provider_info import get_provider_info

INFO = get_provider_info()
DAG_MODULES = [
    module
    for kind in ("hooks", "operators", "sensors", "triggers")
    for entry in INFO[kind]
    for module in entry["python-modules"]
]
TRANSFER_MODULES = [transfer["python-module"] for transfer in INFO["transfers"]]
HEAVY = {
    "duckdb",
    "email_validator",
    "fastapi",
    "flask_appbuilder",
    "numpy",
    "pandas",
    "phonenumbers",
    "psycopg",
    "pyarrow",
    "starlette",
    "uvicorn",
}
LOADED_BY = """
import importlib, json, sys
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_provider_info_fits_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    jsonschema.validate(INFO, schema)


def test_entry_point_leads_to_it() -> None:
    (entry,) = [
        one for one in importlib.metadata.entry_points(group="apache_airflow_provider") if one.value.startswith("pihupulse_provider.")
    ]

    assert entry.load()() == INFO


@pytest.mark.parametrize("module", [*DAG_MODULES, *TRANSFER_MODULES])
def test_module_that_it_names_exists(module: str) -> None:
    importlib.import_module(module)


def test_connection_type_has_its_hook() -> None:
    (connection,) = INFO["connection-types"]
    module, _, name = connection["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)

    assert hook.conn_type == connection["connection-type"]
    assert hook.hook_name == connection["hook-name"]


def test_version_is_the_distributions() -> None:
    assert INFO["versions"] == [importlib.metadata.version(INFO["package-name"])]


@pytest.mark.parametrize("modules", [DAG_MODULES, TRANSFER_MODULES], ids=["operators and sensors", "transfers"])
def test_nothing_heavy_is_loaded_by_a_dag_file(modules: list[str]) -> None:
    """Airflow parses DAG files over and over."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED_BY, *modules], check=True, capture_output=True, text=True, timeout=60
    )
    loaded: list[Any] = json.loads(done.stdout.splitlines()[-1])

    assert not HEAVY & {name.partition(".")[0] for name in loaded}
