"""The OpenAPI description of the documented endpoints (API reference, "API Endpoints")."""

from __future__ import annotations

from typing import Any

from pihupulse_provider.sandbox.http import JSON
from pihupulse_provider.sandbox.validation import (
    CANDIDATE_FIELDS,
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    SCREENING_FIELDS,
    Field,
)

STRING = {"type": "string"}
NULLABLE_STRING = {"type": ["string", "null"]}
NULLABLE_INTEGER = {"type": ["integer", "null"]}
INTEGER = {"type": "integer"}
DATE_TIME = {"type": "string", "format": "date-time"}
NULLABLE_DATE_TIME = {"type": ["string", "null"], "format": "date-time"}
STRINGS = {"type": "array", "items": STRING}

Schema = dict[str, Any]


def openapi_document() -> Schema:
    """Return the document as JSON."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PihuPulse sandbox",
            "version": "1",
            "description": (
                "A local stand-in for the PihuPulse API. It accepts what the API reference documents and refuses "
                "everything else. The control API is listed at /_sandbox and is no part of PihuPulse."
            ),
        },
        "servers": [{"url": "/v1"}],
        "security": [{"key": []}],
        "paths": PATHS,
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}, "schemas": SCHEMAS},
    }


def record(**properties: Schema) -> Schema:
    """Return the schema of an object that has all of these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def reference(name: str) -> Schema:
    """Return a reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def request_schema(fields: dict[str, Field]) -> Schema:
    """Return the schema of a request body."""
    return {
        "type": "object",
        "properties": {name: _field_schema(field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required],
        "additionalProperties": False,
    }


def _field_schema(field: Field) -> Schema:
    if field.pattern is None:
        return {"type": "boolean"}
    return {"type": "string", "pattern": field.pattern, "description": field.hint}


def _operation(name: str, summary: str, success: int, content: Schema, *errors: int, **more: Any) -> Schema:
    responses = {str(success): _response("Success", content)}
    for status in sorted({400, 401, 429, *errors}):
        responses[str(status)] = _response(ERRORS[status], reference("Error"))
    return {"operationId": name, "summary": summary, "responses": responses, **more}


def _response(description: str, content: Schema) -> Schema:
    return {"description": description, "content": {JSON: {"schema": content}}}


def _body(fields: dict[str, Field]) -> Schema:
    return {"required": True, "content": {JSON: {"schema": request_schema(fields)}}}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _id(name: str) -> list[Schema]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}]


ERRORS = {
    400: "The request was malformed or missing required parameters",
    401: "Authentication failed or API key is missing",
    404: "The requested resource doesn't exist",
    429: "You've exceeded your rate limit",
}

CANDIDATE: Schema = {
    "id": STRING,
    "name": STRING,
    "email": STRING,
    "phone": NULLABLE_STRING,
    "status": {"enum": ["active", "archived"]},
    "created_at": DATE_TIME,
    "updated_at": DATE_TIME,
}
CREATED_CANDIDATE: Schema = {**CANDIDATE, "resume_url": NULLABLE_STRING}
BRIEF_SCREENING: Schema = {
    "id": STRING,
    "status": STRING,
    "score": NULLABLE_INTEGER,
    "completed_at": NULLABLE_DATE_TIME,
}

SCHEMAS: dict[str, Schema] = {
    "Error": record(
        error={
            "type": "object",
            "properties": {"code": STRING, "message": STRING, "status": INTEGER, "details": {"type": "object"}},
            "required": ["code", "message", "status"],
        }
    ),
    "Meta": record(current_page=INTEGER, total_pages=INTEGER, total_count=INTEGER, per_page=INTEGER),
    "Candidate": record(**CANDIDATE),
    "CreatedCandidate": record(**CREATED_CANDIDATE),
    "DetailedCandidate": record(
        **CREATED_CANDIDATE,
        skills=STRINGS,
        experience_years=INTEGER,
        education=array(record(institution=STRING, degree=STRING, year=INTEGER)),
        screenings=array(record(**BRIEF_SCREENING)),
    ),
    "Screening": record(
        **BRIEF_SCREENING,
        candidate_id=STRING,
        template_id=STRING,
        started_at=NULLABLE_DATE_TIME,
    ),
    "Template": record(
        id=STRING,
        name=STRING,
        description=STRING,
        duration_minutes=INTEGER,
        question_count=INTEGER,
        created_at=DATE_TIME,
        updated_at=DATE_TIME,
    ),
    "Report": record(
        screening_id=STRING,
        candidate_id=STRING,
        candidate_name=STRING,
        template_id=STRING,
        template_name=STRING,
        score=INTEGER,
        completion_time_minutes=INTEGER,
        completed_at=DATE_TIME,
        skill_scores=array(record(skill=STRING, score=INTEGER, max_score=INTEGER)),
        summary=STRING,
        strengths=STRINGS,
        areas_for_improvement=STRINGS,
        recommendation=STRING,
    ),
}

PAGING = [
    _query("page", {"type": "integer", "minimum": 1, "maximum": 999_999_999, "default": 1}),
    _query("limit", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE}),
]
STATUS = _query("status", {"enum": ["active", "archived", "all"], "default": "all"})


def _list_of(name: str) -> Schema:
    return record(data=array(reference(name)), meta=reference("Meta"))


def _one(name: str) -> Schema:
    return record(data=reference(name))


PATHS: Schema = {
    "/candidates": {
        "get": _operation(
            "listCandidates", "List candidates", 200, _list_of("Candidate"), parameters=[*PAGING, STATUS]
        ),
        "post": _operation(
            "createCandidate",
            "Create a candidate",
            201,
            _one("CreatedCandidate"),
            requestBody=_body(CANDIDATE_FIELDS),
        ),
    },
    "/candidates/{candidate_id}": {
        "get": _operation(
            "getCandidate", "Get a candidate", 200, _one("DetailedCandidate"), 404, parameters=_id("candidate_id")
        ),
    },
    "/screenings": {
        "get": _operation("listScreenings", "List screenings", 200, _list_of("Screening"), parameters=PAGING),
        "post": _operation(
            "createScreening",
            "Create a screening",
            201,
            _one("Screening"),
            404,
            requestBody=_body(SCREENING_FIELDS),
        ),
    },
    "/screenings/{screening_id}/report": {
        "get": _operation(
            "getReport", "Get the report of a screening", 200, _one("Report"), 404, parameters=_id("screening_id")
        ),
    },
    "/templates": {
        "get": _operation("listTemplates", "List templates", 200, record(data=array(reference("Template")))),
    },
}
