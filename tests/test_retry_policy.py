"""Which failures a task is retried after, and when."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec

import pytest

from pihupulse_provider.api import (
    BadRequestError,
    ConfigurationError,
    DuplicateCreateError,
    ForbiddenError,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
)
from pihupulse_provider.creating.errors import ExistingRowsError, InvalidRowError, Problem, RejectedRowsError

HOPELESS = [
    BadRequestError("no", status=400),
    UnauthorizedError("no", status=401),
    ForbiddenError("no", status=403),
    NotFoundError("no", status=404),
    ConfigurationError("no"),
    DuplicateCreateError("no", ids=["c1", "c2"]),
    InvalidRowError([Problem("email", "is missing")]),
    RejectedRowsError("no", rejected=2, rows=3),
    ExistingRowsError("no", rows=[1]),
]
PASSING = [ServerError("no", status=503), NoAnswerError("no"), NotSentError("no"), RuntimeError("no")]


def named(error):
    return type(error).__name__


def retry_after(seconds):
    return RateLimitedError("no", status=429, retry_after=seconds)


if find_spec("airflow.sdk.definitions.retry_policy"):
    from airflow.sdk import task
    from airflow.sdk.definitions.retry_policy import RetryAction

    from pihupulse_provider.hooks.pihupulse import PihuPulseHook
    from pihupulse_provider.retry_policy import PihuPulseRetryPolicy

    def decide(error):
        return PihuPulseRetryPolicy().evaluate(error, 1, 3)

    def test_a_429_waits_for_the_limits_reset():
        decision = decide(retry_after(42.5))
        assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=42.5))

    def test_a_429_that_asks_for_a_day_waits_five_minutes():
        assert decide(retry_after(86400)).retry_delay == timedelta(minutes=5)

    def test_a_429_that_does_not_say_when_is_left_to_the_task():
        assert decide(retry_after(None)).action is RetryAction.DEFAULT

    @pytest.mark.parametrize("error", HOPELESS, ids=named)
    def test_what_no_retry_mends_fails_at_once(error):
        assert decide(error).action is RetryAction.FAIL

    @pytest.mark.parametrize("error", PASSING, ids=named)
    def test_what_may_pass_is_left_to_the_task(error):
        assert decide(error).action is RetryAction.DEFAULT

    def test_it_survives_the_dags_serialization():
        kept = PihuPulseRetryPolicy.deserialize(PihuPulseRetryPolicy().serialize())
        assert kept.evaluate(retry_after(7), 1, 3).retry_delay == timedelta(seconds=7)

    @pytest.mark.parametrize(("policy", "requests"), [(None, 3), (PihuPulseRetryPolicy(), 1)], ids=["without", "with"])
    def test_airflow_goes_by_it(dag_runs, pihupulse_sandbox, policy, requests):
        """The operators fail at once by themselves; a task of one's own that uses the hook does by the policy."""

        @task
        def get():
            PihuPulseHook().get_candidate("c1")

        with dag_runs.dag(retries=2, retry_policy=policy) as dag:
            get()
        run = dag_runs.run(dag)
        assert run.state == "failed"
        assert pihupulse_sandbox.count("GET /candidates/:id") == requests

else:
    from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

    def test_it_says_which_airflow_it_needs():
        with pytest.raises(AirflowOptionalProviderFeatureException, match=r"needs Airflow 3\.3"):
            import pihupulse_provider.retry_policy  # noqa: F401
