"""Sends signed deliveries as fast as they are answered: ``python -m … URL SECRET SENDERS SECONDS``."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from urllib.parse import urlsplit

from pihupulse_provider.webhooks import SIGNATURE_HEADER, sign


async def main(url: str, secret: str, senders: int, seconds: float) -> None:
    """Send, and print how many were answered with which status and after how long."""
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*(_send(url, secret, number, until, latencies, statuses) for number in range(senders)))
    took = time.perf_counter() - began
    latencies.sort()
    print(
        json.dumps(
            {
                "rate": len(latencies) / took,
                "p50": 1000 * latencies[len(latencies) // 2],
                "p99": 1000 * latencies[int(len(latencies) * 0.99)],
                "statuses": statuses,
            }
        )
    )


async def _send(
    url: str, secret: str, number: int, until: float, latencies: list[float], statuses: dict[str, int]
) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    run = f"{os.getpid()}-{number}-{time.time_ns()}"
    sent = 0
    while time.perf_counter() < until:
        sent += 1
        request = _request(parts.path, parts.netloc, secret, f"s{run}-{sent}")
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_length(head))
        latencies.append(time.perf_counter() - began)
        status = head[9:12].decode()
        statuses[status] = statuses.get(status, 0) + 1
    writer.close()


def _request(path: str, host: str, secret: str, screening_id: str) -> bytes:
    data = {"screening_id": screening_id, "candidate_id": "c12345", "template_id": "t54321", "score": 85}
    event = {"event": "screening.completed", "created_at": "2023-01-20T15:45:00Z", "data": data}
    body = json.dumps(event).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{SIGNATURE_HEADER}: {sign(body, secret)}\r\n\r\n"
    )
    return head.encode() + body


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
