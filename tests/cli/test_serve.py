"""The command that receives webhooks by itself."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.webhooks.running import CONNECTION

_STARTS_WITHIN = 60.0


@contextmanager
def receiving(*arguments: str) -> Iterator[str]:
    """Serve at a free port; yield the address that is printed as soon as it is."""
    command = [sys.executable, "-m", "pihupulse_provider.webhooks", "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield next(line for line in process.stdout if line.startswith("Receiving at")).split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=_STARTS_WITHIN)


@pytest.mark.parametrize(
    ("arguments", "host"),
    [((), "127.0.0.1"), (("--workers", "2"), "127.0.0.1"), (("--host", "::1"), "[::1]"), (("--host", "localhost"), "")],
)
def test_it_says_where_it_receives_once_connections_are_taken(arguments: tuple[str, ...], host: str) -> None:
    with receiving(*arguments) as address:
        assert re.fullmatch(
            rf"http://{re.escape(host or 'localhost')}:[1-9]\d+/pihupulse/webhooks/{CONNECTION}", address
        )
        assert httpx.post(address, content=b"{}", timeout=_STARTS_WITHIN).status_code == 401


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_refused_in_a_sentence(run, capsys, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            SystemExit, match=f"^Error: Port {port} on 127.0.0.1 is taken: choose another one, or 0 for any free one.$"
        ):
            run("serve", "--port", str(port), "--workers", workers)
    assert "Receiving" not in capsys.readouterr().out


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "nowhere.invalid", "a" * 80, "http://127.0.0.1"])
def test_a_host_that_is_not_this_machine_is_refused_in_a_sentence(run, capsys, host: str) -> None:
    with pytest.raises(SystemExit, match=rf"^Error: Nothing can listen at {re.escape(host)}, .* Choose one that is"):
        run("serve", "--port", "0", "--host", host)
    assert "Receiving" not in capsys.readouterr().out
