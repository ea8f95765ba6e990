"""PihuPulse without Airflow: the clients, their models and errors, the rate limit and the retry policy."""

from __future__ import annotations

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
from pihupulse_provider.api.plans import PLANS, Plan
from pihupulse_provider.api.retry import RetryPolicy

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
