"""Exporting all candidates: ``python -m tests.benchmarks.export``, by default 50,000 at 50 ms of latency.

Beside a bare asyncio loop with 16 requests in flight, and what people use today.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import httpx

from pihupulse_provider.api import Account, AsyncClient
from pihupulse_provider.exporting.export import MODELS, Export
from pihupulse_provider.exporting.file_formats import open_writer
from tests.benchmarks.results import record
from tests.benchmarks.rivals import HEADERS, installed, quietly
from tests.benchmarks.service import API_KEY, running


def ours(base_url, path):
    async def run():
        async with AsyncClient(Account(API_KEY, base_url)) as client:
            name = path.suffix.removeprefix(".")
            with path.open("wb") as file, open_writer(name, file, MODELS["candidates"], frozenset()) as writer:
                await Export("candidates", client).run(writer)

    asyncio.run(run())


def reference(base_url, path):
    async def run():
        async with httpx.AsyncClient(headers=HEADERS, base_url=base_url, timeout=60) as client:

            async def read(page):
                answer = await client.get("/candidates", params={"page": page, "limit": 100})
                return answer.json()

            with path.open("w") as file:
                first = await read(1)
                pages = iter(range(2, first["meta"]["total_pages"] + 1))
                file.writelines(json.dumps(row) + "\n" for row in first["data"])

                async def work():
                    for page in pages:
                        answer = await read(page)
                        file.writelines(json.dumps(row) + "\n" for row in answer["data"])

                await asyncio.gather(*(work() for _ in range(16)))

    asyncio.run(run())


def _measured(result, export, base_url, path):
    before = _peak_memory()
    began = time.perf_counter()
    with quietly():
        export(base_url, path)
    result.put((time.perf_counter() - began, _peak_memory() - before))


def _peak_memory():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(export, base_url, suffix="jsonl"):
    """Return seconds, MB that the process grew by, and the number of different rows in the file."""
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"candidates.{suffix}"
        process = context.Process(target=_measured, args=(result, export, base_url, path))
        process.start()
        seconds, megabytes = result.get(timeout=600)
        process.join()
        lines = path.read_text().splitlines() if suffix == "jsonl" else []
        return seconds, megabytes, len({json.loads(line)["id"] for line in lines}) if lines else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    arguments = parser.parse_args()
    rivals = {name: export for name, (_, export) in installed().items()}
    with running("--plan", "unlimited", "--candidates", str(arguments.rows)) as service:
        service.add_fault(kind="latency", seconds=arguments.latency)
        print(f"{arguments.rows:,} candidates, {arguments.latency * 1000:.0f} ms latency")
        print(f"{'':38}{'seconds':>9}{'times ours':>12}{'MB grown':>10}{'rows':>8}")
        base, megabytes, rows = min(measure(ours, service.base_url) for _ in range(3))

        def show(name, seconds, megabytes, rows):
            print(f"{name:38}{seconds:9.2f}{seconds / base:12.2f}{megabytes:10.0f}{rows or '':8}", flush=True)
            case = f"{arguments.rows:,} candidates, {arguments.latency * 1000:.0f} ms latency"
            record(case, name, times_ours=seconds / base, seconds=seconds, MB_of_memory=megabytes)

        show("this provider, JSON Lines", base, megabytes, rows)
        show("this provider, Parquet", *min(measure(ours, service.base_url, "parquet") for _ in range(3)))
        show("bare asyncio and httpx, 16 in flight", *min(measure(reference, service.base_url) for _ in range(3)))
        for name, export in rivals.items():
            show(name, *measure(export, service.base_url))


if __name__ == "__main__":
    main()
