"""Bodies are read whole however they come, and never for longer than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from pihupulse_provider.webhooks.http import DisconnectedError, TooLargeError, TooSlowError, read_body


class Sender:
    """An ASGI server's ``receive``, which gives pieces of a body, and waits before those whose number is named."""

    def __init__(self, *pieces: bytes | None, waits_before: tuple[int, ...] = (), endless: bool = False) -> None:
        self.pieces = list(pieces)
        self.waits_before = waits_before
        self.endless = endless
        self.given = 0
        self.was_cancelled = False

    async def receive(self) -> MutableMapping[str, Any]:
        try:
            if self.given in self.waits_before:
                await asyncio.sleep(3600 if self.endless else 0)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        self.given += 1
        piece = self.pieces.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}

    async def send(self, seconds: float = 10.0) -> bytes:
        return await read_body({"headers": []}, self.receive, largest=10, seconds=seconds)


@pytest.mark.parametrize("waits_before", [(), (0,), (1,), (0, 1, 2)])
async def test_a_body_in_pieces_is_read_whole_whichever_of_them_come_later(waits_before: tuple[int, ...]):
    assert await Sender(b"abc", b"", b"defg", waits_before=waits_before).send() == b"abcdefg"
    assert await Sender(b"abc", waits_before=waits_before).send() == b"abc"


@pytest.mark.parametrize("waits_before", [0, 1])
async def test_the_server_hears_that_a_slow_body_is_waited_for_no_longer(waits_before: int):
    sender = Sender(b"a", b"b", waits_before=(waits_before,), endless=True)
    with pytest.raises(TooSlowError):
        await sender.send(seconds=0.01)
    assert sender.was_cancelled


@pytest.mark.parametrize("waits_before", [(), (0,), (1,)])
async def test_a_sender_that_goes_away_or_sends_too_much_is_known_by_its_error(waits_before: tuple[int, ...]):
    with pytest.raises(DisconnectedError):
        await Sender(None, waits_before=waits_before).send()
    with pytest.raises(DisconnectedError):
        await Sender(b"a", None, waits_before=waits_before).send()
    with pytest.raises(TooLargeError):
        await Sender(b"12345678901", waits_before=waits_before).send()
    with pytest.raises(TooLargeError):
        await Sender(b"123456", b"78901", waits_before=waits_before).send()
    assert await Sender(b"12345", b"67890", waits_before=waits_before).send() == b"1234567890"
