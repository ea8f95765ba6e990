"""Create several candidates, screen them, wait for each without a worker, and go one of two ways by the score.

Trigger it with people of your own: ``{"people": [{"name": "…", "email": "…"}], "pass_score": 80}``.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import Param, dag, task, task_group

from pihupulse_provider.operators.candidates import PihuPulseCreateCandidateOperator
from pihupulse_provider.operators.screenings import PihuPulseCreateScreeningOperator
from pihupulse_provider.sensors.screening import PihuPulseScreeningSensor

PEOPLE = [
    {"name": "Alex Johnson", "email": "alex.johnson@example.com"},
    {"name": "Maria Rossi", "email": "maria.rossi@example.com"},
    {"name": "Ravi Kumar", "email": "ravi.kumar@example.com"},
]


def has_passed(outcomes, params):
    return (outcomes[0]["score"] or 0) >= params["pass_score"]


@dag(
    doc_md=__doc__,
    schedule=None,
    params={
        "people": Param(PEOPLE, type="array", items={"type": "object"}, description="A name and an email for each"),
        "template_id": Param("t54321", type="string", description="A screening template's id"),
        "pass_score": Param(80, type="integer", minimum=0, maximum=100),
    },
    tags=["pihupulse"],
)
def screen_and_branch():
    @task
    def people(params):
        return params["people"]

    candidates = PihuPulseCreateCandidateOperator.partial(task_id="create_candidate").expand_kwargs(people())

    screenings = PihuPulseCreateScreeningOperator.partial(
        task_id="create_screening",
        template_id="{{ params.template_id }}",
        send_invitation=True,
    ).expand(candidate_id=candidates.output.map(lambda candidate: candidate["id"]))

    @task_group
    def follow_up(screening):
        wait = PihuPulseScreeningSensor(
            task_id="wait",
            screening_ids=screening,
            deferrable=True,
            poke_interval=5,  # seconds, as the local PihuPulse is quick; people take longer
            timeout=3 * 24 * 3600,
        )

        # Each way decides for itself: from Airflow 3.2 on, a branch in a mapped group runs both of its ways.
        @task
        def invite(outcomes, params):
            """Return whom to invite."""
            if not has_passed(outcomes, params):
                raise AirflowSkipException
            return outcomes[0]["candidate_id"]

        @task
        def decline(outcomes, params):
            """Return whom to decline."""
            if has_passed(outcomes, params):
                raise AirflowSkipException
            return outcomes[0]["candidate_id"]

        invite(wait.output)
        decline(wait.output)

    follow_up.expand(screening=screenings.output)


screen_and_branch()
