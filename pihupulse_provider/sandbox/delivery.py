"""Sends webhooks: several at once, again after a failure."""

from __future__ import annotations

import asyncio
from collections import deque

import httpx

from pihupulse_provider.sandbox.events import Event
from pihupulse_provider.sandbox.service import Service
from pihupulse_provider.sandbox.webhooks import SIGNATURE, Delivery

CONCURRENT = 8
ATTEMPTS = 6
FIRST_PAUSE = 0.25
TICK = 0.02


class WebhookSender:
    """Delivers the events of a service for as long as ``run`` runs.

    A delivery whose response is no 2xx is tried again, six times in all, after 0.25 s and then after
    twice as long each time. Up to eight requests are under way at once, so events may arrive out of order.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._slots = asyncio.Semaphore(CONCURRENT)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client, asyncio.TaskGroup() as tasks:
            while True:
                for delivery in self._due():
                    tasks.create_task(self._deliver(client, delivery))
                await asyncio.sleep(TICK)

    def _due(self) -> list[Delivery]:
        service = self._service
        with service.lock:
            service.account.collect()
            return [delivery for event in _drain(service.account.events) for delivery in service.outbox.post(event)]

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        pause = FIRST_PAUSE
        while delivery.attempts < ATTEMPTS and not delivery.arrived:
            if delivery.attempts:
                await asyncio.sleep(pause)
                pause *= 2
            async with self._slots:
                await self._attempt(client, delivery)

    async def _attempt(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        headers = {"Content-Type": "application/json", SIGNATURE: delivery.signature}
        try:
            response = await client.post(delivery.url, content=delivery.body, headers=headers)
            status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            status = None
        with self._service.lock:
            delivery.attempts += 1
            delivery.status = status


def _drain(events: deque[Event]) -> list[Event]:
    drained = list(events)
    events.clear()
    return drained
