"""Does a test fail where a module is changed in one place? ``make mutants ARGS=waiting/request_plan``.

Each change is tried in a fork of this process, which has loaded what is heavy, but nothing of this package, so that
nothing is written and a mutant takes as long as the tests that it is given. What no test notices is printed: a test is
missing, or code that nobody needs, or the change makes no difference.

Tools such as mutmut and cosmic-ray run all tests, to learn which concern a module, or start a process for each change;
here both take longer than this does altogether, and the statements in SQL stay as they are.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import hypothesis
import pytest

PACKAGE = "pihupulse_provider"
TESTS: Mapping[str, str] = {
    "api/rate_limit": "api/test_rate_limit.py api/test_rate_limit_beliefs.py api/test_rate_limit_properties.py",
    "api/rate_limit_headers": "api/test_rate_limit.py api/test_rate_limit_beliefs.py api/test_rate_limit_properties.py",
    "api/reservations": "store/test_shared_reservations.py",
    "store/limits": "store/test_limits.py store/test_shared_reservations.py",
    "store/ledger": "store/test_ledger.py creating/test_create_again.py",
    "store/forgetting": "store/test_forgetting.py creating/test_once_screenings.py",
    "store/cursors": "store/test_cursors.py",
    "store/inbox": "store/test_inbox.py",
    "store/list_pages": "store/test_list_pages.py",
    "creating/ledger_writer": "creating",
    "creating/lookup": "creating",
    "creating/recovery": "creating",
    "creating/row_table": "creating",
    "waiting/request_plan": "waiting/test_poll_round.py",
    "waiting/poll_round": "waiting/test_poll_round.py",
}
"""The modules where a mistake loses or doubles something, and the tests that would notice."""
_HEAVY = ("alembic.migration", "alembic.operations", "httpx", "hypothesis.strategies", "pydantic", "sqlalchemy")
_PAIRS = (
    (ast.Lt, ast.GtE),
    (ast.LtE, ast.Gt),
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
    (ast.FloorDiv, ast.Mult),
    (ast.BitOr, ast.BitAnd),
    (ast.And, ast.Or),
)
_WORDS = (
    ("min(", "max("),
    (" AND ", " OR "),
    (" >= ", " > "),
    (" <= ", " < "),
    (" IS NULL", " IS NOT NULL"),
    (" DESC", ""),
)
"""What is changed in statements of SQL."""
_SQL = ("SELECT ", "UPDATE ", "INSERT ", "DELETE ", "CASE ", " AND ")
_OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""The last is of hypothesis, which is loaded before pytest begins."""
_BODIES = ("body", "orelse", "finalbody")
_LONGEST_SHOWN = 100


class Mutant(NamedTuple):
    """A module with one change: where that is, what, and the module's code."""

    line: int
    change: str
    code: CodeType


def mutants(source: str, path: str) -> Iterator[Mutant]:
    """Yield the module with each change, one at a time."""
    tree = ast.parse(source)
    for parent in list(_nodes(tree)):
        for name, value in ast.iter_fields(parent):
            for place, node in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(node, ast.AST):
                    continue
                line = getattr(node, "lineno", getattr(parent, "lineno", 0))
                for variant in _variants(parent, name, node):
                    before = _shown(parent, node)
                    _put(parent, name, place, ast.copy_location(variant, node))
                    code = compile(ast.fix_missing_locations(tree), path, "exec")
                    yield Mutant(line, f"{before}  →  {_shown(parent, variant)}", code)
                    _put(parent, name, place, node)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that mean something when the code runs."""
    yield tree
    for name, value in ast.iter_fields(tree):
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and name not in ("annotation", "returns") and not _is_table(node):
                yield from _nodes(node)


def _is_table(node: ast.AST) -> bool:
    """Return whether it declares a table: the tests of the revisions compare these with what there is."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "sa.Table"


def _variants(parent: ast.AST, name: str, node: ast.AST) -> Iterator[ast.AST]:
    for one, other in _PAIRS:
        if isinstance(node, one):
            yield other()
        elif isinstance(node, other):
            yield one()
    if isinstance(node, ast.Constant):
        yield from map(ast.Constant, () if isinstance(parent, ast.Expr) else _values(node.value))
    elif isinstance(node, ast.expr):
        yield from _other_expressions(name, node)
    elif name in _BODIES and _is_step(parent, node):
        yield ast.Pass()


def _other_expressions(name: str, node: ast.expr) -> Iterator[ast.expr]:
    if name == "test":
        yield from (ast.Constant(True), ast.Constant(False))
    match node:
        case ast.Name(id="min" | "max") if name == "func":
            yield ast.Name("max" if node.id == "min" else "min", ast.Load())
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand


def _values(value: object) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
    elif isinstance(value, str) and any(word in value for word in _SQL):
        for pair in _WORDS:
            for one, other in (pair, pair[::-1]):
                if one and one in value:
                    yield value.replace(one, other, 1)


def _is_step(parent: ast.AST, node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call | ast.Await)
    is_inside = not isinstance(parent, ast.Module | ast.ClassDef)
    return is_inside and isinstance(node, ast.Assign | ast.AugAssign | ast.Continue | ast.Break)


def _put(parent: ast.AST, name: str, place: int, node: ast.AST) -> None:
    value = getattr(parent, name)
    if isinstance(value, list):
        value[place] = node
    else:
        setattr(parent, name, node)


def _shown(parent: ast.AST, node: ast.AST) -> str:
    is_operator = isinstance(node, ast.operator | ast.cmpop | ast.boolop)
    text = type(node).__name__ + " in " + ast.unparse(parent) if is_operator else ast.unparse(node)
    return " ".join(text.split())[:_LONGEST_SHOWN]


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives out the changed module under its name."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        self._name = name
        self._path = path
        self._code = code

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self, origin=self._path) if fullname == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self._path
        exec(self._code, module.__dict__)


class _Quick:
    """A property that does not hold need not be told by its smallest example."""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=phases)
        hypothesis.settings.load_profile("mutants")


def notices(tests: Sequence[str], seconds: float, finder: _Finder | None = None) -> bool:
    """Return whether a test fails, or they take longer than that."""
    child = os.fork()
    if child == 0:
        os.setpgrp()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        if finder is not None:
            sys.meta_path.insert(0, finder)
        try:
            code = pytest.main([*_OPTIONS, *tests], plugins=[_Quick()])
        except BaseException:
            code = 1
        os._exit(int(code))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def try_module(module: str, tests: Sequence[str], lines: range) -> None:
    """Try all mutants of a module that change these lines, and print those that nobody notices."""
    path = f"{PACKAGE}/{module}.py"
    began_at = time.monotonic()
    if notices(tests, 1200):
        sys.exit(f"The tests of {module} fail without any change.")
    took = time.monotonic() - began_at
    wanted = [one for one in mutants(Path(path).read_text("utf-8"), path) if one.line in lines]
    print(f"{module}: {len(wanted)} mutants, {took:.0f} s for the tests", flush=True)
    alive = 0
    for one in wanted:
        if not notices(tests, 5 + 4 * took, _Finder(path[:-3].replace("/", "."), path, one.code)):
            alive += 1
            print(f"  {path}:{one.line}  {one.change}", flush=True)
    print(f"{module}: {len(wanted) - alive} of {len(wanted)} noticed, {time.monotonic() - began_at:.0f} s", flush=True)


def main() -> None:
    """Try the modules that the arguments name."""
    parser = argparse.ArgumentParser("make mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", default=TESTS, help="such as store/ledger; all of them if left out")
    parser.add_argument("--tests", nargs="+", help="tests/… to run, instead of those that the module is known to have")
    parser.add_argument("--lines", help="only changes of these lines, such as 40-80")
    options = parser.parse_args()
    for name in _HEAVY:
        importlib.import_module(name)
    first, last = map(int, options.lines.split("-")) if options.lines else (0, 1_000_000)
    for module in options.modules:
        try_module(module, options.tests or [f"tests/{one}" for one in TESTS[module].split()], range(first, last + 1))


if __name__ == "__main__":
    main()
