"""Reads an Airflow connection of type ``pihupulse``, whichever way it was made."""

from __future__ import annotations

from typing import Annotated, Any, Protocol, Self
from unicodedata import category

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from pihupulse_provider.api.account import DEFAULT_BASE_URL, DEFAULT_TIMEOUT, Account, is_masked
from pihupulse_provider.api.errors import ConfigurationError
from pihupulse_provider.api.rate_limit import PLANS, Plan


class AirflowConnection(Protocol):
    """What is read of an Airflow connection."""

    conn_id: str
    host: str | None
    schema: str | None
    port: int | None
    password: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """Return the extras."""
        ...


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _secrets(value: Any) -> Any:
    """Take each secret as the whole text, spaces included; a list of several is taken too."""
    if value is None or value == "":
        return None
    return [str(one) if isinstance(one, int) else one for one in (value if isinstance(value, list) else [value])]


def _usable_secrets(secrets: list[str] | None) -> list[str] | None:
    for secret in secrets or ():
        if any(category(character) == "Cs" for character in secret):
            raise PydanticCustomError("secret", "holds half a character: copy the secret from the dashboard again")
        seen = "".join(character for character in secret if _is_seen(character))
        if is_masked(seen):
            raise PydanticCustomError("secret", "is blank or masked (***): copy the secret itself from the dashboard")
        if len(seen) < _SHORTEST_SECRET:
            raise PydanticCustomError(
                "secret",
                "is shorter than {shortest} characters: anybody could guess it",
                {"shortest": _SHORTEST_SECRET},
            )
    return secrets


def _is_seen(character: str) -> bool:
    return category(character)[0] not in "CZ" and character not in _FILLERS


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _verify(value: Any) -> Any:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return known.get(value.strip().lower(), value) if isinstance(value, str) else value


def _known_plan(value: str | None) -> str | None:
    if value is not None and value not in PLANS:
        raise PydanticCustomError("plan", "choose one of {plans}", {"plans": ", ".join(PLANS)})
    return value


Blank = BeforeValidator(_blank_is_none)
Secrets = Annotated[
    list[str] | None, AfterValidator(_usable_secrets), BeforeValidator(_secrets), Field(default=None, repr=False)
]
_SHORTEST_SECRET = 8
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | set(map(chr, range(0xFE00, 0xFE10)))
"""Letters and marks that show nothing; what else shows nothing, Unicode counts as spaces or controls."""


class Extras(BaseModel):
    """The extras; a URI gives every one of them as text, the form gives empty text for what was left out."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    webhook_secret: Secrets
    previous_webhook_secret: Secrets
    plan: Annotated[str | None, AfterValidator(_known_plan), BeforeValidator(_lower), Blank] = None
    requests_per_minute: Annotated[float | None, Field(ge=1), Blank] = None
    burst: Annotated[float | None, Field(ge=1), Blank] = None
    timeout: Annotated[float | None, Field(gt=0), Blank] = None
    verify: Annotated[bool | str | None, BeforeValidator(_verify), Blank] = None
    proxy: Annotated[str | None, Field(default=None, repr=False), Blank]
    allow_http: Annotated[bool | None, Blank] = None

    def webhook_secrets(self) -> list[str]:
        """Return the secrets that sign the account's webhooks; while they are rotated, the new one first."""
        return [*(self.webhook_secret or ()), *(self.previous_webhook_secret or ())]

    def limit(self) -> Plan | None:
        """Return the limit that the user named, or None to learn it from the service."""
        named = PLANS[self.plan] if self.plan else None
        rate = self.requests_per_minute or (named.requests_per_minute if named else None)
        if rate is None:
            return None
        return Plan(rate, self.burst or (named.burst if named else rate))

    @model_validator(mode="after")
    def _burst_has_a_rate(self) -> Self:
        if self.burst is not None and self.limit() is None:
            raise PydanticCustomError("burst", "burst needs requests_per_minute or plan beside it")
        return self


def read_extras(connection: AirflowConnection) -> Extras:
    """Return the connection's extras.

    :raises ConfigurationError: naming each extra that is unknown or has no usable value, and those that there are.
    """
    try:
        return Extras.model_validate(connection.extra_dejson)
    except ValidationError as error:
        problems = "; ".join(map(_problem, error.errors()))
        if any(item["type"] == "extra_forbidden" for item in error.errors()):
            problems += f". The extras that there are: {', '.join(Extras.model_fields)}"
        raise ConfigurationError(
            f"The extras of connection {connection.conn_id!r} can't be used: {problems}."
        ) from None


def _problem(item: ErrorDetails) -> str:
    message = "there is no such extra" if item["type"] == "extra_forbidden" else item["msg"]
    return ": ".join(filter(None, [".".join(map(str, item["loc"])), message]))


def read_account(connection: AirflowConnection) -> Account:
    """Return the account that a connection stands for.

    :raises ConfigurationError: saying what of the connection can't work.
    """
    extras = read_extras(connection)
    if not connection.password:
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} has no password: put the PihuPulse API key there "
            "(Settings → API in the dashboard)."
        )
    try:
        return Account(
            api_key=connection.password.strip(),
            base_url=_address(connection),
            timeout=extras.timeout or DEFAULT_TIMEOUT,
            verify=True if extras.verify is None else extras.verify,
            proxy=extras.proxy,
            plan=extras.limit(),
            allow_http=bool(extras.allow_http),
            key_place=(
                f"the password of the connection {connection.conn_id!r}: change it under Admin → Connections in "
                "Airflow's UI, or wherever else that connection is kept"
            ),
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"Connection {connection.conn_id!r}: {error}") from None


def _address(connection: AirflowConnection) -> str:
    """Put the address together: a URI splits it into host, port and schema, the form has it whole in the host."""
    host = (connection.host or "").strip().rstrip("/")
    if not host:
        return DEFAULT_BASE_URL
    schema = (connection.schema or "").strip("/ ")
    if schema in ("http", "https"):
        host, schema = (host if "://" in host else f"{schema}://{host}"), ""
    scheme, separator, rest = host.rpartition("://")
    name, slash, path = rest.partition("/")
    if name.count(":") > 1 and not name.startswith("["):
        name = f"[{name}]"  # a URI's IPv6 address comes without its brackets
    if connection.port and not name.endswith(f":{connection.port}"):
        name = f"{name}:{connection.port}"
    host = f"{scheme}{separator}{name}{slash}{path}"
    return f"{host}/{schema}" if schema else host
