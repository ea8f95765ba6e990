"""The PihuPulse page, through Airflow's own API server with its own users, over a real store."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from pihupulse_provider.api.events import WebhookEvent
from pihupulse_provider.api.rate_limit_headers import RateLimitHeaders
from pihupulse_provider.plugins.pihupulse import PihuPulsePlugin
from pihupulse_provider.store import overview
from pihupulse_provider.store.activity import Activity, ActivityLog, TaskRef, activity_table
from pihupulse_provider.store.cursors import Cursor
from pihupulse_provider.store.engine import Store
from pihupulse_provider.store.inbox import Delivery, Inbox
from pihupulse_provider.store.limits import StoreRateLimit
from tests.webhooks.deliveries import completed

pytestmark = pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="Airflow 3.0 has no pages of plugins")
PAGE = "/pihupulse/overview"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", url)
    return Store(url)


class Visitor:
    """Somebody with a browser."""

    def __init__(self, app: object, role: str | None = None, *, signed_in: bool = True) -> None:
        self._app = app
        self._cookies = {"_token": token(role)} if signed_in else {}

    async def get(self, path: str = "/", **params: object) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=transport, base_url="http://airflow.test", cookies=self._cookies
        ) as client:
            return await client.get(PAGE + path, params=params)  # type: ignore[arg-type]


def token(role: str | None) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="someone", role=role))


@pytest.fixture
def viewer(airflow_app: object, store: Store) -> Visitor:
    return Visitor(airflow_app, "viewer")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["script"]:
            self.words.append(data)


def text(response: httpx.Response) -> str:
    """Return what a person reads of a page."""
    parser = _Text()
    parser.feed(response.text)
    return re.sub(r"\s+", " ", " ".join(parser.words))


def task(dag_id: str = "hiring", task_id: str = "wait", map_index: int = -1) -> TaskRef:
    return TaskRef(dag_id, "manual__1", task_id, map_index, 1)


def wait(ref: TaskRef, log_now: float, **fields: object) -> Activity:
    values = {"started_at": log_now - 60, "next_at": log_now + 90, "total": 1, **fields}
    return Activity(ref, "wait", "pihupulse_default", "screenings", **values)  # type: ignore[arg-type]


def fill(store: Store, *activities: Activity) -> None:
    ActivityLog(store, time.time).put(activities)


def deliver(store: Store, *bodies: bytes) -> None:
    Inbox(store).append([Delivery("pihupulse_default", WebhookEvent.parse(body), body) for body in bodies])


class TestWhoMaySeeIt:
    async def test_nobody_who_is_not_signed_in(self, airflow_app, store):
        fill(store, wait(task("secret_dag"), time.time()))
        answer = await Visitor(airflow_app, signed_in=False).get()
        assert answer.status_code == 401
        assert "You are not signed in" in text(answer)
        assert "secret_dag" not in answer.text

    async def test_nobody_without_the_permission_to_see_plugins(self, airflow_app, store):
        fill(store, wait(task("secret_dag"), time.time()))
        answer = await Visitor(airflow_app, None).get()
        assert answer.status_code == 403
        assert "secret_dag" not in answer.text

    async def test_of_tasks_only_those_whose_dag_one_may_read(self, viewer, store, monkeypatch):
        from airflow.api_fastapi.app import get_auth_manager

        fill(store, wait(task("mine"), time.time()), wait(task("theirs"), time.time()))
        manager = type(get_auth_manager())
        monkeypatch.setattr(manager, "filter_authorized_dag_ids", lambda self, *, dag_ids, **_: dag_ids & {"mine"})
        page = text(await viewer.get())
        assert "mine" in page
        assert "theirs" not in page


class TestWhatItShows:
    async def test_an_empty_store(self, viewer):
        answer = await viewer.get()
        assert answer.status_code == 200
        for sentence in ("No task has talked to PihuPulse yet", "Nothing waits", "No webhook was received yet"):
            assert sentence in text(answer)

    async def test_accounts_by_the_names_of_their_connections_and_how_much_of_the_limit_is_used(self, viewer, store):
        limit = StoreRateLimit(store, "a" * 32)
        limit.known_as("pihupulse_default")
        limit.known_as("pihupulse_other")
        for _ in range(12):
            limit.reserve()
        answer = await viewer.get()
        assert "pihupulse_default, pihupulse_other" in text(answer)
        assert 10 <= int(re.search(r"(\d+) of 150", text(answer))[1]) <= 40, "slots are reserved several at once"
        assert "<meter" in answer.text

    async def test_a_plan_that_pihupulse_has_not_told_is_not_known_yet(self, viewer, store):
        StoreRateLimit(store, "a" * 32).reserve()
        page = text(await viewer.get())
        assert "not known yet" in page
        assert "100 requests a minute, 150 at once until PihuPulse tells" in page
        assert " open " not in page

    async def test_a_plan_that_pihupulse_told(self, viewer, store):
        limit = StoreRateLimit(store, "a" * 32)
        now = limit.now()
        limit.observe(limit.reserve(), RateLimitHeaders(now, now, limit=300))
        page = text(await viewer.get())
        assert "300 requests a minute, 450 at once" in page
        assert " open " in page
        assert "not known yet" not in page

    async def test_imports_and_how_far_they_are(self, viewer, store):
        now = time.time()
        one = Activity(
            task(task_id="load"), "import", "pihupulse_default", "candidates", now - 30, None, 50_000, 1234, 5
        )
        fill(store, one)
        answer = await viewer.get("/transfers")
        assert "import of candidates" in text(answer)
        assert "1,239 of 50,000" in text(answer)
        assert '<progress max="50000" value="1239"' in answer.text

    async def test_the_number_beside_a_full_bar_is_all_of_them_rejected_or_not(self, viewer, store):
        now = time.time()
        rejected = Activity(task(task_id="load"), "import", "pihupulse_default", "candidates", now, None, 1, 0, 1)
        fill(store, rejected, wait(task(), now, total=2, done=1, failed=1))
        assert re.search(r"\b1 of 1\b", text(await viewer.get("/transfers")))
        assert "2 of 2, 1 failed" in text(await viewer.get("/waits"))

    async def test_a_task_that_creates_screenings_imports_none(self, viewer, store):
        fill(store, Activity(task(), "import", "pihupulse_default", "screenings", time.time(), total=1))
        page = text(await viewer.get("/transfers"))
        assert "creating screenings" in page
        assert "import of screenings" not in page

    async def test_an_import_that_was_killed_is_told_from_one_that_runs(self, viewer, store):
        fill(store, Activity(task(), "import", "pihupulse_default", "candidates", time.time(), total=9, done=3))
        with store.begin() as connection:
            connection.execute(sa.update(activity_table).values(updated_at=time.time() - 3600))
        assert "stopped" in text(await viewer.get("/transfers"))

    async def test_what_waits_since_when_and_when_it_looks_next(self, viewer, store):
        fill(store, wait(task(map_index=7), time.time(), subject="scr_1"))
        page = text(await viewer.get("/waits"))
        assert "wait [7]" in page or "wait[7]" in page.replace(" ", "")
        assert "scr_1" in page
        assert re.search(r"1 min ago in (1 min|90 s|89 s)", page)

    async def test_a_wait_of_which_nothing_was_heard_for_long_is_gone(self, viewer, store):
        fill(store, wait(task(), time.time()))
        with store.begin() as connection:
            connection.execute(sa.update(activity_table).values(expires_at=time.time() - 1))
        assert "Nothing waits" in text(await viewer.get("/waits"))

    async def test_consumers_and_how_much_they_have_to_read(self, viewer, store):
        deliver(store, completed("s1"), completed("s2"), completed("s3"))
        Cursor(store, "pihupulse_default", "nightly").commit(
            Cursor(store, "pihupulse_default", "nightly").position(), 1
        )
        assert re.search(r"nightly pihupulse_default 2", text(await viewer.get("/deliveries")))

    @pytest.mark.parametrize("field", ["screening_id", "candidate_id", "template_id", "event"])
    async def test_deliveries_by_any_id(self, viewer, store, field):
        body = completed("s1")
        deliver(store, body, completed("s2"))
        wanted = getattr(WebhookEvent.parse(body), field)
        if not wanted:
            pytest.skip(f"this event has no {field}")
        page = text(await viewer.get("/deliveries", q=wanted))
        assert "s1" in page
        assert "No delivery has that" in text(await viewer.get("/deliveries", q="nothing-has-this"))

    async def test_a_search_goes_back_a_stretch_at_a_time(self, viewer, store, monkeypatch):
        monkeypatch.setattr(overview, "_STRETCH", 3)
        deliver(store, completed("s0", candidate_id="old"), *(completed(f"s{i}") for i in range(1, 8)))
        first = await viewer.get("/deliveries", q="old")
        assert "None of the deliveries that were looked through has that" in text(first)
        (before,) = re.findall(r"before=(\d+)", first.text.split("</main>")[0].partition("Look further back")[0][-200:])
        second = await viewer.get("/deliveries", q="old", before=before)
        (before,) = re.findall(r"before=(\d+)", second.text.partition("Look further back")[0][-200:])
        assert "s0" in text(await viewer.get("/deliveries", q="old", before=before))
        assert "s0" in text(await viewer.get("/deliveries", q="s0")), "a screening has an index"

    async def test_one_task_alone(self, viewer, store):
        fill(store, wait(task("hiring"), time.time()), wait(task("other"), time.time()))
        page = text(await viewer.get(dag_id="hiring", run_id="manual__1", task_id="wait"))
        assert re.search("Only hiring . wait . manual__1", page)
        assert "other" not in page
        assert "It imported and exported nothing in the last 30 days." in page

    async def test_a_task_that_waits_no_longer(self, viewer, store):
        fill(store, wait(task("other"), time.time()))
        assert "It does not wait now." in text(await viewer.get(dag_id="hiring", run_id="manual__1", task_id="wait"))

    async def test_no_personal_data(self, viewer, store):
        deliver(store, completed("s1"))
        answer = await viewer.get()
        assert "s1" in answer.text
        for name, value in WebhookEvent.parse(completed("s1")).data.items():
            if "name" in name or "email" in name:
                assert str(value) not in answer.text

    async def test_ten_thousand_waits_a_page_at_a_time(self, viewer, store):
        now = time.time()
        fill(store, *(wait(task(map_index=i), now) for i in range(10_000)))
        answer = await viewer.get("/waits", page=200)
        assert "Page 200 of 200" in text(answer)
        assert answer.text.count("<tr>") == 51

    @pytest.mark.parametrize("query", [{}, {"q": "s1"}, {"q": "report.generated"}], ids=str)
    async def test_a_hundred_thousand_tasks_are_not_fetched_one_by_one(self, viewer, store, query):
        """SQLite did so by an index that only told the kind, for seconds: all in a row, or the newest, it is quick."""
        plans = []

        def explain(_connection, cursor, statement, parameters, *_rest):
            if statement.startswith("SELECT") and "pihupulse_activity.kind" in statement:
                rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append([row[-1] for row in rows])

        sa.event.listen(sa.engine.Engine, "before_cursor_execute", explain)
        try:
            await viewer.get(**query)
        finally:
            sa.event.remove(sa.engine.Engine, "before_cursor_execute", explain)
        by_kind = [plan for plan in plans if any("(kind=?)" in step for step in plan)]
        assert len(plans) == 4
        assert all("RIGHT PART OF ORDER BY" in str(plan) for plan in by_kind)
        assert len(by_kind) == (0 if query else 2)


async def script_hash(viewer: Visitor) -> str:
    """Return the hash of the page's one script, as a policy names it."""
    (script,) = re.findall(r"<script>(.*?)</script>", (await viewer.get()).text, re.DOTALL)
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


class TestSafety:
    async def test_names_that_are_html_are_text(self, viewer, store):
        fill(store, wait(task(EVIL, EVIL), time.time(), subject=EVIL))
        body = completed("s1").replace(b"screening.completed", EVIL.encode())
        deliver(store, body)
        Cursor(store, EVIL, EVIL).position()
        limit = StoreRateLimit(store, "a" * 32)
        limit.known_as(EVIL)
        limit.reserve()
        answer = await viewer.get(q="")
        parser = _Text()
        parser.feed(answer.text)
        assert parser.tags.count("script") == 1, "the page's own"
        assert text(answer).count(EVIL) >= 4
        for section in ("/waits", "/transfers", "/deliveries"):
            assert EVIL not in (await viewer.get(section, q=EVIL, dag_id=EVIL)).text

    @pytest.mark.parametrize("path", ["/", "/page.css", "/missing"])
    async def test_every_response_forbids_all_scripts_but_the_pages_own_and_foreign_frames(self, viewer, path):
        policy = (await viewer.get(path)).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert re.findall(r"script-src ([^;]*)", policy) == [f"'sha256-{await script_hash(viewer)}'"]
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy

    @pytest.mark.parametrize("page", ["-1", "0", "9" * 30, "x", "²"])
    async def test_numbers_that_are_none_do_no_harm(self, viewer, page):
        for params in ({"page": page}, {"before": page}, {"map_index": page}, {"q": "\0" + "x" * 999}):
            assert (await viewer.get("/deliveries", **params)).status_code == 200
            assert (await viewer.get("/waits", **params)).status_code == 200


class TestTroubles:
    async def test_a_store_that_is_away(self, viewer, monkeypatch):
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", "postgresql://someone:hush@127.0.0.1:9/none")
        answer = await viewer.get()
        assert answer.status_code == 503
        assert "The store is away" in text(answer)
        assert "hush" not in answer.text

    async def test_a_store_that_does_not_answer_is_waited_for_a_few_seconds_only(self, viewer, monkeypatch):
        from pihupulse_provider.plugins.page import app

        release = threading.Event()
        monkeypatch.setattr(app, "_SECONDS", 0.1)
        monkeypatch.setattr(app, "read_overview", lambda *_: release.wait(30))
        try:
            assert "The store is away" in text(await viewer.get())
        finally:
            release.set()

    async def test_a_configuration_that_cannot_work_is_a_sentence(self, viewer, monkeypatch):
        monkeypatch.setenv("AIRFLOW__PIHUPULSE__STORE_URL", "mysql://x")
        answer = await viewer.get()
        assert answer.status_code == 503
        assert "configuration needs a change" in text(answer)
        assert "mysql" in text(answer)


def test_airflow_has_it_in_its_menu_with_an_icon_for_each_theme():
    (view,) = PihuPulsePlugin.external_views
    assert (view["category"], view["url_route"], view["href"]) == ("browse", "pihupulse", f"{PAGE}/?embedded=1")
    assert view["icon"].startswith("data:image/svg+xml,")
    assert view["icon"] != view["icon_dark_mode"]
