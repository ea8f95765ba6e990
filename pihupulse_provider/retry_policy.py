"""When Airflow retries a PihuPulse task (Airflow 3.3 and later)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

try:
    from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy
except ImportError as error:
    from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

    raise AirflowOptionalProviderFeatureException("PihuPulseRetryPolicy needs Airflow 3.3 or later.") from error

from pihupulse_provider.api.errors import PihuPulseError, RateLimitedError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

LONGEST_DELAY = 300.0
"""Seconds; whatever a service says, a task is tried again by then."""


class PihuPulseRetryPolicy(RetryPolicy):
    """Retry a 429 after the limit's reset, fail at once where no retry helps, and leave the rest to the task.

    Use it as ``retry_policy=PihuPulseRetryPolicy()`` on a task or in ``default_args``.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide by the error's class."""
        name = type(exception).__name__
        if isinstance(exception, RateLimitedError) and exception.retry_after is not None:
            seconds = min(exception.retry_after, LONGEST_DELAY)
            return RetryDecision.retry(timedelta(seconds=seconds), f"{name}: the limit resets in {seconds:.0f} s")
        if isinstance(exception, PihuPulseError) and exception.permanent:
            return RetryDecision.fail(f"{name}: trying again gives the same response")
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return the policy's settings: it has none."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> PihuPulseRetryPolicy:
        """Return the policy."""
        return cls(**data)
