"""An import in a process of its own, to be killed: ``python -m tests.reliability.importing``."""

from __future__ import annotations

import argparse
import logging
from datetime import UTC, datetime

from pihupulse_provider.api import Account, AsyncClient
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.create_run import CreateRun
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.creating.readers import Row, Source
from pihupulse_provider.creating.resources import CandidateResource, ScreeningResource
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.ledger import Ledger

JOB = "dag/run/import/-1"
TIMEOUT = 1.0


def candidates(count):
    values = ({"name": f"Person {n}", "email": f"person.{n}@example.org"} for n in range(count))
    return Source(Row(number, one) for number, one in enumerate(values, 1)), CandidateResource(CandidateInput())


def screenings(count):
    rows = (Row(n + 1, {"candidate_id": f"c{12345 + n}"}) for n in range(count))
    return Source(rows), ScreeningResource("t54321", "Engineer", send_invitation=True)


KINDS = {"candidates": candidates, "screenings": screenings}


def account(base_url, api_key="pp_sandbox"):
    return Account(api_key, base_url, timeout=TIMEOUT)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--store-url", required=True)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--retry", action="store_true")
    parser.add_argument("--since", type=float, required=True)
    told = parser.parse_args()
    logging.basicConfig(level="INFO")
    logging.getLogger("httpx").setLevel("WARNING")
    service = account(told.base_url)
    source, kind = KINDS[told.kind](told.count)
    terms = CreateOptions(JOB, not told.retry, datetime.fromtimestamp(told.since, UTC), on_existing="create")
    ledger = Ledger(Store(told.store_url), service)
    print(CreateRun(kind, terms, ledger, lambda: AsyncClient(service)).run(source))


if __name__ == "__main__":
    main()
