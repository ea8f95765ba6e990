"""The page at ``/docs``: the OpenAPI description for people, without anything from another host."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from pihupulse_provider.sandbox.control import ACTIONS
from pihupulse_provider.sandbox.openapi import openapi_document

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
h2 { margin-top: 2.5rem; } code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { background: #f3f5f7; padding: 1rem; overflow-x: auto; border-radius: 6px; }
details { border: 1px solid #d5dbe1; border-radius: 6px; margin: .6rem 0; padding: .5rem 1rem; }
summary { cursor: pointer; } .method { display: inline-block; width: 4rem; font-weight: 700; color: #0b6bcb; }
table { border-collapse: collapse; width: 100%; } td { padding: .3rem .8rem .3rem 0; vertical-align: top; }
"""


def docs_page() -> str:
    """Return the whole page as HTML."""
    document = openapi_document()
    schemas = document["components"]["schemas"]
    operations = "".join(
        _operation(method, path, operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    actions = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(action.__doc__ or '')}</td></tr>"
        for name, action in ACTIONS.items()
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>PihuPulse sandbox</title><style>{STYLE}</style></head><body>"
        f"<h1>PihuPulse sandbox</h1><p>{escape(document['info']['description'])}</p>"
        '<p>Each request needs <code>Authorization: Bearer KEY</code>. The same in <a href="/openapi.json">'
        "OpenAPI</a>.</p>"
        f"<h2>API</h2>{operations}<h2>Control API</h2><table>{actions}</table></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [f"<p>{escape(parameter)}</p>" for parameter in _parameters(operation)]
    if "requestBody" in operation:
        parts.append(_block("Request body", operation["requestBody"]["content"]["application/json"]["schema"]))
    for status, answer in operation["responses"].items():
        schema = answer["content"]["application/json"]["schema"]
        parts.append(_block(f"{status} {answer['description']}", _resolved(schema, schemas)))
    return (
        f'<details><summary><span class="method">{method.upper()}</span> <code>/v1{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary>{''.join(parts)}</details>"
    )


def _parameters(operation: dict[str, Any]) -> list[str]:
    return [
        f"{parameter['name']} ({parameter['in']}): {json.dumps(parameter['schema'])}"
        for parameter in operation.get("parameters", [])
    ]


def _block(title: str, schema: Any) -> str:
    return f"<p>{escape(title)}</p><pre>{escape(json.dumps(_outline(schema), indent=2))}</pre>"


def _resolved(schema: Any, schemas: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolved(entry, schemas) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    return {name: _resolved(entry, schemas) for name, entry in schema.items()}


def _outline(schema: dict[str, Any]) -> Any:
    if "properties" in schema:
        return {name: _outline(entry) for name, entry in schema["properties"].items()}
    if "items" in schema:
        return [_outline(schema["items"])]
    if "enum" in schema:
        return " | ".join(schema["enum"])
    kind = schema.get("format", schema["type"])
    return kind if isinstance(kind, str) else " | ".join(kind)
