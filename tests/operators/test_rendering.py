"""What is rendered in the fields of operators and sensors, and what Airflow stores of it."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil

import pytest
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow.sdk import task
from airflow.sdk import task as task_of_airflow

import pihupulse_provider
from pihupulse_provider.api import ConfigurationError
from pihupulse_provider.operators.candidates import (
    PihuPulseCreateCandidateOperator,
    PihuPulseGetCandidateOperator,
    PihuPulseImportCandidatesOperator,
)
from pihupulse_provider.operators.rendering import RenderedFields
from pihupulse_provider.operators.screenings import (
    PihuPulseCreateScreeningOperator,
    PihuPulseCreateScreeningsOperator,
)
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor
from pihupulse_provider.transfers.pihupulse_to_sql import PihuPulseToSqlOperator
from pihupulse_provider.transfers.pihupulse_to_storage import PihuPulseToStorageOperator
from pihupulse_provider.transfers.sql_to_pihupulse import SqlToPihuPulseOperator

HOSTILE = [
    {"name": "{{ conn.pihupulse_default.password }}", "email": "one@example.com"},
    {"name": "Jane {% Smith", "email": "two@example.com"},
    {"name": "{# hidden #}Bob", "email": "{{ 1 }}@example.com"},
]


def of_ours():
    """Yield every operator, sensor and transfer of the package."""
    for room in ("operators", "sensors", "transfers"):
        package = importlib.import_module(f"{pihupulse_provider.__name__}.{room}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if issubclass(found, BaseOperator) and found.__module__ == module.name:
                    yield found


@pytest.mark.parametrize("operator", list(of_ours()), ids=lambda operator: operator.__name__)
def test_each_renders_its_fields_in_the_one_way(operator):
    assert issubclass(operator, RenderedFields)
    render = "_do_render_template_fields"
    assert getattr(operator, render) is getattr(RenderedFields, render)
    assert set(operator.native_fields) <= set(operator.template_fields)
    assert set(operator.private_fields) <= set(operator.template_fields)


class TestWhatAnotherTaskGave:
    """It is never run as a template, whatever a candidate wrote."""

    @pytest.fixture
    def fetch(self):
        @task
        def fetch():
            return [dict(one) for one in HOSTILE[:2]]

        return fetch

    def names(self, sandbox):
        return sorted(one["name"] for one in sandbox.candidates)

    @pytest.mark.parametrize("strict", [True, False])
    def test_by_expand_kwargs(self, dag_runs, pihupulse_sandbox, fetch, strict):
        with dag_runs.dag() as dag:
            create = PihuPulseCreateCandidateOperator.partial(task_id="create")
            create.expand_kwargs(fetch(), strict=strict)
        assert dag_runs.run(dag).states("create") == ["success", "success"]
        assert self.names(pihupulse_sandbox) == sorted(one["name"] for one in HOSTILE[:2])

    @pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="Airflow 3.0 takes no email in partial()")
    def test_by_expand(self, dag_runs, pihupulse_sandbox, fetch):
        @task
        def names(people):
            return [one["name"] for one in people]

        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator.partial(task_id="create", email="{{ ti.map_index }}@example.com").expand(
                name=names(fetch())
            )
        assert dag_runs.run(dag).states("create") == ["success", "success"]
        assert self.names(pihupulse_sandbox) == sorted(one["name"] for one in HOSTILE[:2])
        assert {one["email"] for one in pihupulse_sandbox.candidates} == {"0@example.com", "1@example.com"}

    def test_by_a_plain_argument(self, dag_runs, pihupulse_sandbox, fetch):
        with dag_runs.dag() as dag:
            PihuPulseImportCandidatesOperator(task_id="import", source=fetch())
        assert dag_runs.run(dag).state == "success"
        assert self.names(pihupulse_sandbox) == sorted(one["name"] for one in HOSTILE[:2])

    def test_by_a_list_for_each_mapped_import(self, dag_runs, pihupulse_sandbox):
        @task
        def fetch(page):
            return [HOSTILE[page]]

        with dag_runs.dag() as dag:
            PihuPulseImportCandidatesOperator.partial(task_id="import").expand(source=fetch.expand(page=[0, 1]))
        assert dag_runs.run(dag).states("import") == ["success", "success"]
        assert self.names(pihupulse_sandbox) == sorted(one["name"] for one in HOSTILE[:2])

    def test_a_data_frame_is_refused_in_a_sentence(self, dag_runs, pihupulse_sandbox):
        class DataFrame:
            """As those of pandas."""

            columns = ("name", "email")

            def __iter__(self):
                return iter(self.columns)

            def __eq__(self, _other):
                return self

            def __bool__(self):
                raise ValueError("The truth value of a DataFrame is ambiguous.")

            __hash__ = None

        with dag_runs.dag(retries=0) as dag:
            PihuPulseImportCandidatesOperator(task_id="import", source=DataFrame())
        run = dag_runs.run(dag)
        [error] = run.errors["import", -1]
        assert str(error).startswith("The source is a DataFrame: give a path, or a list of objects")
        assert run.rendered("import")["source"] == "[personal data]"

    def test_it_stays_so_when_the_fields_are_rendered_again(self, dag_runs, pihupulse_sandbox):
        """As a callback or a subclass can do."""
        rendered = []

        class Again(PihuPulseGetCandidateOperator):
            def execute(self, context):
                self.render_template_fields(context)
                rendered.append(self.candidate_id)

        @task
        def fetch():
            return "{{ 7 * 191 }}"

        with dag_runs.dag() as dag:
            Again(task_id="get", candidate_id=fetch())
        dag_runs.run(dag)
        assert rendered == ["{{ 7 * 191 }}"]

    def test_ids_for_a_sensor(self, dag_runs, pihupulse_sandbox):
        @task
        def fetch():
            return [{"screening_ids": ["{{ 1 / 0 }}"]}]

        with dag_runs.dag() as dag:
            PihuPulseScreeningSensor.partial(task_id="wait", timeout=1, poke_interval=0.1, retries=0).expand_kwargs(
                fetch()
            )
        assert "ZeroDivisionError" not in repr(dag_runs.run(dag).errors["wait", 0])


class TestWhatTheAuthorWrote:
    def test_a_list_for_expand_kwargs_is_rendered(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator.partial(task_id="create").expand_kwargs(
                [{"name": "{{ params.name }}", "email": "a@example.com"}]
            )
        dag_runs.run(dag, {"name": "Ada"})
        assert [one["name"] for one in pihupulse_sandbox.candidates] == ["Ada"]

    def test_what_is_in_partial_is_rendered_beside_what_a_task_gave(self, dag_runs, pihupulse_sandbox):
        @task
        def fetch():
            return [{"email": "a@example.com"}]

        with dag_runs.dag() as dag:
            create = PihuPulseCreateCandidateOperator.partial(task_id="create", name="{{ params.name }}")
            create.expand_kwargs(fetch())
        dag_runs.run(dag, {"name": "Ada"})
        assert [one["name"] for one in pihupulse_sandbox.candidates] == ["Ada"]

    def test_a_template_that_found_nothing_gives_none(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(
                task_id="create", name="Ada", email="a@example.com", phone="{{ params.get('phone') }}"
            )
        assert dag_runs.run(dag).state == "success"
        assert pihupulse_sandbox.candidates[0].get("phone") is None

    def test_statuses_of_failures_must_not_come_to_nothing(self, dag_runs, pihupulse_sandbox):
        options = {"template_id": "t54321", "failed_statuses": "{{ params.get('statuses') }}", "retries": 0}
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(task_id="one", candidate_id="c12345", **options)
            PihuPulseCreateScreeningsOperator(task_id="many", candidate_ids=["c12345"], **options)
        run = dag_runs.run(dag)
        for name in ("one", "many"):
            assert str(run.errors[name, -1][0]).startswith("failed_statuses came to nothing")
        assert pihupulse_sandbox.requests == []

    def test_what_a_task_can_not_do_without_must_not_come_to_nothing(self, dag_runs, pihupulse_sandbox):
        nothing = "{{ params.get('nothing') }}"
        screen = {"candidate_ids": ["c12345"], "template_id": "t54321"}
        rows = {"resource": "screenings", "conn_id": "warehouse", "table": "screenings"}
        with dag_runs.dag(retries=0) as dag:
            for field in ("candidate_ids", "template_id"):
                PihuPulseCreateScreeningsOperator(task_id=f"screen.{field}", **screen | {field: nothing})
            for field in ("conn_id", "table"):
                PihuPulseToSqlOperator(task_id=f"land.{field}", **rows | {field: nothing})
            for field in ("conn_id", "sql"):
                options = {"conn_id": "warehouse", "sql": "SELECT 1", field: nothing}
                SqlToPihuPulseOperator(task_id=f"import.{field}", **options)
            PihuPulseToStorageOperator(task_id="export.path", resource="screenings", path=nothing, format="csv")
        errors = dag_runs.run(dag).errors
        assert len(errors) == 7
        for (name, _), (error,) in errors.items():
            assert str(error).startswith(f"{name.partition('.')[2]} came to nothing")
        assert pihupulse_sandbox.requests == []

    def test_an_id_that_came_to_nothing_is_said_to_be_so(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag(retries=0) as dag:
            PihuPulseGetCandidateOperator(task_id="get", candidate_id="{{ params.get('nothing') }}")
        [error] = dag_runs.run(dag).errors["get", -1]
        assert str(error).startswith("candidate_id is None, as from a task that returned nothing: ")

    def test_the_text_none_that_is_no_template_is_a_text(self, dag_runs, pihupulse_sandbox):
        with dag_runs.dag() as dag:
            PihuPulseCreateCandidateOperator(task_id="create", name="None", email="a@example.com")
        dag_runs.run(dag)
        assert [one["name"] for one in pihupulse_sandbox.candidates] == ["None"]


class TestNativeRendering:
    """With ``render_template_as_native_obj`` texts stay texts, and lists are lists."""

    @pytest.fixture
    def dag(self, dag_runs):
        dag = dag_runs.dag()
        dag.render_template_as_native_obj = True
        return dag

    def test_a_phone_number_keeps_its_plus(self, dag_runs, pihupulse_sandbox, dag):
        with dag:
            PihuPulseCreateCandidateOperator(
                task_id="create", name="{{ params.name }}", email="a@example.com", phone="{{ params.phone }}"
            )
        dag_runs.run(dag, {"name": "007", "phone": "+351912345678"})
        [made] = pihupulse_sandbox.candidates
        assert (made["name"], made["phone"]) == ("007", "+351912345678")

    def test_ids_are_texts(self, dag_runs, pihupulse_sandbox, dag):
        with dag:
            PihuPulseGetCandidateOperator(task_id="get", candidate_id="{{ 12345 }}", retries=0)
        assert dag_runs.run(dag).rendered("get")["candidate_id"] == "12345"

    def test_a_list_is_a_list(self, dag_runs, pihupulse_sandbox, dag):
        ids = pihupulse_sandbox.insert_candidates(2)
        with dag:
            PihuPulseCreateScreeningsOperator(
                task_id="screen", candidate_ids="{{ params.ids }}", template_id="{{ 't54321' }}"
            )
        assert dag_runs.run(dag, {"ids": ids}).xcom("screen")["created"] == 2


def test_an_id_that_is_a_number_is_made_text(dag_runs, pihupulse_sandbox):
    @task
    def fetch():
        return 12345

    with dag_runs.dag() as dag:
        PihuPulseGetCandidateOperator(task_id="get", candidate_id=fetch(), retries=0)
    assert dag_runs.run(dag).rendered("get")["candidate_id"] == "12345"


def said_of(task_id, caplog):
    """Return what the log says from where a task begins; before it, ``dag.test()`` of Airflow 3.0 shows XComs."""
    messages = [record.getMessage() for record in caplog.records]
    begin = next(number for number, message in enumerate(messages) if f"task_id={task_id}" in message)
    return "\n".join(messages[begin:])


class TestTextWhereAListWasMeant:
    """It is refused in a sentence, and nothing of it is shown or sent."""

    def made(self, operator):
        return {
            "source": lambda: PihuPulseImportCandidatesOperator(task_id="t", source=operator, retries=0),
            "candidate_ids": lambda: PihuPulseCreateScreeningsOperator(
                task_id="t", candidate_ids=operator, template_id="t54321", retries=0
            ),
            "screening_ids": lambda: PihuPulseScreeningSensor(task_id="t", screening_ids=operator, retries=0),
        }

    @pytest.mark.parametrize("before", ["", "/data/"])
    @pytest.mark.parametrize("field", ["source", "candidate_ids", "screening_ids"])
    def test_of_a_template(self, dag_runs, pihupulse_sandbox, field, before, caplog):
        @task
        def fetch():
            return [{"name": "Grace Hopper", "email": "grace@example.com", "id": "c1"}]

        with dag_runs.dag() as dag:
            fetched = fetch()
            fetched >> self.made(f"{before}{{{{ ti.xcom_pull(task_ids='fetch') }}}}")[field]()
        run = dag_runs.run(dag)
        [error] = run.errors["t", -1]
        assert isinstance(error, ConfigurationError)
        assert f"{field} is the text of a list or an object" in str(error)
        assert f"{field}=other_task.output" in str(error)
        assert pihupulse_sandbox.requests == []
        shown = f"{error}{run.rendered('t')}{said_of('t', caplog)}"
        assert "Grace" not in shown
        assert "grace@" not in shown

    @pytest.mark.parametrize(
        "task",
        [
            lambda given: PihuPulseGetCandidateOperator(task_id="t", candidate_id=given),
            lambda given: PihuPulseCreateScreeningOperator(task_id="t", candidate_id="c12345", template_id=given),
            lambda given: PihuPulseCreateScreeningsOperator(task_id="t", candidate_ids=[given], template_id="t54321"),
        ],
    )
    def test_also_where_one_id_was_meant(self, dag_runs, pihupulse_sandbox, task, caplog):
        @task_of_airflow
        def fetch():
            return {"name": "Grace Hopper", "email": "grace@example.com", "id": "c1"}

        with dag_runs.dag() as dag:
            fetch() >> task("{{ ti.xcom_pull(task_ids='fetch') }}")
        run = dag_runs.run(dag)
        [error] = run.errors["t", -1]
        assert isinstance(error, ConfigurationError)
        assert "is the text of a list or an object" in str(error)
        assert pihupulse_sandbox.requests == []
        shown = f"{error}{run.rendered('t')}{said_of('t', caplog)}"
        assert "Grace" not in shown
        assert "grace@" not in shown

    def test_a_job_title_in_brackets_is_a_text(self, dag_runs, pihupulse_sandbox):
        [candidate_id] = pihupulse_sandbox.insert_candidates(1)
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningOperator(
                task_id="t", candidate_id=candidate_id, template_id="t54321", job_title="[Remote] Engineer [EU]"
            )
        assert dag_runs.run(dag).rendered("t")["job_title"] == "[Remote] Engineer [EU]"


GRACE = {"id": "c1", "name": "Grace Hopper", "email": "grace@example.com"}


class TestObjectsWhereIdsAreMeant:
    """What another task returned of a person beside their id is neither stored nor shown."""

    @pytest.mark.parametrize("shape", [lambda one: one, lambda one: [one], lambda one: [[one], one]])
    def test_what_identifies_them_is_kept(self, dag_runs, pihupulse_sandbox, shape):
        [candidate_id] = pihupulse_sandbox.insert_candidates(1)

        @task_of_airflow(multiple_outputs=False)
        def fetch():
            return shape({**GRACE, "id": candidate_id})

        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningsOperator(task_id="t", candidate_ids=fetch(), template_id="t54321")
        run = dag_runs.run(dag)
        assert run.xcom("t")["created"] == 1
        assert candidate_id in str(run.rendered("t"))
        assert "Grace" not in str(run.rendered("t"))

    @pytest.mark.parametrize(
        "shape", [lambda given: given.map(lambda one: one), lambda given: given.concat(given)], ids=["map", "concat"]
    )
    def test_what_airflow_makes_of_them_is_not_shown(self, dag_runs, pihupulse_sandbox, shape):
        [candidate_id] = pihupulse_sandbox.insert_candidates(1)

        @task_of_airflow(multiple_outputs=False)
        def fetch():
            return [{**GRACE, "id": candidate_id}]

        with dag_runs.dag() as dag:
            given = shape(fetch())
            PihuPulseCreateScreeningsOperator(task_id="many", candidate_ids=given, template_id="t54321")
            PihuPulseGetCandidateOperator(task_id="one", candidate_id=given)
        run = dag_runs.run(dag)
        assert run.xcom("many")["created"] == 1
        assert "candidate_id is a list or an object" in str(run.errors["one", -1][0])
        assert "Grace" not in f"{run.rendered('many')}{run.rendered('one')}"

    def test_for_a_sensor(self, dag_runs, pihupulse_sandbox):
        [candidate_id] = pihupulse_sandbox.insert_candidates(1)
        [screening_id] = pihupulse_sandbox.insert_screenings([candidate_id])
        pihupulse_sandbox.put(screening_id, "completed")

        @task_of_airflow(multiple_outputs=False)
        def fetch():
            return [{**GRACE, "screening_id": screening_id, "candidate_id": candidate_id}]

        with dag_runs.dag() as dag:
            PihuPulseScreeningSensor(task_id="t", screening_ids=fetch(), timeout=5)
        run = dag_runs.run(dag)
        assert run.state == "success"
        assert "Grace" not in str(run.rendered("t"))

    def test_an_object_where_a_text_is_meant_is_refused(self, dag_runs, pihupulse_sandbox):
        @task_of_airflow(multiple_outputs=False)
        def fetch():
            return GRACE

        with dag_runs.dag() as dag:
            PihuPulseGetCandidateOperator(task_id="t", candidate_id=fetch())
        run = dag_runs.run(dag)
        [error] = run.errors["t", -1]
        assert "candidate_id is a list or an object. Give the part that is meant" in str(error)
        assert pihupulse_sandbox.requests == []
        assert "Grace" not in f"{error}{run.rendered('t')}"


class TestListsOfMappedTasks:
    def test_a_list_of_ids_from_each(self, dag_runs, pihupulse_sandbox):
        ids = pihupulse_sandbox.insert_candidates(4)

        @task_of_airflow
        def fetch(page):
            return ids[page : page + 2]

        with dag_runs.dag() as dag:
            fetched = fetch.expand(page=[0, 2])
            PihuPulseCreateScreeningsOperator(task_id="t", candidate_ids=fetched, template_id="t54321")
        assert dag_runs.run(dag).xcom("t")["created"] == 4

    def test_results_of_each_import(self, dag_runs, pihupulse_sandbox, tmp_path):
        with dag_runs.dag() as dag:
            imported = PihuPulseImportCandidatesOperator.partial(
                task_id="import", results_path=f"{tmp_path}/{{{{ ti.map_index }}}}.jsonl"
            ).expand(source=[[{"name": "Ada", "email": f"{n}@example.com"}] for n in "ab"])
            PihuPulseCreateScreeningsOperator(
                task_id="t", candidate_ids=imported.output, template_id="t54321", send_invitation="{{ 'yes' }}"
            )
        assert dag_runs.run(dag).xcom("t")["created"] == 2
        assert len(pihupulse_sandbox.invitations) == 2

    def test_paths_of_results_beside_ids(self, dag_runs, pihupulse_sandbox, tmp_path):
        ids = pihupulse_sandbox.insert_candidates(5)
        for name, one in zip("ab", ids, strict=False):
            (tmp_path / name).write_text(json.dumps({"row": 1, "status": "created", "id": one}))
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningsOperator(
                task_id="t",
                candidate_ids=[f"{tmp_path}/a", [f"{tmp_path}/b", ids[2]], {"id": ids[3]}, ids[4]],
                template_id="t54321",
            )
        assert dag_runs.run(dag).xcom("t")["created"] == 5
        assert {one["candidate_id"] for one in pihupulse_sandbox.screenings} == set(ids)

    @pytest.mark.parametrize("listed", [False, True])
    def test_a_file_that_holds_no_results_is_rejected_row_by_row(self, dag_runs, pihupulse_sandbox, tmp_path, listed):
        (tmp_path / "people.csv").write_text("name,email\nAda,ada@example.com\n")
        given = {"results_path": f"{tmp_path}/people.csv"}
        with dag_runs.dag() as dag:
            PihuPulseCreateScreeningsOperator(
                task_id="t", candidate_ids=[given] if listed else given, template_id="t54321", retries=0
            )
        [error] = dag_runs.run(dag).errors["t", -1]
        assert "2 of 2 rows were rejected" in str(error)
        assert "is not JSON" in str(error)


class TestOneTextWhereAListOfTextsIsTaken:
    def test_a_status(self, dag_runs, pihupulse_sandbox):
        [candidate_id] = pihupulse_sandbox.insert_candidates(1)
        [screening_id] = pihupulse_sandbox.insert_screenings([candidate_id])
        pihupulse_sandbox.put(screening_id, "withdrawn")
        with dag_runs.dag() as dag:
            PihuPulseScreeningSensor(task_id="t", screening_ids=screening_id, failed_statuses="withdrawn", timeout=5)
        assert "withdrawn" in str(dag_runs.run(dag).errors["t", -1][0])


@pytest.mark.parametrize("operator", [PihuPulseCreateScreeningOperator, PihuPulseCreateScreeningsOperator])
def test_an_invitation_that_is_neither_true_nor_false_is_refused_when_the_dag_is_parsed(operator):
    given = {"candidate_id": "c1"} if operator is PihuPulseCreateScreeningOperator else {"candidate_ids": ["c1"]}
    with pytest.raises(ConfigurationError, match="send_invitation must be True or False"):
        operator(task_id="t", template_id="t54321", send_invitation="maybe", **given)


@pytest.mark.parametrize("invite", ["True", "false", True])
def test_a_templated_invitation_is_read_as_it_is_meant(dag_runs, pihupulse_sandbox, invite):
    candidate_id = pihupulse_sandbox.insert_candidates(1)[0]
    with dag_runs.dag() as dag:
        PihuPulseCreateScreeningOperator(
            task_id="screen", candidate_id=candidate_id, template_id="t54321", send_invitation="{{ params.invite }}"
        )
    dag_runs.run(dag, {"invite": invite})
    assert len(pihupulse_sandbox.invitations) == (str(invite).lower() == "true")
