"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.forking import Forks
from tests.reliability.receivers import ReceiverProcess, receiver


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Processes that import."""
    forks = Forks("tests.reliability.importing")
    yield forks
    forks.stop()


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    """A receiver that each test attacks, or whose secrets it changes, and that works all the same for the next one."""
    home = tmp_path_factory.mktemp("receiver")
    with receiver(home, f"sqlite:///{home / 'store.db'}") as process:
        yield process
