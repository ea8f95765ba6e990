"""What a person could be recognised by is taken out of messages."""

from __future__ import annotations

import doctest
import string
import time

from hypothesis import given
from hypothesis import strategies as st

from pihupulse_provider.api import privacy
from pihupulse_provider.api.privacy import excerpt, scrub

words = st.text(string.ascii_letters + "éüø", min_size=2, max_size=12)


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(privacy).failed == 0


@given(st.lists(words, min_size=1, max_size=3), st.text(string.printable), st.text(string.printable))
def test_given_value_never_shows(name: list[str], before: str, after: str) -> None:
    value = " ".join(name)

    assert f" {value} ".lower() not in f" {scrub(f'{before} {value} {after}', [value])} ".lower()


@given(st.binary())
def test_excerpt_of_anything_is_one_short_line(body: bytes) -> None:
    shown = excerpt(body)

    assert len(shown) <= 200
    assert "\n" not in shown


def test_word_within_another_stays() -> None:
    assert scrub("an annual plan", ["An"]) == "[redacted] annual plan"


def test_long_text_takes_no_time() -> None:
    started = time.perf_counter()

    scrub("a" * 10_000_000 + "@" + "1" * 10_000_000, ["Jane Smith"])

    assert time.perf_counter() - started < 1
