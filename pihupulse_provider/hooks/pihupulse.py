"""The hook: an Airflow connection made into clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import BaseHook
from asgiref.sync import sync_to_async

from pihupulse_provider import connection_form
from pihupulse_provider.api.errors import (
    ForbiddenError,
    PihuPulseError,
    RateLimitedError,
    TransportError,
    UnauthorizedError,
)

# A DAG file imports this module too, and has no need of clients, models and databases: they come with first use.
if TYPE_CHECKING:
    from pihupulse_provider.api import (
        Account,
        AsyncClient,
        Candidate,
        Client,
        NewCandidate,
        NewScreening,
        Page,
        RateLimit,
        Report,
        Screening,
        Template,
    )
    from pihupulse_provider.store.engine import Store
    from pihupulse_provider.store.ledger import Ledger

T = TypeVar("T")
_DIAGNOSES: tuple[tuple[type[PihuPulseError], str], ...] = (
    (UnauthorizedError, "PihuPulse does not accept this API key: check it in the dashboard under Settings → API."),
    (ForbiddenError, "PihuPulse knows this API key, but it may not list the screening templates."),
    (RateLimitedError, "Connected, but the account's rate limit is used up at the moment."),
    (TransportError, "PihuPulse can't be reached. {error}"),
    (PihuPulseError, "{error}"),
)


class PihuPulseHook(BaseHook):
    """Talks to PihuPulse with the key and the limit of an Airflow connection.

    Every hook of an account, in every process that uses the same ``[pihupulse] store_url``, shares one rate limit.

    :param pihupulse_conn_id: the connection: its password is the API key, its host the base URL
        (``https://api.pihupulse.com/v1`` when empty).
    """

    conn_name_attr = "pihupulse_conn_id"
    default_conn_name = connection_form.DEFAULT_CONN_ID
    conn_type = connection_form.CONN_TYPE
    hook_name = connection_form.HOOK_NAME

    def __init__(self, pihupulse_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pihupulse_conn_id = pihupulse_conn_id
        self._client: Client | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form shows the standard fields (Airflow 3.0 and 3.1 ask the hook)."""
        return {key.replace("-", "_"): value for key, value in connection_form.UI_FIELD_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields (Airflow 3.0 and 3.1 ask the hook)."""
        return connection_form.widgets()

    @cached_property
    def account(self) -> Account:
        """Return the account that the connection stands for.

        :raises ConfigurationError: saying what of the connection can't work.
        """
        from pihupulse_provider.hooks.connection import read_account

        return read_account(self.get_connection(self.pihupulse_conn_id))

    @cached_property
    def webhook_secrets(self) -> list[str]:
        """Return the secrets that sign the account's webhooks; several while they are rotated."""
        from pihupulse_provider.hooks.connection import read_extras

        return read_extras(self.get_connection(self.pihupulse_conn_id)).webhook_secrets()

    @cached_property
    def store(self) -> Store:
        """Return the store of ``[pihupulse] store_url``."""
        from pihupulse_provider.hooks import settings

        return settings.store()

    @cached_property
    def ledger(self) -> Ledger:
        """Return the account's ledger of what was created."""
        from pihupulse_provider.store.ledger import Ledger

        return Ledger(self.store, self.account)

    @property
    def limit(self) -> RateLimit:
        """Return the account's rate limit, shared through the store."""
        from pihupulse_provider.store.limits import shared_rate_limit

        limit = shared_rate_limit(self.store, self.account.key, self.account.plan)
        limit.known_as(self.pihupulse_conn_id)
        return limit

    def get_conn(self) -> Client:
        """Return the blocking client; the hook shares it, and it closes itself when nobody has it any more.

        When somebody has closed it, the next call makes a new one.
        """
        from pihupulse_provider.api.client import Client

        if self._client is None or self._client.is_closed:
            self._client = Client(self.account, limit=self.limit)
        return self._client

    def connect(self) -> AsyncClient:
        """Return a new client for an event loop that is about to run; close it, or use it as a context manager."""
        from pihupulse_provider.api.async_client import AsyncClient

        return AsyncClient(self.account, limit=self.limit)

    async def get_async_account(self) -> Account:
        """Return the account without blocking the event loop."""
        return await _in_thread(lambda: self.account)

    async def get_async_conn(self) -> AsyncClient:
        """Return a new client for the running event loop; close it, or use it as a context manager."""
        return await _in_thread(self.connect)

    def list_candidates(self, page: int = 1, limit: int = 100, status: str | None = None) -> Page[Candidate]:
        """Return one page of candidates (API reference, "List Candidates")."""
        return self.get_conn().list_candidates(page, limit, status)

    def iter_candidates(self, status: str | None = None) -> Iterator[Candidate]:
        """Return all candidates, page by page as they are asked for."""
        return self.get_conn().iter_candidates(status)

    def find_candidate(self, email: str) -> Candidate | None:
        """Return a candidate with an e-mail address, compared as mail systems do; None if there is none.

        The API has no search: this reads the list until it is found, 100 candidates a request.

        :raises IncompleteReadError: if it is not found, and the list can't be read whole.
        """
        from pihupulse_provider.api.async_client import run_to_end
        from pihupulse_provider.creating.lookup import find_candidate

        with ThreadPoolExecutor(1) as thread:  # whoever calls may have an event loop in this one
            return thread.submit(run_to_end, find_candidate(self.connect(), email)).result()

    def get_candidate(self, candidate_id: str | int) -> Candidate:
        """Return one candidate with its details (API reference, "Get Candidate")."""
        return self.get_conn().get_candidate(candidate_id)

    def create_candidate(self, candidate: NewCandidate) -> Candidate:
        """Send one POST (API reference, "Create Candidate"); the operators are what creates exactly once."""
        return self.get_conn().create_candidate(candidate)

    def list_screenings(self, page: int = 1, limit: int = 100) -> Page[Screening]:
        """Return one page of screenings (API reference, "List Screenings")."""
        return self.get_conn().list_screenings(page, limit)

    def iter_screenings(self) -> Iterator[Screening]:
        """Return all screenings, page by page as they are asked for."""
        return self.get_conn().iter_screenings()

    def create_screening(self, screening: NewScreening) -> Screening:
        """Send one POST (API reference, "Create Screening"); the operators are what creates exactly once."""
        return self.get_conn().create_screening(screening)

    def list_templates(self) -> list[Template]:
        """Return the screening templates (API reference, "List Templates")."""
        return self.get_conn().list_templates()

    def get_report(self, screening_id: str | int) -> Report:
        """Return a completed screening's report (API reference, "Get Screening Report")."""
        return self.get_conn().get_report(screening_id)

    def test_connection(self) -> tuple[bool, str]:
        """Ask once for the templates, and say in a sentence what came of it."""
        from pihupulse_provider.api.client import Client
        from pihupulse_provider.api.retry import RetryPolicy

        try:
            once = RetryPolicy(attempts=1, limited_attempts=0)
            with Client(self.account, limit=self.limit, retry=once) as client:
                templates = client.list_templates()
        except PihuPulseError as error:
            return isinstance(error, RateLimitedError), _diagnosis(error)
        return True, f"Connected to {self.account.base_url}: {len(templates)} screening templates."


def _diagnosis(error: PihuPulseError) -> str:
    return next(text for kind, text in _DIAGNOSES if isinstance(error, kind)).format(error=error)


async def _in_thread(make: Callable[[], T]) -> T:
    # Not a plain thread: before Airflow 3.3.2 a triggerer reads connections, and masks their extras, for the
    # threads of asgiref only.
    return await sync_to_async(make)()
