"""The wheel as a user gets it: built from the sdist, installed alone and with each extra, and tested.

``python -m tests.wheel``
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
BUILD = "import sys, hatchling.build as h; print(getattr(h, 'build_' + sys.argv[1])(sys.argv[2]))"
PACKAGES = {
    "pihupulse_provider": ROOT / "pihupulse_provider",
    "airflow_provider_pihupulse": ROOT / "airflow_provider_pihupulse",
}
ENABLED = {
    "": [
        "pihupulse_provider.operators.candidates",
        "pihupulse_provider.webhooks.server",
        "pihupulse_provider.cli.main",
    ],
    "openlineage": ["openlineage_sql", "airflow.providers.openlineage.extractors"],
    "parquet": ["pyarrow.parquet"],
    "postgres": ["psycopg", "psycopg_binary"],
    "sql": ["pihupulse_provider.transfers.sql_to_pihupulse", "pihupulse_provider.transfers.pihupulse_to_sql"],
}
"""What can be imported with an extra, which without it cannot; with none of them, what always can."""
IMPORT = """
import importlib, sys
import pihupulse_provider
for name in sys.argv[1:]:
    importlib.import_module(name)
print(pihupulse_provider.__file__)
"""
TESTED = [
    *("cli", "hooks", "operators", "plugins", "sensors", "transfers", "triggers"),
    *("test_examples.py", "test_provider_info.py", "test_retry_policy.py"),
]
"""The rooms of what Airflow loads."""
EXAMPLES = sorted(path.stem for path in (ROOT / "dags_examples").glob("[!_]*.py"))


def main() -> int:
    """Check everything; the exit code is 0 if all holds."""
    with TemporaryDirectory(prefix="pihupulse-wheel-") as folder:
        wheel = _built(Path(folder))
        _check_content(wheel)
        for extra in ("", *PROJECT["optional-dependencies"]):
            _check_installed(Path(folder), wheel, extra)
        _check_tests(Path(folder), wheel)
    return 0


def _built(folder: Path) -> Path:
    """Return the wheel built from the sdist, which has the same content as the one built from this tree."""
    sdist = _build("sdist", ROOT, folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    (folder / "tree").mkdir()
    wheel, other = _build("wheel", source, folder), _build("wheel", ROOT, folder / "tree")
    assert _content(wheel) == _content(other), "The wheel of the sdist differs from the one of the tree."
    return wheel


def _build(kind: str, source: Path, target: Path) -> Path:
    output = _run([sys.executable, "-c", BUILD, kind, str(target)], cwd=source)
    return target / output.splitlines()[-1]


def _content(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist() if not entry.filename.endswith("/RECORD")}


def _check_content(wheel: Path) -> None:
    """Every file of the packages is in it, the example DAGs are, and nothing else is."""
    wanted = {
        f"{name}/{path.relative_to(package)}"
        for name, package in PACKAGES.items()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    examples = {f"airflow_provider_pihupulse/example_dags/{path.name}" for path in (ROOT / "dags_examples").glob("*.*")}
    found = {name for name in _content(wheel) if ".dist-info/" not in name}
    assert found == wanted | examples, sorted(found ^ (wanted | examples))
    assert "pihupulse_provider/py.typed" in found


def _check_installed(folder: Path, wheel: Path, extra: str) -> None:
    environment = folder / f"venv-{extra or 'plain'}"
    python = _installed(environment, f"{wheel}[{extra}]" if extra else str(wheel))
    environ = _environment(folder, python)
    output = _run([str(python), "-c", IMPORT, *ENABLED[extra]], cwd=folder, env=environ)
    assert output.splitlines()[-1].startswith(str(environment)), output
    if not extra:
        _check_with_airflow(folder, python, environ)
    print(f"the wheel{f' with [{extra}]' if extra else ' alone'} works", flush=True)


def _check_tests(folder: Path, wheel: Path) -> None:
    """The tests of what Airflow loads pass where the package's source is not: on what is installed, examples too."""
    home, environment = folder / "checkout", folder / "venv-tested"
    python = _installed(
        environment, f"{wheel}[{','.join(PROJECT['optional-dependencies'])}]", *PYPROJECT["dependency-groups"]["test"]
    )
    for name in ("docs", "tests"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("_build", "__pycache__"))
    for name in ("CONTRIBUTING.md", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, home)
    environ = _environment(folder, python)
    [package] = environment.glob("lib/python*/site-packages/airflow_provider_pihupulse")
    shutil.copytree(package / "example_dags", home / "dags_examples")
    output = _run([str(python), "-c", IMPORT], cwd=home, env=environ)
    assert output.splitlines()[-1].startswith(str(environment)), output
    together = ["--quiet", "--numprocesses", "2", "--dist", "loadfile"]
    output = _run([str(python), "-m", "pytest", *together, *(f"tests/{room}" for room in TESTED)], home, environ)
    print(f"the tests pass on the wheel: {output.splitlines()[-1]}", flush=True)


def _installed(environment: Path, *wanted: str) -> Path:
    """Return the Python of a new environment with some packages, in the versions that this one has."""
    python, uv = environment / "bin" / "python", which("uv") or str(ROOT / ".venv" / "uv" / "bin" / "uv")
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)])
    constraints = ROOT / "requirements" / "dev.txt"
    _run([uv, "pip", "install", "--quiet", "--python", str(python), "--constraint", str(constraints), *wanted])
    return python


def _environment(folder: Path, python: Path) -> dict[str, str]:
    return {"AIRFLOW_HOME": str(folder / "home"), "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}


def _check_with_airflow(folder: Path, python: Path, environ: dict[str, str]) -> None:
    """Airflow's commands find the provider and its plugin, and its examples load, without a warning of ours."""
    info = _run([str(python.parent / "airflow"), "providers", "get", PROJECT["name"], "--full"], folder, environ)
    assert PROJECT["version"] in info, info
    plugins = _run([str(python.parent / "airflow"), "plugins", "--output", "json"], folder, environ)
    assert "pihupulse_provider" in plugins or PROJECT["name"] in plugins, plugins
    _run([str(python.parent / "airflow"), "info"], folder, environ)
    examples = [f"airflow_provider_pihupulse.example_dags.{name}" for name in EXAMPLES]
    _run([str(python), "-c", IMPORT, *examples], folder, environ)


def _inherited() -> dict[str, str]:
    """Return this environment without what leads to other sources, or forbids compiled files and doubles each start."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}}


def _run(command: list[str], cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**_inherited(), **(env or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} …: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    assert "pihupulse" not in done.stderr.lower(), done.stderr
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
