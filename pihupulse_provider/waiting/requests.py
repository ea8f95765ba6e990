"""Carries out a round's requests, one after the other in a task or side by side in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pihupulse_provider.api.async_client import AsyncClient
from pihupulse_provider.api.client import Client
from pihupulse_provider.api.endpoints import Call
from pihupulse_provider.api.errors import BadRequestError, NotFoundError
from pihupulse_provider.api.transport import CONCURRENCY
from pihupulse_provider.waiting.poll_round import CandidateRequest, PollRound, Request

_NO_SUCH_CANDIDATE = (NotFoundError, BadRequestError)


def run_round(client: Client, look: PollRound) -> None:
    """Carry out a whole round.

    :raises PihuPulseError: when a request fails for good; what was seen until then stays in ``look``.
    """
    while requests := look.requests():
        for request in requests:
            call: Call[Any] = request.call()
            try:
                answer = client.run(call, poll=True)
            except _NO_SUCH_CANDIDATE:
                if not isinstance(request, CandidateRequest):
                    raise
                answer = None
            _take(look, request, answer)


async def run_round_async(client: AsyncClient, look: PollRound, progress: Callable[[], None]) -> None:
    """Carry out a whole round without blocking the event loop.

    :param progress: called after every answer.
    :raises PihuPulseError: when a request fails for good; what was seen until then stays in ``look``.
    """
    lanes = asyncio.Semaphore(CONCURRENCY)

    async def ask(request: Request) -> None:
        call: Call[Any] = request.call()
        async with lanes:
            try:
                answer = await client.run(call, poll=True)
            except _NO_SUCH_CANDIDATE:
                if not isinstance(request, CandidateRequest):
                    raise
                answer = None
        _take(look, request, answer)
        progress()

    while requests := look.requests():
        await _all(ask, requests)


async def _all(ask: Callable[[Request], Any], requests: Sequence[Request]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for request in requests:
                group.create_task(ask(request))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _take(look: PollRound, request: Request, answer: Any) -> None:
    if isinstance(request, CandidateRequest):
        look.take_candidate(request.candidate_id, answer)
    else:
        look.take_page(request.number, answer)
