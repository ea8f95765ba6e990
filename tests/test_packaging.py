"""What Airflow and an installer learn about the package."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from pihupulse_provider.provider_info import get_provider_info

ROOT = Path(__file__).parents[1]
INFO = get_provider_info()
DAG_MODULES = [
    module
    for kind in ("hooks", "operators", "sensors", "triggers")
    for entry in INFO[kind]
    for module in entry["python-modules"]
]
TRANSFER_MODULES = [transfer["python-module"] for transfer in INFO["transfers"]]
HEAVY = {
    "alembic",
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
FOR_TASKS = {
    "pihupulse_provider.api.client",
    "pihupulse_provider.api.models",
    "pihupulse_provider.hooks.connection",
    "pihupulse_provider.webhooks.receiver",
}
"""What a task needs, and a DAG file does not."""
BASE = "from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, BaseSensorOperator"
LOADED_BY = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_provider_info_fits_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    jsonschema.validate(INFO, schema)


def test_entry_point_leads_to_it() -> None:
    entries = importlib.metadata.entry_points(group="apache_airflow_provider")

    assert INFO in [entry.load()() for entry in entries if entry.value.startswith("pihupulse_provider.")]


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


def test_every_process_of_airflow_loads_next_to_nothing_of_it() -> None:
    """They all ask for its description."""
    loaded = _loaded_by("pihupulse_provider.provider_info", base="")

    assert {name for name in loaded if name.startswith("pihupulse_provider")} == {
        "pihupulse_provider",
        "pihupulse_provider.connection_form",
        "pihupulse_provider.provider_info",
    }


@pytest.mark.parametrize("modules", [DAG_MODULES, TRANSFER_MODULES], ids=["operators and sensors", "transfers"])
def test_nothing_heavy_is_loaded_by_a_dag_file(modules: list[str]) -> None:
    """Airflow parses DAG files over and over."""
    assert not HEAVY & {name.partition(".")[0] for name in _loaded_by(*modules)}


def test_a_dag_file_of_operators_and_sensors_loads_no_client() -> None:
    """Exports do: they check the names of fields."""
    assert not FOR_TASKS & set(_loaded_by(*DAG_MODULES))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-c", "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])", str(folder)]
    subprocess.run([sys.executable, *build], cwd=ROOT, check=True, capture_output=True, timeout=60)
    [path] = folder.glob("*.whl")
    with zipfile.ZipFile(path) as files:
        yield files


def test_the_wheel_brings_the_example_dags_to_where_airflow_looks(wheel: zipfile.ZipFile) -> None:
    names = {name.rpartition("/")[2] for name in wheel.namelist() if "/example_dags/" in name}

    assert names == {path.name for path in (ROOT / "dags_examples").glob("*.*")}


def test_the_links_that_a_package_index_shows_lead_to_the_web(wheel: zipfile.ZipFile) -> None:
    [metadata] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    readme = wheel.read(metadata).decode().partition("\n\n")[2]

    assert "# PihuPulse for Apache Airflow" in readme
    assert re.findall(r"\]\((?!https://)[^)]*\)", readme) == []


@pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="Airflow 3.0 looks for no example DAGs of providers")
def test_airflow_loads_examples_without_a_complaint_about_the_provider(tmp_path: Path) -> None:
    """It does so in every process, by default."""
    code = "from airflow.dag_processing.bundles.manager import DagBundlesManager; DagBundlesManager()"
    settings = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "True"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={**os.environ, **settings}, check=True, capture_output=True, text=True, timeout=120
    )
    assert "pihupulse" not in done.stdout + done.stderr


@cache
def _loaded_by(*modules: str, base: str = BASE) -> list[str]:
    command = [sys.executable, "-c", base + LOADED_BY, *modules]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return [str(name) for name in json.loads(done.stdout.splitlines()[-1])]
