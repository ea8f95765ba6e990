"""``python -m pihupulse_provider.sandbox``: run a local PihuPulse until interrupted."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence

from pihupulse_provider.sandbox.command_line import settings_from
from pihupulse_provider.sandbox.journal import JournalInUseError
from pihupulse_provider.sandbox.server import PortTakenError, listen, run
from pihupulse_provider.sandbox.service import Service
from pihupulse_provider.sandbox.settings import Settings
from pihupulse_provider.sandbox.site import Site


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox; return 2 when it cannot start."""
    settings = settings_from(arguments)
    try:
        listener = listen(settings.host, settings.port)
        service = Service(settings)
    except (PortTakenError, JournalInUseError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or settings.host}: {error.strerror}", file=sys.stderr)
        return 2
    announce(settings, listener)
    try:
        asyncio.run(serve_until_signal(service, listener))
    finally:
        service.close()
    return 0


def announce(settings: Settings, listener: socket.socket) -> None:
    """Say where it is and how to get in."""
    host, port = listener.getsockname()
    print(f"PihuPulse sandbox   http://{host}:{port}/v1   plan {settings.plan}")
    print(f"API key             {settings.api_key}")
    print(f"OpenAPI             http://{host}:{port}/openapi.json")
    print(f"Control API         http://{host}:{port}/_sandbox", flush=True)


async def serve_until_signal(service: Service, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await run(Site(service), listener, stop)


if __name__ == "__main__":
    sys.exit(main())
