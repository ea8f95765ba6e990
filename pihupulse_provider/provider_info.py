"""What Airflow learns about this provider."""

from __future__ import annotations

from typing import Any

from pihupulse_provider import __version__, connection_form

INTEGRATION = "PihuPulse"
OPERATORS = ("candidates", "screenings", "reports", "templates", "events")
LINKS = ("PihuPulsePageLink", "PihuPulseResultsLink", "PihuPulseRejectsLink", "PihuPulseExportLink")
SENSORS = ("screening", "event")
TRIGGERS = ("watch", "event")
TRANSFERS = (
    ("SQL", INTEGRATION, "sql_to_pihupulse"),
    (INTEGRATION, "SQL", "pihupulse_to_sql"),
    (INTEGRATION, "Object Storage", "pihupulse_to_storage"),
)


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as Airflow's ``provider_info.schema.json`` asks for it."""
    return {
        "package-name": "airflow-provider-pihupulse",
        "name": "PihuPulse",
        "description": "Import candidates into PihuPulse, run screenings, wait for them, land the results.",
        "versions": [__version__],
        "integrations": [
            {"integration-name": INTEGRATION, "external-doc-url": "https://pihupulse.com", "tags": ["service"]}
        ],
        "connection-types": [
            {
                "connection-type": connection_form.CONN_TYPE,
                "hook-class-name": "pihupulse_provider.hooks.pihupulse.PihuPulseHook",
                "hook-name": connection_form.HOOK_NAME,
                "ui-field-behaviour": connection_form.UI_FIELD_BEHAVIOUR,
                "conn-fields": connection_form.conn_fields(),
            }
        ],
        "hooks": [_modules("hooks", ("pihupulse",))],
        "operators": [_modules("operators", OPERATORS)],
        "sensors": [_modules("sensors", SENSORS)],
        "triggers": [_modules("triggers", TRIGGERS)],
        "transfers": [_transfer(*transfer) for transfer in TRANSFERS],
        "extra-links": [f"pihupulse_provider.operators.links.{name}" for name in LINKS],
        "asset-uris": [
            {
                "schemes": ["pihupulse"],
                "handler": "pihupulse_provider.assets.sanitize_uri",
                "to_openlineage_converter": "pihupulse_provider.assets.convert_asset_to_openlineage",
            }
        ],
        "cli": ["pihupulse_provider.cli.main.get_commands"],
        "config": {"pihupulse": {"description": "Settings of the PihuPulse provider.", "options": _options()}},
    }


def _modules(package: str, names: tuple[str, ...]) -> dict[str, Any]:
    modules = [f"pihupulse_provider.{package}.{name}" for name in names]
    return {"integration-name": INTEGRATION, "python-modules": modules}


def _transfer(source: str, target: str, name: str) -> dict[str, str]:
    module = f"pihupulse_provider.transfers.{name}"
    return {"source-integration-name": source, "target-integration-name": target, "python-module": module}


def _options() -> dict[str, Any]:
    return {
        "store_url": {
            "description": "Where the provider keeps its state: any SQLAlchemy URL but Airflow's own metadata "
            "database. A fleet shares one PostgreSQL. When empty: SQLite in AIRFLOW_HOME/pihupulse.db.",
            "version_added": "1.0.0",
            "type": "string",
            "sensitive": True,
            "example": "postgresql://airflow:***@db.internal/pihupulse",
            "default": "",
        },
        "webhook_connections": {
            "description": "The ids of the connections that webhooks are received for, separated by commas.",
            "version_added": "1.0.0",
            "type": "string",
            "example": "pihupulse_default",
            "default": "",
        },
        "inbox_retention_days": {
            "description": "After how many days webhook events are deleted from the inbox.",
            "version_added": "1.0.0",
            "type": "float",
            "example": "14",
            "default": "30",
        },
    }
