"""PihuPulse without Airflow: the clients, their models and errors, the rate limit and the retry policy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pihupulse_provider.api.account import DEFAULT_BASE_URL, Account
    from pihupulse_provider.api.async_client import AsyncClient
    from pihupulse_provider.api.client import Client
    from pihupulse_provider.api.errors import (
        BadRequestError,
        ClientError,
        ConfigurationError,
        CreateError,
        DuplicateCreateError,
        ForbiddenError,
        NoAnswerError,
        NotFoundError,
        NotSentError,
        PihuPulseError,
        RateLimitedError,
        ResponseError,
        ServerError,
        StatusError,
        TransportError,
        UnauthorizedError,
        UnconfirmedCreateError,
    )
    from pihupulse_provider.api.exchange import RetryPolicy
    from pihupulse_provider.api.limiter import MemoryRateLimit, RateLimit
    from pihupulse_provider.api.models import (
        Candidate,
        CandidateScreening,
        Education,
        NewCandidate,
        NewScreening,
        Page,
        PageMeta,
        Report,
        Screening,
        SkillScore,
        Template,
    )
    from pihupulse_provider.api.rate_limit import PLANS, Plan

__all__ = [
    "DEFAULT_BASE_URL",
    "PLANS",
    "Account",
    "AsyncClient",
    "BadRequestError",
    "Candidate",
    "CandidateScreening",
    "Client",
    "ClientError",
    "ConfigurationError",
    "CreateError",
    "DuplicateCreateError",
    "Education",
    "ForbiddenError",
    "MemoryRateLimit",
    "NewCandidate",
    "NewScreening",
    "NoAnswerError",
    "NotFoundError",
    "NotSentError",
    "Page",
    "PageMeta",
    "PihuPulseError",
    "Plan",
    "RateLimit",
    "RateLimitedError",
    "Report",
    "ResponseError",
    "RetryPolicy",
    "Screening",
    "ServerError",
    "SkillScore",
    "StatusError",
    "Template",
    "TransportError",
    "UnauthorizedError",
    "UnconfirmedCreateError",
]

_MODULES = {
    "account": (
        "Account",
        "DEFAULT_BASE_URL",
    ),
    "async_client": ("AsyncClient",),
    "client": ("Client",),
    "exchange": ("RetryPolicy",),
    "errors": (
        "BadRequestError",
        "ClientError",
        "ConfigurationError",
        "CreateError",
        "DuplicateCreateError",
        "ForbiddenError",
        "NoAnswerError",
        "NotFoundError",
        "NotSentError",
        "PihuPulseError",
        "RateLimitedError",
        "ResponseError",
        "ServerError",
        "StatusError",
        "TransportError",
        "UnauthorizedError",
        "UnconfirmedCreateError",
    ),
    "limiter": (
        "MemoryRateLimit",
        "RateLimit",
    ),
    "models": (
        "Candidate",
        "CandidateScreening",
        "Education",
        "NewCandidate",
        "NewScreening",
        "Page",
        "PageMeta",
        "Report",
        "Screening",
        "SkillScore",
        "Template",
    ),
    "rate_limit": (
        "PLANS",
        "Plan",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a DAG file that only needs an error pays for no client."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
