"""The main job, live: a real Airflow, a local PihuPulse, a file of candidates, and what came of them."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from pihupulse_provider.sandbox import Sandbox
from tests.demo.console import Progress, table
from tests.integration.airflow import Airflow, AirflowError
from tests.integration.examples import copy_examples, make_warehouse

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".demo"
DAG = "import_and_screen"
STEPS = ("import_candidates", "create_screenings", "wait_for_screenings", "get_report", "shortlist")
RUN_SECONDS = 180


def main() -> int:
    """Run the demo; return 0 if everything came out as it should."""
    options = argparse.ArgumentParser(prog="make demo", description=__doc__)
    options.add_argument("--keep", action="store_true", help="leave Airflow and PihuPulse running until Ctrl-C")
    keep = options.parse_args().keep
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress = Progress()
    try:
        return _demo(progress, keep=keep)
    except AirflowError as error:
        progress.fail(str(error))
        print(f"\nThe logs are in {HOME.relative_to(ROOT)}/airflow.")
        return 1
    except KeyboardInterrupt:
        progress.fail("stopped")
        return 130


def _demo(progress: Progress, *, keep: bool) -> int:
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    copy_examples(HOME / "dags", HOME / "results")
    with Sandbox(plan="starter", start_seconds=1, screening_seconds=6, spread=0.8) as sandbox:
        progress.done(f"PihuPulse (local, Starter plan) at {sandbox.base_url}")
        airflow = Airflow(HOME / "airflow", HOME / "dags", _settings(sandbox))
        sandbox.send_webhooks_to(f"{airflow.url}/pihupulse/webhooks/pihupulse_default")
        try:
            airflow.start(progress.step)
            progress.done(f"Airflow at {airflow.url}")
            run_id = _run(airflow, progress)
            _report(airflow, sandbox, run_id)
            if keep:
                print(f"  Look at the run: {airflow.url}/dags/{DAG}/runs/{run_id}")
                print(f"  Trigger any other example: {airflow.url}/dags?tags=pihupulse")
                print("\nBoth go on running. Ctrl-C ends them.", flush=True)
                with contextlib.suppress(KeyboardInterrupt):
                    threading.Event().wait()
            else:
                print("  make demo KEEP=1 leaves Airflow running, for you to look at the run.")
        finally:
            progress.step("stopping Airflow")
            airflow.stop()
            progress.clear()
        return 0


def _settings(sandbox: Sandbox) -> dict[str, str]:
    return {
        "AIRFLOW_CONN_PIHUPULSE_DEFAULT": sandbox.connection_json,
        "AIRFLOW_CONN_WAREHOUSE": make_warehouse(HOME / "warehouse.db"),
        "AIRFLOW__PIHUPULSE__WEBHOOK_CONNECTIONS": "pihupulse_default",
    }


def _run(airflow: Airflow, progress: Progress) -> str:
    begun = time.monotonic()
    progress.step(f"waiting for DAG {DAG}")
    run_id = airflow.trigger(DAG)
    airflow.wait_until(lambda: _has_ended(airflow, run_id, progress), RUN_SECONDS, f"the run of {DAG} has ended")
    state = airflow.run_state(DAG, run_id)
    if state != "success":
        raise AirflowError(airflow.what_failed(DAG, run_id))
    progress.done(f"DAG {DAG}: {state} in {time.monotonic() - begun:.0f} s")
    return run_id


def _has_ended(airflow: Airflow, run_id: str, progress: Progress) -> bool:
    states = {step: Counter[str]() for step in STEPS}
    for instance in airflow.task_instances(DAG, run_id):
        states[instance["task_id"]][instance["state"] or "waiting"] += 1
    now = next((step for step in STEPS if set(states[step]) != {"success"}), STEPS[-1])
    counts = ", ".join(f"{count} {state}" if len(states[now]) > 1 else state for state, count in states[now].items())
    progress.step(f"{now}: {counts}")
    return airflow.run_state(DAG, run_id) in ("success", "failed")


def _report(airflow: Airflow, sandbox: Sandbox, run_id: str) -> None:
    imported = airflow.xcom(DAG, run_id, "import_candidates")
    print(
        f"\n  {imported['rows']} rows: {imported['created']} candidates created, "
        f"{imported['duplicates']} duplicate left out; {len(sandbox.invitations)} invitations sent.\n"
    )
    ranked = airflow.xcom(DAG, run_id, "shortlist")
    print(table(("candidate", "score", "recommendation"), [tuple(one.values()) for one in ranked]))
    refused = sandbox.count(status=429)
    print(
        f"\n  {sandbox.count()} requests to PihuPulse, {refused} refused; {len(sandbox.deliveries)} webhook deliveries."
    )
    (HOME / "summary.json").write_text(json.dumps({"imported": imported, "ranked": ranked, "refused": refused}))


if __name__ == "__main__":
    sys.exit(main())
