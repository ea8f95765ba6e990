"""The fields of a PihuPulse connection, from which every version's form is made.

Every process of Airflow imports this to know its providers, so it imports nothing of the rest of the package.
"""

from __future__ import annotations

from typing import Any, NamedTuple

CONN_TYPE = "pihupulse"
HOOK_NAME = "PihuPulse"
DEFAULT_CONN_ID = "pihupulse_default"


class Field(NamedTuple):
    """One extra of the connection as the form shows it."""

    name: str
    label: str
    description: str
    schema: dict[str, Any]
    secret: bool = False


FIELDS = (
    Field(
        "webhook_secret",
        "Webhook secret",
        "The signing secret from Settings → Webhooks, the whole text.",
        {"type": ["string", "null"], "format": "password"},
        secret=True,
    ),
    Field(
        "previous_webhook_secret",
        "Previous webhook secret",
        "While you change the secret: the old one, until no delivery signed with it can come any more.",
        {"type": ["string", "null"], "format": "password"},
        secret=True,
    ),
    Field(
        "plan",
        "Plan",
        "Learnt from the service when left empty.",
        {"type": ["string", "null"], "enum": ["starter", "professional", "enterprise"]},
    ),
    Field(
        "requests_per_minute",
        "Requests per minute",
        "A lower limit than the plan's, to leave some of it to others.",
        {"type": ["integer", "null"], "minimum": 1},
    ),
    Field(
        "burst",
        "Burst",
        "How many requests may go at once; it needs a plan or a number of requests per minute beside it.",
        {"type": ["integer", "null"], "minimum": 1},
    ),
    Field(
        "timeout",
        "Timeout",
        "Seconds to wait for a connection, and for each part of a response; 30 when left empty.",
        {"type": ["number", "null"], "exclusiveMinimum": 0},
    ),
    Field(
        "verify",
        "Verify TLS",
        "true, false, or the path of a file of certificates to trust.",
        {"type": ["string", "null"]},
    ),
    Field(
        "proxy",
        "Proxy",
        "The address of an HTTP proxy, such as http://proxy.internal:3128; not used for this machine itself.",
        {"type": ["string", "null"], "format": "password"},
        secret=True,
    ),
    Field(
        "allow_http",
        "Allow plain HTTP",
        "Only where the way to the host is safe; this machine itself needs no permission.",
        {"type": ["boolean", "null"], "default": False},
    ),
)

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    # The form's Test button sends port 0 for an empty port. Airflow 3.3 takes that for another port than the one of a
    # saved connection, and refuses to test it with the saved key: so the field stays visible and says what helps.
    "hidden-fields": ["login", "schema"],
    "relabeling": {"password": "API key", "host": "Base URL"},
    "placeholders": {
        "host": "https://api.pihupulse.com/v1",
        "port": "443 lets Test use the saved key",
        "password": "from Settings → API in the PihuPulse dashboard",
    },
}


def conn_fields() -> dict[str, Any]:
    """Return the fields as provider info declares them (Airflow 3.2 and later read it)."""
    return {
        field.name: {"label": field.label, "description": field.description, "schema": field.schema} for field in FIELDS
    }


def widgets() -> dict[str, Any]:
    """Return a WTForms field for each extra."""
    return {field.name: _widget(field) for field in FIELDS}


def _widget(field: Field) -> Any:
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import BooleanField, IntegerField, PasswordField, StringField
    from wtforms.validators import Optional

    if "boolean" in field.schema["type"]:
        return BooleanField(field.label, description=field.description)
    kind = IntegerField if "integer" in field.schema["type"] else StringField
    widget = BS3TextFieldWidget()
    if field.secret:
        kind, widget = PasswordField, BS3PasswordFieldWidget()
    return kind(field.label, description=field.description, validators=[Optional()], widget=widget)
