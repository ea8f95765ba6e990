"""Makes ``docs/benchmarks.md`` and its plots of what the benchmarks recorded in ``docs/benchmarks``.

Each benchmark has a file there, with its results, what it ran on and how to run it again; so one that is run alone
replaces its own part of the page.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks.results import Result

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "benchmarks"
PAGE = DOCS / "benchmarks.md"
PACKAGES = ("apache-airflow", "apache-airflow-providers-http", "dlt", "httpx", "SQLAlchemy", "tenacity")
OURS = "this provider"
_COLOURS = ("#3b82f6", "#e07b39", "#2ca25f")
_INTRODUCTION = """\
# Benchmarks

`make bench` makes this page: each measure beside its alternatives, in one run on one machine. Only the ratios mean
something elsewhere; the absolute figures are this machine's, under the load that is named. `make bench ARGS="export"`
replaces one part, and `ARGS="--quick"` takes small sizes.
"""


def save(name: str, command: str, results: Sequence[Result]) -> None:
    """Keep what a benchmark measured just now, with what it ran on."""
    document = {"command": command, "made": made(), "results": [vars(result) for result in results]}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def made() -> dict[str, str]:
    """Return on what and under which load this process runs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "on": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}",
        "load": f"{os.getloadavg()[0]:.1f} processes were running or waiting in the minute before the end",
        "versions": ", ".join([f"Python {platform.python_version()}", *_versions()]),
    }


def write_page(names: Iterable[str]) -> None:
    """Write the page of every benchmark that has results."""
    parts = [_INTRODUCTION]
    for name in names:
        path = RESULTS / f"{name}.json"
        if path.exists():
            document = json.loads(path.read_text())
            parts.append(_part(name, document, [Result(**one) for one in document["results"]]))
    PAGE.write_text("\n".join(parts))


def _part(name: str, document: Mapping[str, Any], results: Sequence[Result]) -> str:
    about = (import_module(f"tests.benchmarks.{name}").__doc__ or "").partition(":")[0].strip().rstrip(".")
    lines = [f"## {about}\n"]
    for case in dict.fromkeys(result.case for result in results):
        of_case = [result for result in results if result.case == case]
        lines += [f"### {case}\n", _table(of_case)]
        if len({result.size for result in of_case}) > 1:
            lines.append(_plot(f"{name}-{case.casefold().replace(' ', '-')}", of_case))
    facts = "; ".join([*document["made"].values(), *filter(None, [document.get("note")])])
    return "\n".join([*lines, f"{facts}. Again: `{document['command']}`\n"])


def _table(results: Sequence[Result]) -> str:
    figures = list(dict.fromkeys(name for result in results for name in result.figures))
    sized = results[0].size is not None
    head = [*(["Size"] if sized else []), "", *figures]
    rows = [[*([f"{one.size:,.0f}"] if sized else []), one.subject, *_cells(one, figures)] for one in results]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(result: Result, figures: Sequence[str]) -> list[str]:
    return [_number(result.figures.get(name)) for name in figures]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"


def _plot(name: str, results: Sequence[Result]) -> str:
    """Draw the first figure over the size, in a colour that both themes can show; return the image's Markdown."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams.update({"svg.hashsalt": name, "svg.fonttype": "path", "font.size": 10})
    figure = next(iter(results[0].figures))
    canvas, axes = pyplot.subplots(figsize=(6.4, 3.2))
    for subject, colour in zip(dict.fromkeys(one.subject for one in results), _COLOURS, strict=False):
        points = [(one.size, one.figures[figure]) for one in results if one.subject == subject]
        axes.plot(*zip(*points, strict=True), marker="o", color=colour, label=subject)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(results[0].case, color="#808890")
    axes.set_ylabel(figure, color="#808890")
    axes.tick_params(which="both", colors="#808890")
    axes.grid(visible=True, color="#80889040")
    for side in axes.spines.values():
        side.set_color("#808890")
    axes.legend(frameon=False, labelcolor="#808890")
    canvas.savefig(RESULTS / f"{name}.svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(canvas)
    return f"![{figure} over {results[0].case.casefold()}, both axes logarithmic](benchmarks/{name}.svg)\n"


def _versions() -> Iterable[str]:
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
