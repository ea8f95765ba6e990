"""Creating one candidate or one screening exactly once, over lost answers, killed workers and retries.

PihuPulse has no idempotency key (API reference, "Create Candidate", "Create Screening"), so an intent is in the ledger
before the request and the id after it. A clean first try costs one request; only where something may have happened
unseen is it looked for before anything is created.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from pihupulse_provider.api.client import Client
from pihupulse_provider.api.errors import DuplicateCreateError, PihuPulseError, UnconfirmedCreateError
from pihupulse_provider.api.models import Candidate, NewCandidate, NewScreening, Screening
from pihupulse_provider.creating.intent import Intent
from pihupulse_provider.creating.kinds import CandidateKind, Kind, ScreeningKind
from pihupulse_provider.creating.settle import longest, settles_after, waits
from pihupulse_provider.store.ledger import Ledger

_POSTS = 3
_RETRY_SETTLES = 5.0
"""Seconds a retry without its intent gives the try before it to show what it may have sent last."""

ObjectT = TypeVar("ObjectT", Candidate, Screening)
Sleep = Callable[[float], None]


def create_candidate_once(
    client: Client,
    ledger: Ledger,
    job: str,
    candidate: NewCandidate,
    *,
    first_try: bool,
    since: datetime | None = None,
    sleep: Sleep = time.sleep,
) -> Candidate:
    """Create a candidate, or return the one that this job has created already.

    :param job: names the create for ever; within it, the e-mail address identifies the candidate.
    :param first_try: whether nothing was tried under this name before.
    :param since: a moment before which this job can have created nothing; narrows the look-up of a retry whose
        intent is not in the ledger. None to look through all candidates.
    :param sleep: waits that many seconds, between look-ups after a lost answer.
    :raises DuplicateCreateError: if the look-up finds more than one.
    :raises UnconfirmedCreateError: if several answers in a row were lost and nothing shows.
    :raises PihuPulseError: as :meth:`Client.create_candidate` does.
    """
    kind = CandidateKind(client, candidate)
    intent = _intent(client, ledger, job, kind, first_try=first_try, since=since)
    return _create_once(client, kind, intent, sleep)


def create_screening_once(
    client: Client,
    ledger: Ledger,
    job: str,
    screening: NewScreening,
    *,
    first_try: bool,
    since: datetime | None = None,
    sleep: Sleep = time.sleep,
) -> Screening:
    """Create a screening and send its invitation once, or return the one that this job has created already.

    The parameters and errors are those of :func:`create_candidate_once`; within the job, candidate and template
    identify the screening.
    """
    kind = ScreeningKind(client, screening)
    intent = _intent(client, ledger, job, kind, first_try=first_try, since=since)
    return _create_once(client, kind, intent, sleep)


def _intent(
    client: Client, ledger: Ledger, job: str, kind: Kind[ObjectT], *, first_try: bool, since: datetime | None
) -> Intent:
    key = ledger.digest(kind.noun, *kind.identity)
    earliest = since.timestamp() if since is not None else None
    return Intent(ledger, job, key, first_try=first_try, since=earliest, now=client.limit.now)


def _create_once(client: Client, kind: Kind[ObjectT], intent: Intent, sleep: Sleep) -> ObjectT:
    if intent.object_id is not None:
        return kind.fetch(intent.object_id)
    if intent.may_have_happened:
        sent_at = intent.sent_at
        left = _RETRY_SETTLES if sent_at is None else sent_at + longest(client.account.timeout) - client.limit.now()
        made = _look(kind, intent) or _look_until(kind, intent, left, sleep)
        if made is not None:
            return made
    return _post(client, kind, intent, sleep)


def _post(client: Client, kind: Kind[ObjectT], intent: Intent, sleep: Sleep) -> ObjectT:
    lost: PihuPulseError | None = None
    for _ in range(_POSTS):
        sent_at = intent.record()
        try:
            made = kind.post()
        except PihuPulseError as error:
            if not error.may_have_happened:
                raise
            lost = error
            left = sent_at + settles_after(error, client.account.timeout) - client.limit.now()
            found = _look_until(kind, intent, left, sleep)
            if found is not None:
                return found
        else:
            intent.confirm(made.id)
            return made
    raise UnconfirmedCreateError(
        f"The {kind.noun} was sent {_POSTS} times, no answer told what came of it, and it does not show in the list. "
        f"The last answer: {lost}. A retry of the task looks again before it creates anything."
    ) from lost


def _look_until(kind: Kind[ObjectT], intent: Intent, seconds: float, sleep: Sleep) -> ObjectT | None:
    if seconds <= 0:
        return None
    for wait in waits(seconds):
        sleep(wait)
        if (found := _look(kind, intent)) is not None:
            return found
    return None


def _look(kind: Kind[ObjectT], intent: Intent) -> ObjectT | None:
    found = {made.id: made for made in kind.find(intent.since, intent.unclaimed)}
    if len(found) > 1:
        raise DuplicateCreateError(
            f"The look-up found {len(found)} {kind.noun}s that this task may have created: {', '.join(found)}. "
            "Keep one, remove the others in the dashboard, and run the task again.",
            ids=list(found),
        )
    for made in found.values():
        intent.confirm(made.id)
        return made
    return None
