"""Exporting all candidates to PostgreSQL: ``python -m tests.benchmarks.export_to_sql``, by default 50,000.

Beside dlt with its PostgreSQL destination, which merges by the same key. Both begin with an empty database and run a
second time over the same rows, an upsert of what is there.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time

import sqlalchemy as sa

from pihupulse_provider.api import Account, AsyncClient
from pihupulse_provider.api.models import Candidate
from pihupulse_provider.exporting.export import DETAILS, Export
from pihupulse_provider.exporting.sql_table import SqlTable
from tests.benchmarks.results import record
from tests.benchmarks.rivals import HEADERS, quietly
from tests.benchmarks.service import API_KEY, running
from tests.servers import empty_database, postgres

SUBJECTS = ("this provider", "dlt")


def ours(base_url, database, _folder):
    async def read(table):
        async with AsyncClient(Account(API_KEY, base_url)) as client:
            await Export("candidates", client).run(table)

    engine = sa.create_engine(sa.engine.make_url(database).set(drivername="postgresql+psycopg"))
    fields = [field for field in Candidate.model_fields if field not in DETAILS]
    with SqlTable(engine, "candidates", Candidate, fields, "upsert") as table:
        asyncio.run(read(table))
        table.publish()
    engine.dispose()


def dlt_export(base_url, database, folder):
    import dlt
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

    paginator = PageNumberPaginator(base_page=1, page_param="page", total_path="meta.total_pages")
    client = RESTClient(base_url=base_url, headers=HEADERS, paginator=paginator, data_selector="data")
    pages = dlt.resource(
        client.paginate("candidates", params={"limit": 100}),
        name="candidates",
        write_disposition="merge",
        primary_key="id",
    )
    url = sa.engine.make_url(database).set(password="any")  # which dlt asks for
    destination = dlt.destinations.postgres(credentials=url.render_as_string(hide_password=False))
    pipeline = dlt.pipeline("to_sql", destination=destination, dataset_name="public", pipelines_dir=folder)
    pipeline.run(pages).raise_on_failed_jobs()


EXPORTS = {"this provider": ours, "dlt": dlt_export}


def _measured(result, subject, base_url, database, folder):
    if subject == "dlt":
        import dlt.destinations  # noqa: F401 - no import is in the figures
    began = time.perf_counter()
    try:
        with quietly():
            EXPORTS[subject](base_url, database, folder)
        result.put(time.perf_counter() - began)
    except BaseException as error:
        result.put(repr(error))
        raise


def measure(subject, base_url, database, folder):
    """Return the seconds of one export, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    process = context.Process(target=_measured, args=(result, subject, base_url, database, folder))
    process.start()
    seconds = result.get(timeout=600)
    process.join()
    assert isinstance(seconds, float), f"{subject}: {seconds}"
    return seconds


def count(database):
    """Return how many different candidates are in the table."""
    engine = sa.create_engine(sa.engine.make_url(database).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT count(DISTINCT id), count(*) FROM candidates").one()
    engine.dispose()
    return tuple(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    arguments = parser.parse_args()
    case = f"{arguments.rows:,} candidates into PostgreSQL, {arguments.latency * 1000:.0f} ms latency"
    with postgres() as server, running("--plan", "unlimited", "--candidates", str(arguments.rows)) as service:
        service.add_fault(kind="latency", seconds=arguments.latency)
        print(f"{case}\n{'':24}{'first':>9}{'again':>9}{'times ours':>12}{'rows':>8}")
        base = None
        for subject in SUBJECTS:
            with empty_database(server) as database, tempfile.TemporaryDirectory() as folder:
                first, again = (measure(subject, service.base_url, database, folder) for _ in range(2))
                assert count(database) == (arguments.rows, arguments.rows), count(database)
            base = base or first
            print(f"{subject:24}{first:9.2f}{again:9.2f}{first / base:12.2f}{arguments.rows:8}", flush=True)
            record(case, subject, times_ours=first / base, seconds=first, seconds_again=again)


if __name__ == "__main__":
    main()
