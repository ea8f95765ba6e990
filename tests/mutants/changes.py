"""A module with a change in one place: a comparison turned round, a step left out, a number that is one more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import takewhile
from types import CodeType
from typing import Any, NamedTuple

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
    (" = 0", " = 1"),
    (" = 2", " = 3"),
    (" < 2", " < 3"),
    (" DESC", ""),
)
"""What is changed in statements of SQL; the numbers are states of rows."""
_SQL = ("SELECT ", "UPDATE ", "INSERT ", "DELETE ", "CASE ", " AND ")
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
                    before = _text(parent, node)
                    _put(parent, name, place, ast.copy_location(variant, node))
                    code = compile(ast.fix_missing_locations(tree), path, "exec")
                    yield Mutant(line, _shown(before, _text(parent, variant)), code)
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
                yield from (value[: at.start()] + other + value[at.end() :] for at in _places(one, value))


def _places(word: str, text: str) -> Iterator[re.Match[str]]:
    return re.finditer(re.escape(word), text) if word else iter(())


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


def _text(parent: ast.AST, node: ast.AST) -> str:
    is_operator = isinstance(node, ast.operator | ast.cmpop | ast.boolop)
    return " ".join((ast.unparse(parent) if is_operator else ast.unparse(node)).split())


def _shown(before: str, after: str) -> str:
    """Return both, without what long ones begin with alike."""
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    start = max(0, alike - _LONGEST_SHOWN // 2) if len(before) > _LONGEST_SHOWN else 0
    return "  →  ".join(one[start : start + _LONGEST_SHOWN] for one in (before, after))
