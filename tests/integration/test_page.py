"""The PihuPulse page in Airflow's UI, seen in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="Airflow 3.0 has no pages of plugins"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
_OF_AIRFLOW = "An iframe which has both allow-scripts and allow-same-origin"
"""What a browser says of every page of a plugin."""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
COLOURS = {"light": "rgb(246, 247, 249)", "dark": "rgb(16, 21, 28)"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def theme() -> str:
    return "light"


@pytest.fixture
def tab(browser: Any, theme: str) -> Iterator[Any]:
    """A tab of a browser, for itself, and what its console shows."""
    page = browser.new_page(color_scheme=theme)
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    yield page
    page.close()


def log_in(airflow: Any, tab: Any) -> None:
    """Log in without loading Airflow's own pages, which takes seconds."""
    tab.request.get(f"{airflow.url}/auth/token/login", max_redirects=0)


def test_airflows_menu_leads_to_it_and_its_policy_stops_nothing_of_its_own(airflow, tab):
    tab.goto(f"{airflow.url}/plugin/pihupulse")
    frame = tab.frame_locator("iframe[title=PihuPulse]")
    frame.get_by_role("heading", name="Accounts").wait_for(timeout=30_000)
    frame.get_by_role("link", name="Deliveries").click()
    frame.get_by_role("heading", name="Consumers").wait_for()
    assert [line for line in tab.said if _OF_AIRFLOW not in line] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_its_styles_are_read_and_it_follows_the_theme(airflow, tab, theme):
    log_in(airflow, tab)
    tab.goto(f"{airflow.url}/pihupulse/overview/")
    assert tab.evaluate(BACKGROUND) == COLOURS[theme]


@pytest.mark.parametrize(("theme", "chosen"), [("light", "dark"), ("dark", "light")])
def test_it_follows_the_theme_chosen_in_airflow_and_not_the_browsers(airflow, tab, theme, chosen):
    from playwright.sync_api import expect

    log_in(airflow, tab)
    tab.goto(f"{airflow.url}/plugin/pihupulse")
    body = tab.frame_locator("iframe[title=PihuPulse]").locator("body")
    expect(body).to_have_css("background-color", COLOURS[theme], timeout=30_000)
    tab.get_by_role("button", name="User").click()
    tab.get_by_role("menuitem", name="Appearance").click()
    tab.get_by_role("menuitemradio", name=f"{chosen} mode").click()
    expect(body).to_have_css("background-color", COLOURS[chosen])
    tab.reload()
    expect(body).to_have_css("background-color", COLOURS[chosen], timeout=30_000)


def test_a_search_by_the_keyboard(airflow, tab):
    log_in(airflow, tab)
    tab.goto(f"{airflow.url}/pihupulse/overview/deliveries")
    tab.get_by_label("Look for").fill("<b>nobody</b>")
    tab.keyboard.press("Enter")
    tab.get_by_text("No delivery has that.").wait_for()
    assert tab.get_by_label("Look for").input_value() == "<b>nobody</b>"
