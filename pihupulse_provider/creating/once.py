"""Creating one candidate or screening exactly once, over lost responses, killed workers and retries: a run of one row.

PihuPulse has no idempotency key (API reference, "Create Candidate", "Create Screening"), so an intent is in the ledger
before the request and the id after it. Only where something may have happened unseen, or where it matters what is there
already, is it looked for before anything is created.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from pihupulse_provider.api.async_client import AsyncClient, run_to_end
from pihupulse_provider.api.errors import UnconfirmedCreateError
from pihupulse_provider.api.models import Candidate, NewCandidate, NewScreening, Screening
from pihupulse_provider.creating.candidate_input import CandidateInput
from pihupulse_provider.creating.create_run import CreateRun
from pihupulse_provider.creating.errors import DeletedError
from pihupulse_provider.creating.options import CreateOptions
from pihupulse_provider.creating.resources import CandidateResource, Parsed, ScreeningResource
from pihupulse_provider.creating.rows import TableRow
from pihupulse_provider.store.ledger import Ledger

log = logging.getLogger(__name__)
_SAYINGS = {
    (True, "created"): "Created %s %s.",
    (False, "created"): "This task has created its %s already: %s.",
    (False, "existing"): "There is such a %s already, and it is left alone: %s.",
}

Connect = Callable[[], AsyncClient]
Sleep = Callable[[float], Awaitable[None]]


def create_candidate_once(
    connect: Connect,
    ledger: Ledger,
    options: CreateOptions,
    candidate: NewCandidate,
    *,
    sleep: Sleep = asyncio.sleep,
) -> Candidate:
    """Create a candidate, or return the one that this job has created already, or that exists.

    :param connect: makes the client; it is closed at the end.
    :param options: how; within the job, the e-mail address identifies the candidate. With ``on_existing="skip"`` and
        a candidate of that address in the account, that one is returned.
    :param sleep: waits that many seconds.
    :raises ExistingRowsError: if there is one, and ``on_existing`` is ``fail``.
    :raises DuplicateCreateError: if the look-up finds more than one that this job may have created.
    :raises UnconfirmedCreateError: if several responses in a row were lost and nothing shows.
    :raises DeletedError: if this job has created it, and it is there no more.
    :raises PihuPulseError: as :meth:`AsyncClient.create_candidate` does.
    """
    resource = CandidateResource(CandidateInput())
    run = CreateRun(resource, replace(options, is_single=True), ledger, connect, sleep=sleep)
    created: Candidate = _create(run, resource.parsed(candidate))
    return created


def create_screening_once(
    connect: Connect,
    ledger: Ledger,
    options: CreateOptions,
    screening: NewScreening,
    *,
    failed_statuses: Iterable[str] = (),
    sleep: Sleep = asyncio.sleep,
) -> Screening:
    """Create a screening and send its invitation once, or return the one that stands in its way.

    The parameters and errors are those of :func:`create_candidate_once`; within the job, candidate and template
    identify the screening.

    :param failed_statuses: a screening that ended in one of them does not count as existing.
    """
    resource = ScreeningResource(
        screening.template_id,
        screening.job_title,
        send_invitation=screening.send_invitation,
        failed_statuses=failed_statuses,
    )
    run = CreateRun(resource, replace(options, is_single=True), ledger, connect, sleep=sleep)
    created: Screening = _create(run, resource.parse({"candidate_id": screening.candidate_id}))
    return created


def _create(run: CreateRun, wanted: Parsed) -> Any:
    made: list[Any] = []
    run.created = made.append
    key = run.ledger.digest(run.resource.noun, *wanted.key)

    async def create() -> Any:
        async with run.connect() as client:
            await run.create(client, None)
            [result] = run.rows.results()
            was_known = not client.requests_sent
            log.info(_SAYINGS[bool(made), result["status"]], run.resource.noun, result["id"])
            if made:
                return made[0]
            try:
                return await run.fetch(client, result["id"], wanted.body)
            except DeletedError as error:
                if was_known:
                    raise
                raise UnconfirmedCreateError(
                    f"A list shows the {run.resource.noun} {result['id']}, and the candidate's details do not, or not "
                    "yet. It is not created again; a retry of the task looks again."
                ) from error

    with run.rows:
        run.rows.add([TableRow(1, key, key, wanted.body)])
        return run_to_end(create())
