"""Reading events: everything since the last run, once, and the same again when a run is cleared."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime

import pytest

from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.exporting.atomic_file import StorageError
from pihupulse_provider.operators.events import PihuPulseReadEventsOperator
from pihupulse_provider.store.cursors import CursorMovedError
from pihupulse_provider.triggers.event import PihuPulseEventTrigger
from tests.webhooks.inboxes import cursor_of, receive


@pytest.mark.parametrize("reader", [PihuPulseReadEventsOperator, PihuPulseEventTrigger])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"source": "poll"}, "source is 'poll': choose one of webhooks, polling"),
        ({"start": "now"}, "start is 'now': choose one of earliest, latest"),
        ({"source": ["polling"]}, "choose one of webhooks, polling"),
        ({"events": ["screening.complet"]}, r"'screening\.complet', and the events that PihuPulse documents are"),
        ({"consumer": "land" * 80}, r"consumer is .* a name of 1 to 255 printable characters"),
        ({"events": None}, "events is or holds None, as from a task that returned nothing that is no name of an event"),
        ({"events": [None]}, "events is or holds None"),
        ({"events": 5}, "events is or holds a int"),
        ({"events": "", "allow_unknown_event": True}, "events is or holds a str that is no name of an event"),
        ({"events": "screening.complet"}, "If it is a new one, set allow_unknown_event=True"),
    ],
)
def test_what_does_not_exist_is_refused_when_the_dag_is_parsed(reader, arguments, said):
    options = {"task_id": "read"} if reader is PihuPulseReadEventsOperator else {}
    with pytest.raises(ConfigurationError, match=said):
        reader(**{"consumer": "c", **options, **arguments})


def test_a_name_from_a_template_is_refused_when_the_task_runs(dag_runs, dag_of, consumer):
    run = dag_runs.run(dag_of(consumer=consumer, events="{{ 'screening.complet' }}"))
    assert run.state == "failed"
    assert len(run.errors["read", -1]) == 1


@pytest.mark.parametrize("name", [None, 5, {"name": "Ana"}, [["Ana"]]])
def test_what_a_template_gives_for_names_of_events_and_is_none_is_a_sentence(dag_runs, dag_of, consumer, name):
    class Given(PihuPulseReadEventsOperator):
        def execute(self, context):
            self.events = name
            return super().execute(context)

    templated = dag_runs.run(dag_of(consumer=consumer, events="{{ ti.xcom_pull('skipped') }}"))
    for run in (templated, dag_runs.run(dag_of(Given, consumer=consumer))):
        [error] = run.errors["read", -1]
        assert isinstance(error, ConfigurationError)
        assert "no name of an event: give names such as screening.completed" in str(error)
        assert "Ana" not in str(error)


def test_a_new_event_can_be_read_all_the_same(dag_runs, dag_of, consumer):
    receive(f"s-{consumer}", "screening.expired")
    run = dag_runs.run(dag_of(consumer=consumer, events=["screening.expired"], allow_unknown_event=True))
    assert f"s-{consumer}" in screenings(run)


@pytest.fixture
def dag_of(dag_runs, pihupulse_sandbox):
    def make(operator=PihuPulseReadEventsOperator, retries=1, **options):
        with dag_runs.dag(retries=retries) as dag:
            operator(task_id="read", **options)
        return dag

    return make


def screenings(run):
    return [event["screening_id"] for event in run.xcom("read")]


def test_each_run_reads_what_came_since_the_last(dag_runs, dag_of, consumer):
    dag = dag_of(consumer=consumer)
    receive("s1")
    receive("s2", "report.generated")
    assert screenings(dag_runs.run(dag)) == ["s1", "s2"]
    assert screenings(dag_runs.run(dag)) == []
    receive(f"s3-{consumer}")
    assert screenings(dag_runs.run(dag)) == [f"s3-{consumer}"]


def test_a_run_that_is_cleared_reads_what_it_read_before(dag_runs, dag_of, consumer):
    dag, at = dag_of(consumer=consumer), datetime.now(UTC)
    receive(f"s1-{consumer}")
    first = screenings(dag_runs.run(dag, at=at))
    receive(f"s2-{consumer}")
    dag_runs.run(dag)
    assert screenings(dag_runs.run(dag, at=at)) == first == [f"s1-{consumer}"]


def test_a_task_that_dies_after_reading_loses_nothing(dag_runs, dag_of, consumer):
    class DiesOnce(PihuPulseReadEventsOperator):
        def execute(self, context):
            events = super().execute(context)
            if context["ti"].try_number == 1:
                raise RuntimeError("the worker was lost")
            return events

    receive(f"s1-{consumer}")
    assert screenings(dag_runs.run(dag_of(DiesOnce, consumer=consumer))) == [f"s1-{consumer}"]


def test_two_runs_at_once_do_not_both_get_an_event(dag_runs, dag_of, consumer):
    class Overtaken(PihuPulseReadEventsOperator):
        def _output(self, entries, commit):
            if entries:
                cursor_of(consumer).seek(entries[-1].position)
            return super()._output(entries, commit)

    receive(f"s1-{consumer}")
    run = dag_runs.run(dag_of(Overtaken, consumer=consumer))
    assert [type(error) for error in run.errors["read", -1]] == [CursorMovedError]
    assert screenings(run) == []


def test_a_try_that_was_overtaken_leaves_the_file_of_the_later_one(dag_runs, dag_of, consumer, tmp_path):
    """A worker that was frozen wakes up when the retry, which read more, has written the same file."""
    path = tmp_path / "events.jsonl"

    class Frozen(PihuPulseReadEventsOperator):
        def _output(self, entries, commit):
            if not path.exists():
                receive(f"s2-{consumer}")
                assert dag_runs.run(dag_of(consumer=consumer, results_path=str(path))).xcom("read")["events"] == 2
            return super()._output(entries, commit)

    receive(f"s1-{consumer}")
    run = dag_runs.run(dag_of(Frozen, consumer=consumer, results_path=str(path), retries=0))
    assert [type(error) for error in run.errors["read", -1]] == [CursorMovedError]
    assert [json.loads(line)["screening_id"] for line in path.read_text().splitlines()] == [
        f"s1-{consumer}",
        f"s2-{consumer}",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_a_cursor_set_back_reads_again(dag_runs, dag_of, consumer):
    dag = dag_of(consumer=consumer)
    receive(f"s1-{consumer}")
    read = dag_runs.run(dag).xcom("read")
    cursor_of(consumer).seek(read[0]["position"] - 1)
    assert dag_runs.run(dag).xcom("read") == read


def test_only_the_events_asked_for(dag_runs, dag_of, consumer):
    receive(f"s1-{consumer}", "screening.started")
    receive(f"s2-{consumer}", "report.generated")
    dag = dag_of(consumer=consumer, events=["report.generated", "screening.completed"])
    assert screenings(dag_runs.run(dag)) == [f"s2-{consumer}"]


def test_a_limit_leaves_the_rest_to_the_next_run(dag_runs, dag_of, consumer):
    for number in range(3):
        receive(f"s{number}-{consumer}")
    dag = dag_of(consumer=consumer, limit="{{ 2 }}")
    assert screenings(dag_runs.run(dag)) == [f"s0-{consumer}", f"s1-{consumer}"]
    assert screenings(dag_runs.run(dag)) == [f"s2-{consumer}"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(dag_runs, dag_of, consumer, limit):
    run = dag_runs.run(dag_of(consumer=consumer, limit=limit))
    [error] = run.errors["read", -1]
    assert isinstance(error, ConfigurationError)


def test_a_run_that_finds_nothing_says_what_may_keep_webhooks_away(dag_runs, dag_of, consumer, capfd):
    dag_runs.run(dag_of(consumer=consumer))
    assert "webhook_connections does not name pihupulse_default here" in "".join(capfd.readouterr())


def test_a_connection_that_there_is_not_is_an_error(dag_runs, dag_of, consumer):
    run = dag_runs.run(dag_of(consumer=consumer, pihupulse_conn_id="nope", retries=0))
    assert "nope" in str(run.errors["read", -1][0])


def test_a_new_consumer_begins_where_it_is_told(dag_runs, dag_of, consumer):
    receive(f"s1-{consumer}")
    assert f"s1-{consumer}" in screenings(dag_runs.run(dag_of(consumer=f"early-{consumer}")))
    dag = dag_of(consumer=f"late-{consumer}", start="latest")
    assert screenings(dag_runs.run(dag)) == []
    receive(f"s2-{consumer}")
    assert screenings(dag_runs.run(dag)) == [f"s2-{consumer}"]


def test_nothing_personal_goes_into_the_xcom_unless_asked_for(dag_runs, dag_of, consumer):
    receive(f"s1-{consumer}", "candidate.created", name="Jane Doe")
    asked = dag_of(consumer=f"{consumer}-asked", events=["candidate.created"], include_personal=True)
    quiet = dag_runs.run(dag_of(consumer=consumer)).xcom("read")
    assert "Jane" not in json.dumps(quiet)
    assert dag_runs.run(asked).xcom("read")[-1]["data"]["name"] == "Jane Doe"


def test_many_go_to_a_file(dag_runs, dag_of, consumer, tmp_path):
    for number in range(3):
        receive(f"s{number}-{consumer}")
    path = f"file://{tmp_path}/events/{{{{ ti.task_id }}}}.jsonl"
    output = dag_runs.run(dag_of(consumer=consumer, results_path=path)).xcom("read")
    assert output == {"results_path": f"file://{tmp_path}/events/read.jsonl", "events": 3}
    assert [(one.name, stat.S_IMODE(one.stat().st_mode)) for one in (tmp_path / "events").iterdir()] == [
        ("read.jsonl", 0o600)
    ]
    lines = (tmp_path / "events" / "read.jsonl").read_text().splitlines()
    assert [json.loads(line)["screening_id"] for line in lines] == [f"s{number}-{consumer}" for number in range(3)]


def test_a_file_that_can_not_be_written_leaves_the_events_to_the_next_run(dag_runs, dag_of, consumer, tmp_path):
    receive(f"s1-{consumer}")
    (tmp_path / "folder").mkdir()
    failed = dag_runs.run(dag_of(consumer=consumer, results_path=str(tmp_path / "folder")))
    assert {type(error) for error in failed.errors["read", -1]} == {StorageError}
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]
    assert dag_runs.run(dag_of(consumer=consumer, results_path=str(tmp_path / "1.jsonl"))).xcom("read")["events"] == 1


def test_events_are_derived_where_no_webhook_comes_in(dag_runs, dag_of, consumer, pihupulse_sandbox, caplog):
    (screening,) = pihupulse_sandbox.insert_screenings(pihupulse_sandbox.insert_candidates(1))
    pihupulse_sandbox.put(screening, "pending")
    dag = dag_of(consumer=consumer, source="polling", events=["screening.completed"])
    assert screenings(dag_runs.run(dag)) == []
    assert "The list of screenings was polled for the first time for pihupulse_default" in caplog.text
    pihupulse_sandbox.complete(screening, 91)
    output = dag_runs.run(dag).xcom("read")
    assert [(event["screening_id"], event["score"]) for event in output] == [(screening, 91)]
    assert screenings(dag_runs.run(dag)) == []
