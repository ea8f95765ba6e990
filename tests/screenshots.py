"""The pictures of the documentation, taken of a real Airflow in a real browser: ``make screenshots``.

It asks for Chromium. Look at each picture before it is kept.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from pihupulse_provider.sandbox import Sandbox
from tests.integration.airflow import Airflow
from tests.integration.examples import copy_examples, make_warehouse

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DAG = "import_and_screen"
TEMPLATE = "t54322"
"""Another than the default, by which nobody was screened yet."""
HEIGHT, TALL = 800, 1120
QUALITY = 0.82
TO_WEBP = """async ([png, quality]) => {
    const image = new Image();
    image.src = "data:image/png;base64," + png;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d").drawImage(image, 0, 0);
    const blob = await canvas.convertToBlob({type: "image/webp", quality: quality});
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
}"""


def main() -> int:
    """Take all pictures, or those named."""
    options = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    options.add_argument("names", nargs="*", help="of pictures, such as form or page-1920; all by default")
    options.add_argument("--into", type=Path, default=IMAGES, help="a folder; default: docs/images")
    chosen = options.parse_args()
    with TemporaryDirectory(prefix="pihupulse-screenshots-") as home, _airflow(Path(home)) as (airflow, run_id):
        shots = _shots(run_id)
        for name in chosen.names or shots:
            width, height, show = shots[name]
            for theme in ("light", "dark"):
                _take(airflow, chosen.into / f"{name}-{theme}.webp", (width, height), theme, show)
    return 0


def _shots(run_id: str) -> dict[str, tuple[int, int, Callable[[Page], None]]]:
    """Return the pictures: by name the size of the window, and what leads to what is shown."""
    run = f"/dags/{DAG}/runs/{run_id}"
    return {
        "form": (1280, TALL, _open_form),
        "run": (1280, HEIGHT, partial(_open, path=run, wanted="create_screenings")),
        "log": (1280, HEIGHT, partial(_open, path=f"{run}/tasks/wait_for_screenings", wanted="Waiting for")),
        "page-1280": (1280, TALL, _open_page),
        "page-1920": (1920, TALL, _open_page),
    }


@contextmanager
def _airflow(home: Path) -> Iterator[tuple[Airflow, str]]:
    """Run an Airflow in which one import has ended, and another DAG waits for its screenings."""
    copy_examples(home / "dags", home / "output")
    with Sandbox(plan="starter", start_seconds=1e9, screening_seconds=1e9) as sandbox:
        env = {
            "AIRFLOW_CONN_PIHUPULSE_DEFAULT": sandbox.connection_json,
            "AIRFLOW_CONN_WAREHOUSE": make_warehouse(home / "warehouse.db"),
            "AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS": "pihupulse_default",
        }
        with Airflow(home / "airflow", home / "dags", env) as airflow:
            sandbox.send_webhooks_to(f"{airflow.url}/pihupulse/webhooks/pihupulse_default")
            run_id = airflow.trigger(DAG)
            _await_deferred(airflow, DAG, run_id)
            for number, row in enumerate(sandbox.screenings):
                sandbox.complete(row["id"], 58 + 7 * number % 40)
            airflow.wait_for_success(DAG, run_id, 180)
            _leave_at_work(airflow, sandbox)
            yield airflow, run_id


def _leave_at_work(airflow: Airflow, sandbox: Sandbox) -> None:
    """Leave screenings that are waited for, of which some are completed, and an import that is under way."""
    ended = len(sandbox.screenings)
    for dag_id, conf in {"funnel": {"template_id": TEMPLATE}, "screen_one_candidate": {}}.items():
        _await_deferred(airflow, dag_id, airflow.trigger(dag_id, conf))
    for row in sandbox.screenings[ended : ended + 4]:
        sandbox.complete(row["id"], 81)
    airflow.wait_for_success("on_completed_screenings", airflow.trigger("on_completed_screenings"))
    source = airflow.home / "applicants.csv"
    people = "".join(f"Applicant {number},applicant.{number}@example.com\n" for number in range(500))
    source.write_text(f"name,email\n{people}", "utf-8")
    airflow.trigger("import_from_storage", {"source": source.as_uri()})
    airflow.wait_until(lambda: len(sandbox.candidates) > 150, 120, "the import is under way")


def _await_deferred(airflow: Airflow, dag_id: str, run_id: str) -> None:
    airflow.wait_until(
        lambda: "deferred" in {task["state"] for task in airflow.task_instances(dag_id, run_id)}, 120, "a task waits"
    )
    # A trigger that fires at once overtakes the executor's note that the task has deferred.
    time.sleep(3)


def _take(airflow: Airflow, path: Path, size: tuple[int, int], theme: str, show: Callable[[Page], None]) -> None:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        viewport: Any = {"width": size[0], "height": size[1]}
        page = browser.new_page(
            base_url=airflow.url,
            color_scheme=theme,
            viewport=viewport,
            reduced_motion="reduce",  # type: ignore[arg-type]
        )
        try:
            show(page)
        finally:
            page.wait_for_timeout(1500)  # milliseconds: fonts and rows that come late
            path.write_bytes(_webp(browser, page.screenshot()))
            browser.close()
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def _webp(browser: Browser, png: bytes) -> bytes:
    blank = browser.new_page()
    return base64.b64decode(blank.evaluate(TO_WEBP, [base64.b64encode(png).decode(), QUALITY]))


def _open(page: Page, path: str, wanted: str) -> None:
    page.goto(path)
    expect(page.get_by_text(wanted).first).to_be_visible(timeout=30_000)


def _open_page(page: Page) -> None:
    page.goto("/plugin/pihupulse")
    frame = page.frame_locator("iframe[title=PihuPulse]")
    expect(frame.get_by_role("heading", name="Accounts")).to_be_visible(timeout=30_000)


def _open_form(page: Page) -> None:
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_role("textbox").first.fill("pihupulse_default")
    form.get_by_role("combobox").first.fill("PihuPulse")
    page.keyboard.press("Enter")
    form.get_by_text("Extra Fields").first.click()
    expect(form.get_by_text("Webhook secret").first).to_be_visible(timeout=30_000)


if __name__ == "__main__":
    sys.exit(main())
