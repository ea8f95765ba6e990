"""Tasks whose ``email`` is somebody else's than Airflow takes it for."""

from __future__ import annotations

from typing import Any

_OFF = {"email_on_failure": False, "email_on_retry": False}


class NoAlertsMixin:
    """Keeps Airflow from mailing its alerts to what an operator's ``email`` is for.

    Airflow mails a task that fails or retries to its ``email``, by default and also from ``default_args`` (Airflow 3.0
    to 3.3). Put this class before ``BaseOperator``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, **_OFF, "email": None})

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task; an ``email`` in ``default_args`` is not this one's."""
        begun = super().partial(**{**kwargs, **_OFF})  # type: ignore[misc]
        if "email" not in kwargs:
            begun.kwargs.pop("email", None)
        return begun
