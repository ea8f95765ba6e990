"""The connection form's extra fields for Airflow 3.0 and 3.1, made from the list that provider info uses."""

from __future__ import annotations

from typing import Any

from pihupulse_provider.connection_form import FIELDS, Field


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
    look = BS3TextFieldWidget()
    if field.secret:
        kind, look = PasswordField, BS3PasswordFieldWidget()
    return kind(field.label, description=field.description, validators=[Optional()], widget=look)
