"""What people use today, each as its documentation shows it; those that are not installed are left out.

``make bench`` installs them.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from importlib.util import find_spec

import httpx
import tenacity

from tests.benchmarks.service import API_KEY

HEADERS = {"Authorization": f"Bearer {API_KEY}"}


def tenacity_import(base_url, rows):
    client = httpx.Client(headers=HEADERS)

    @tenacity.retry(wait=tenacity.wait_exponential(max=30), stop=tenacity.stop_after_attempt(20))
    def create(row):
        client.post(f"{base_url}/candidates", json=row).raise_for_status()

    for row in rows:
        create(row)


def tenacity_export(base_url, path):
    client = httpx.Client(headers=HEADERS)

    @tenacity.retry(wait=tenacity.wait_exponential(max=30), stop=tenacity.stop_after_attempt(20))
    def read(page):
        return client.get(f"{base_url}/candidates", params={"page": page, "limit": 100}).raise_for_status().json()

    page, last = 1, 1
    with path.open("w") as file:
        while page <= last:
            answer = read(page)
            file.writelines(json.dumps(row) + "\n" for row in answer["data"])
            page, last = page + 1, answer["meta"]["total_pages"]


def _operator(base_url, **arguments):
    from airflow.providers.http.operators.http import HttpOperator

    connection = {"conn_type": "http", "host": base_url, "extra": HEADERS}
    os.environ["AIRFLOW_CONN_PIHUPULSE_BENCH"] = json.dumps(connection)
    return HttpOperator(task_id="call", http_conn_id="pihupulse_bench", endpoint="candidates", **arguments)


def http_operator_import(base_url, rows):
    retry = {"wait": tenacity.wait_exponential(max=30), "stop": tenacity.stop_after_attempt(20)}
    for row in rows:
        retry_all = {**retry, "retry": tenacity.retry_if_exception_type(Exception)}
        headers = {"Content-Type": "application/json"}
        operator = _operator(base_url, method="POST", data=json.dumps(row), headers=headers, retry_args=retry_all)
        operator.execute({})


def http_operator_export(base_url, path):
    def next_page(response):
        meta = response.json()["meta"]
        page = meta["current_page"] + 1
        return {"data": {"page": page, "limit": 100}} if page <= meta["total_pages"] else None

    def rows_of(responses):
        return [row for response in responses for row in response.json()["data"]]

    first = {"page": 1, "limit": 100}
    operator = _operator(base_url, method="GET", data=first, pagination_function=next_page, response_filter=rows_of)
    with path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in operator.execute({}))


def dlt_import(base_url, rows):
    import dlt
    from dlt.sources.helpers import requests

    @dlt.destination(batch_size=1, name="pihupulse", skip_dlt_columns_and_tables=True)
    def create(items, _table):
        for item in items:
            requests.post(f"{base_url}/candidates", json=item, headers=HEADERS)

    dlt.pipeline("bench_import", destination=create, dev_mode=True).run(list(rows), table_name="candidates")


def dlt_export(base_url, path):
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

    paginator = PageNumberPaginator(base_page=1, page_param="page", total_path="meta.total_pages")
    client = RESTClient(base_url=base_url, headers=HEADERS, paginator=paginator, data_selector="data")
    with path.open("w") as file:
        for page in client.paginate("candidates", params={"limit": 100}):
            file.writelines(json.dumps(row) + "\n" for row in page)


def installed():
    """Return the rivals that can run here: name, import and export."""
    rivals = {
        "a tenacity loop": ("tenacity", tenacity_import, tenacity_export),
        "HttpOperator": ("airflow.providers.http", http_operator_import, http_operator_export),
        "dlt": ("dlt", dlt_import, dlt_export),
    }
    for name, (module, _, _) in rivals.items():
        if not _is_there(module):
            print(f"{name} is left out: {module} is not installed (uv pip install --group bench)")
    return {name: calls for name, (module, *calls) in rivals.items() if _is_there(module)}


@contextmanager
def quietly():
    """Keep what a rival logs off the screen."""
    kept = [os.dup(stream) for stream in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        yield
    finally:
        for stream, original in zip((1, 2), kept, strict=True):
            os.dup2(original, stream)
            os.close(original)
        os.close(nowhere)


def _is_there(module):
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
