"""The seven documented endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from pihupulse_provider.sandbox.account import Account
from pihupulse_provider.sandbox.http import ApiError, Request, Response, json_response
from pihupulse_provider.sandbox.records import Candidate, Screening
from pihupulse_provider.sandbox.rows import Row, Rows
from pihupulse_provider.sandbox.validation import (
    CANDIDATE_FIELDS,
    SCREENING_FIELDS,
    PageRequest,
    body_of,
    page_of,
    query_of,
    status_of,
)

Endpoint = Callable[[Account, Request, str], Response]

PREFIX = "/v1"
UNKNOWN_ROUTE = "undocumented"


def list_candidates(account: Account, request: Request, _id: str) -> Response:
    """Serve ``GET /candidates``."""
    query = query_of(request, ("page", "limit", "status"))
    page = page_of(query)
    rows = account.lists[status_of(query)]
    return _paginated(rows, page, account.views.listed_candidate)


def create_candidate(account: Account, request: Request, _id: str) -> Response:
    """Serve ``POST /candidates``."""
    query_of(request)
    body = body_of(request, CANDIDATE_FIELDS)
    candidate = account.create_candidate(body["name"], body["email"], body.get("phone"), body.get("resume_url"))
    return json_response({"data": account.views.created_candidate(candidate)}, 201)


def get_candidate(account: Account, request: Request, candidate_id: str) -> Response:
    """Serve ``GET /candidates/:id``."""
    query_of(request)
    candidate = find_candidate(account, candidate_id)
    return json_response({"data": account.views.detailed_candidate(candidate)})


def list_screenings(account: Account, request: Request, _id: str) -> Response:
    """Serve ``GET /screenings``."""
    page = page_of(query_of(request, ("page", "limit")))
    return _paginated(account.screening_list, page, account.views.screening)


def create_screening(account: Account, request: Request, _id: str) -> Response:
    """Serve ``POST /screenings``."""
    query_of(request)
    body = body_of(request, SCREENING_FIELDS)
    candidate = find_candidate(account, body["candidate_id"])
    template = account.templates.get(body["template_id"]) or _not_found("template", body["template_id"])
    invite = body.get("send_invitation", False)
    screening = account.create_screening(candidate, template, body.get("job_title"), invite=invite)
    return json_response({"data": account.views.screening(screening)}, 201)


def list_templates(account: Account, request: Request, _id: str) -> Response:
    """Serve ``GET /templates``."""
    query_of(request)
    return json_response({"data": [template.shown() for template in account.templates.values()]})


def get_report(account: Account, request: Request, screening_id: str) -> Response:
    """Serve ``GET /screenings/:id/report``; there is none before the screening is completed."""
    query_of(request)
    screening = find_screening(account, screening_id)
    if not screening.completed(account.clock.now()):
        message = "The screening has no report: it is not completed"
        raise ApiError(404, message, {"screening_id": screening_id})
    return json_response({"data": account.views.report(screening)})


ENDPOINTS: Mapping[str, Mapping[str, Endpoint]] = {
    "/candidates": {"GET": list_candidates, "POST": create_candidate},
    "/candidates/:id": {"GET": get_candidate},
    "/screenings": {"GET": list_screenings, "POST": create_screening},
    "/screenings/:id/report": {"GET": get_report},
    "/templates": {"GET": list_templates},
}


def route_of(path: str) -> tuple[str, str]:
    """Return the route of a path, such as ``/candidates/:id``, and the id in it."""
    parts = path.removeprefix(PREFIX).split("/")
    identifier = parts[2] if len(parts) > 2 else ""
    if identifier:
        parts[2] = ":id"
    route = "/".join(parts)
    return (route if route in ENDPOINTS else UNKNOWN_ROUTE), identifier


def serve(account: Account, request: Request) -> Response:
    """Serve a request below ``/v1`` whose key and rate have been checked."""
    route, identifier = route_of(request.path)
    methods = ENDPOINTS.get(route)
    if methods is None:
        raise ApiError(404, "The requested resource doesn't exist", {"path": request.path})
    endpoint = methods.get(request.method)
    if endpoint is None:
        allowed = ", ".join(methods)
        raise ApiError(405, f"Only {allowed} is possible here", headers={"Allow": allowed})
    return endpoint(account, request, identifier)


def find_candidate(account: Account, candidate_id: str) -> Candidate:
    """Return the candidate, or refuse as the reference's sample error does."""
    return account.candidates.get(candidate_id) or _not_found("candidate", candidate_id)


def find_screening(account: Account, screening_id: str) -> Screening:
    """Return the screening, or refuse."""
    return account.screenings.get(screening_id) or _not_found("screening", screening_id)


def _paginated(rows: Rows[Row], page: PageRequest, view: Callable[[Row], dict[str, Any]]) -> Response:
    total = len(rows)
    meta = {
        "current_page": page.number,
        "total_pages": -(-total // page.size),
        "total_count": total,
        "per_page": page.size,
    }
    return json_response({"data": [view(row) for row in rows.page(page.number, page.size)], "meta": meta})


def _not_found(kind: str, identifier: str) -> NoReturn:
    message = f"The {kind} ID is invalid or not found"
    raise ApiError(404, message, {f"{kind}_id": identifier}, code="invalid_request")
