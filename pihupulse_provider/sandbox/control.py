"""The control API below ``/_sandbox``: it steers the sandbox and is no part of PihuPulse.

It needs no key and no ``Content-Type``, and takes no part in the rate limit. ``GET /_sandbox`` lists what it can do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pihupulse_provider.sandbox.faults import Fault
from pihupulse_provider.sandbox.http import ApiError, Request, Response, json_response
from pihupulse_provider.sandbox.routes import find_candidate, find_screening
from pihupulse_provider.sandbox.service import Service
from pihupulse_provider.sandbox.validation import json_object, problems_of

PREFIX = "/_sandbox"
MAX_INSERTED = 1_000_000

Action = Callable[["Control", str, Mapping[str, Any]], object]


class Control:
    """The actions of the control API; each gets the id in the path and the JSON object of the body."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def respond(self, request: Request) -> Response:
        """Carry out one action."""
        try:
            action, identifier = _action_of(request)
            body = json_object(request.body) if request.body else {}
            return json_response(action(self, identifier, body))
        except ApiError as error:
            return error.response()
        except ValidationError as error:
            return ApiError(400, problems_of(error)).response()
        except KeyError as error:
            return ApiError(400, f"{error.args[0]} is missing or unknown").response()
        except (TypeError, ValueError) as error:
            return ApiError(400, str(error)).response()

    def describe(self, _id: str, _body: Mapping[str, Any]) -> object:
        """List the actions and the settings that matter to a client."""
        settings = self._service.settings
        return {
            "actions": {name: action.__doc__ for name, action in ACTIONS.items()},
            "plan": settings.plan,
            "limit_reading": settings.limit_reading,
            "order": settings.order,
        }

    def counters(self, _id: str, _body: Mapping[str, Any]) -> object:
        """Count the requests, by operation and status, and how many got a 429."""
        return self._service.log.summary()

    def clear_counters(self, _id: str, _body: Mapping[str, Any]) -> object:
        """Set the counters to zero."""
        self._service.log.clear()
        return self._service.log.summary()

    def reset(self, _id: str, _body: Mapping[str, Any]) -> object:
        """Begin again as at the first start; time goes on."""
        self._service.reset()
        return {}

    def faults(self, _id: str, _body: Mapping[str, Any]) -> object:
        """List the faults that are switched on."""
        return [asdict(fault) for fault in self._service.faults.active]

    def add_fault(self, _id: str, body: Mapping[str, Any]) -> object:
        """Switch a fault on: kind, times, probability, method, path, status, seconds, retry_after, after_commit."""
        self._service.faults.active.append(TypeAdapter(Fault).validate_python(body))
        return self.faults("", {})

    def clear_faults(self, _id: str, _body: Mapping[str, Any]) -> object:
        """Switch all faults off."""
        self._service.faults.active.clear()
        return []

    def insert_candidates(self, _id: str, body: Mapping[str, Any]) -> object:
        """Put in count generated candidates without an event."""
        added = self._service.account.insert_candidates(_count(body))
        return {"ids": [candidate.id for candidate in added]}

    def change_candidate(self, candidate_id: str, body: Mapping[str, Any]) -> object:
        """Set the status of a candidate: active or archived."""
        account = self._service.account
        candidate = find_candidate(account, candidate_id)
        account.set_status(candidate, body["status"])
        return account.views.listed_candidate(candidate)

    def delete_candidate(self, candidate_id: str, _body: Mapping[str, Any]) -> object:
        """Delete a candidate and its screenings."""
        account = self._service.account
        account.delete_candidate(find_candidate(account, candidate_id))
        return {}

    def insert_screenings(self, _id: str, body: Mapping[str, Any]) -> object:
        """Put in one screening of template_id for each of candidate_ids, or for all candidates."""
        account = self._service.account
        wanted = body.get("candidate_ids", account.candidates)
        candidates = [find_candidate(account, candidate_id) for candidate_id in wanted]
        template = account.templates[body.get("template_id", next(iter(account.templates)))]
        return {"ids": [screening.id for screening in account.insert_screenings(candidates, template)]}

    def change_screening(self, screening_id: str, body: Mapping[str, Any]) -> object:
        """Give a screening any status now, and a score (0 to 100) if wanted."""
        account = self._service.account
        screening = find_screening(account, screening_id)
        account.put_screening(screening, str(body["status"]), body.get("score"))
        return account.views.screening(screening)

    def delete_screening(self, screening_id: str, _body: Mapping[str, Any]) -> object:
        """Delete a screening."""
        account = self._service.account
        account.delete_screening(find_screening(account, screening_id))
        return {}

    def invitations(self, _id: str, _body: Mapping[str, Any]) -> object:
        """List the invitations that were sent."""
        return self._service.account.invitations

    def webhooks(self, _id: str, _body: Mapping[str, Any]) -> object:
        """List the deliveries, the latest last."""
        return [delivery.shown() for delivery in self._service.outbox.deliveries]

    def change_webhooks(self, _id: str, body: Mapping[str, Any]) -> object:
        """Set where webhooks go: url (null is nowhere), secret, loss and duplication (shares)."""
        outbox = self._service.outbox
        outbox.webhook = outbox.webhook.changed(**body)
        return outbox.webhook.model_dump(exclude={"secret"})

    def change_clock(self, _id: str, body: Mapping[str, Any]) -> object:
        """Let advance seconds pass at once, or set the server's clock skew seconds wrong."""
        clock = self._service.clock
        clock.advance(float(body.get("advance", 0)))
        clock.skew = float(body.get("skew", clock.skew))
        return {"now": clock.now(), "skew": clock.skew}


ACTIONS: Mapping[str, Action] = {
    f"GET {PREFIX}": Control.describe,
    f"GET {PREFIX}/counters": Control.counters,
    f"DELETE {PREFIX}/counters": Control.clear_counters,
    f"POST {PREFIX}/reset": Control.reset,
    f"GET {PREFIX}/faults": Control.faults,
    f"POST {PREFIX}/faults": Control.add_fault,
    f"DELETE {PREFIX}/faults": Control.clear_faults,
    f"POST {PREFIX}/candidates": Control.insert_candidates,
    f"PATCH {PREFIX}/candidates/:id": Control.change_candidate,
    f"DELETE {PREFIX}/candidates/:id": Control.delete_candidate,
    f"POST {PREFIX}/screenings": Control.insert_screenings,
    f"PATCH {PREFIX}/screenings/:id": Control.change_screening,
    f"DELETE {PREFIX}/screenings/:id": Control.delete_screening,
    f"GET {PREFIX}/invitations": Control.invitations,
    f"GET {PREFIX}/webhooks": Control.webhooks,
    f"PATCH {PREFIX}/webhooks": Control.change_webhooks,
    f"PATCH {PREFIX}/clock": Control.change_clock,
}


def _action_of(request: Request) -> tuple[Action, str]:
    parts = request.path.rstrip("/").split("/")
    identifier = parts[3] if len(parts) > 3 else ""
    if identifier:
        parts[3] = ":id"
    action = ACTIONS.get(f"{request.method} {'/'.join(parts)}")
    if action is None:
        raise ApiError(404, f"There is no such action: GET {PREFIX} lists them")
    return action, identifier


def _count(body: Mapping[str, Any]) -> int:
    count = body["count"]
    if not isinstance(count, int) or not 0 <= count <= MAX_INSERTED:
        raise ValueError(f"count must be a whole number from 0 to {MAX_INSERTED}")
    return count
