"""Which tests notice a change: each is tried in a fork of this process, which has loaded nothing of the package yet."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import hypothesis
import pytest

_HEAVY = (
    *("alembic.migration", "alembic.operations", "email_validator", "httpcore", "httpx", "hypothesis.strategies"),
    *("phonenumbers.phonenumberutil", "pyarrow.parquet", "pydantic.networks", "sqlalchemy.dialects.sqlite", "xdist"),
)
_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""The last is of hypothesis, which is loaded before pytest begins."""
_LONGEST = 1200.0
_TOO_LONG = "too long"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives out the changed module under its name."""

    def __init__(self, path: str, code: CodeType) -> None:
        self._name = path.removesuffix(".py").replace("/", ".")
        self._path = path
        self._code = code

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self, origin=self._path) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._path
        exec(self._code, module.__dict__)


class _Quick:
    """Makes Hypothesis stop at the first example that fails: finding the smallest would take time, and nobody reads it.

    :ivar result: what is handed back to the process that tries mutants.
    """

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=phases)
        hypothesis.settings.load_profile("mutants")


class _Learn(_Quick):
    """Takes down how long each test takes and which functions of a file it calls, each by its first line."""

    _OUTSIDE = ""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = str(Path(path).resolve())
        self._test = self._OUTSIDE
        self._called: defaultdict[str, set[int]] = defaultdict(set)
        self.result = {"seconds": {}, "called": {}}
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._test, began_at = item.nodeid, time.monotonic()
        result = yield
        self.result["seconds"][item.nodeid] = time.monotonic() - began_at
        self._test = self._OUTSIDE
        return result

    def pytest_sessionfinish(self) -> None:
        self.result["called"] = {test: sorted(lines) for test, lines in self._called.items()}

    def _trace(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename == self._path:
            self._called[self._test].add(frame.f_code.co_firstlineno)


class _Try(_Quick):
    """Runs some of the tests, in this order, and takes down which one fails."""

    def __init__(self, known: Sequence[str], order: Sequence[str]) -> None:
        super().__init__()
        self._known = set(known)
        self._places = {test: place for place, test in enumerate(order)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [one for one in items if one.nodeid in self._places or one.nodeid not in self._known]
        items.sort(key=lambda one: self._places.get(one.nodeid, -1))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.result["failed"] = report.nodeid


class Trial:
    """The tests of a module, which are tried with its mutants: those that noticed most of them first.

    :param path: the module's, from the folder of the project.
    :ivar seconds: how long all of them take.
    """

    def __init__(self, path: str, tests: Sequence[str]) -> None:
        for name in _HEAVY:
            importlib.import_module(name)
        self._path = path
        self._tests = tests
        code, learned = self._run(lambda: _Learn(path), _LONGEST)
        if code != 0:
            sys.exit(f"The tests of {path} fail without any change.")
        self._seconds: dict[str, float] = learned["seconds"]
        self._called: dict[str, list[int]] = learned["called"]
        self._noticed: Counter[str] = Counter()
        self._functions = [
            _lines(one) for one in ast.walk(ast.parse(Path(path).read_text("utf-8"))) if _is_function(one)
        ]
        self.seconds = sum(self._seconds.values())

    def try_mutant(self, code: CodeType, line: int) -> str | None:
        """Return why a change in this line is not taken for noticed; None if a test fails."""
        tests = sorted(self._concerned(line), key=self._promise, reverse=True)
        if not tests:
            return "never called"
        longest = 10 + 5 * sum(self._seconds[one] for one in tests)
        ended, result = self._run(lambda: _Try([*self._seconds], tests), longest, _Finder(self._path, code))
        if failed := result.get("failed"):
            self._noticed[failed] += 1
        return "unnoticed" if ended == 0 else _TOO_LONG if ended is None else None

    def _concerned(self, line: int) -> list[str]:
        """Return the tests that call the function of that line; all where it runs when the module is loaded."""
        function = max((lines.start for lines in self._functions if line in lines), default=None)
        if function is None or function in self._called.get("", ()):
            return [*self._seconds]
        return [test for test in self._seconds if function in self._called.get(test, ())]

    def _promise(self, test: str) -> float:
        return (self._noticed[test] + 0.1) / (self._seconds[test] + 0.05)

    def _run(
        self, plugin: Callable[[], _Quick], longest: float, finder: _Finder | None = None
    ) -> tuple[int | None, dict[str, Any]]:
        """Run tests in a child, and return how that ended (None if it took too long) and what it found out."""
        with tempfile.NamedTemporaryFile("r") as file:
            child = os.fork()
            if child == 0:
                _run_in_child(self._tests, plugin, finder, file.name)
            code = _wait_for(child, longest)
            text = file.read()
        return code, json.loads(text) if text else {}


def _run_in_child(tests: Sequence[str], plugin: Callable[[], _Quick], finder: _Finder | None, file: str) -> None:
    os.setpgrp()
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    if finder is not None:
        sys.meta_path.insert(0, finder)
    code = 1
    try:
        quick = plugin()
        code = int(pytest.main([*_OPTIONS, *tests], plugins=[quick]))
        Path(file).write_text(json.dumps(quick.result), "utf-8")
    finally:
        os._exit(code)


def _wait_for(child: int, longest: float) -> int | None:
    until = time.monotonic() + longest
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _lines(node: Any) -> range:
    """Return the lines of a function, from its first decorator on, as its code says."""
    return range(min([node.lineno, *(one.lineno for one in node.decorator_list)]), node.end_lineno + 1)
