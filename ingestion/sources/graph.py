"""Asking Meta's Graph API, through Meta's own library, for one connection.

The access token travels in the address of each request, so that no address and no message of an exception is ever
logged or kept.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import requests
from facebook_business.adobjects.lead import Lead
from facebook_business.adobjects.leadgenform import LeadgenForm
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookError, FacebookRequestError
from facebook_business.session import FacebookSession

from crm.inbox.connections import Connection
from crm.inbox.reading import NotNow, Unusable
from crm.settings import settings
from ingestion.sources import usage

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds the Graph API may take to answer."""
PAGE = 100
"""Leads asked for at once."""
FIELDS = [
    Lead.Field.id, Lead.Field.created_time, Lead.Field.ad_id, Lead.Field.ad_name, Lead.Field.adset_id,
    Lead.Field.adset_name, Lead.Field.campaign_id, Lead.Field.campaign_name, Lead.Field.form_id,
    Lead.Field.is_organic, Lead.Field.platform, Lead.Field.field_data, Lead.Field.custom_disclaimer_responses,
]  # fmt: skip
LIMITED = frozenset({4, 17, 32, 613, *range(80000, 80015)})
"""Error codes of the Graph API's limits: nobody asks for a while."""
BUSY = frozenset({1, 2, 341, 368})
"""Error codes of trouble of its own, which passes."""
TOKEN = frozenset({102, 190, 463, 467})
"""Error codes of a token that has ended: somebody has to bring a new one."""


@dataclass(frozen=True, slots=True)
class Page:
    """Leads of a form as Graph tells them, and the cursor of the page after them, if there is one."""

    leads: list[Mapping[str, Any]]
    following: str | None


class GraphClient:
    """Asks the Graph API with a connection's token. Its calls wait: use it in a thread of its own."""

    def __init__(self, connection: Connection, *, as_app: bool = False) -> None:
        logging.getLogger("urllib3").setLevel(logging.WARNING)  # below that it tells every address, with the token
        secrets = connection.secrets
        token = f"{secrets['app_id']}|{secrets['app_secret']}" if as_app else secrets["access_token"]
        self._session = FacebookSession(app_secret=secrets["app_secret"], access_token=token, timeout=PATIENCE)
        self._session.GRAPH = settings().graph_url.rstrip("/")
        self._session.requests.hooks["response"].append(self._listen)
        self._api = FacebookAdsApi(self._session)
        self.pause: timedelta | None = None
        """How long the API wants to be left in peace, by its last answer."""

    def _listen(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        self.pause = usage.pause(answer.headers.get(usage.HEADER))

    def lead(self, leadgen_id: str) -> Mapping[str, Any]:
        """Return one lead.

        :raises Unusable: when it cannot be had.
        :raises NotNow: when the API does not answer, has had enough of us, or wants a new token.
        """
        return self._ask(lambda: dict(Lead(leadgen_id, api=self._api).api_get(fields=FIELDS).export_all_data()))

    def leads(self, form_id: str, *, since: datetime, until: datetime, after: str | None) -> Page:
        """Return a page of a form's leads that were made in a window (UTC, `until` not included); see `lead`."""
        window = [
            {"field": "time_created", "operator": "GREATER_THAN", "value": int(since.timestamp()) - 1},
            {"field": "time_created", "operator": "LESS_THAN", "value": int(until.timestamp())},
        ]
        wanted = {"limit": PAGE, "filtering": window, **({"after": after} if after else {})}

        def ask() -> Page:
            found = LeadgenForm(form_id, api=self._api).get_leads(fields=FIELDS, params=wanted)
            following = found.params.get("after")
            leads = [found[n].export_all_data() for n in range(len(found))]
            return Page(leads, following if following != after else None)

        return self._ask(ask)

    def page_of(self, form_id: str) -> str:
        """Return the id of the page a form belongs to, empty when the API does not say; see `lead`."""
        wanted = [LeadgenForm.Field.page_id]
        return self._ask(
            lambda: str(LeadgenForm(form_id, api=self._api).api_get(fields=wanted).export_all_data().get("page_id", ""))
        )

    def debug_token(self, token: str) -> Mapping[str, Any]:
        """Return what the API knows of a token; see `lead`."""
        return self._ask(lambda: self._get("debug_token", input_token=token)["data"])

    def exchange(self, connection: Connection) -> Mapping[str, Any]:
        """Return a fresh long-lived token for the connection's own; see `lead`."""
        secrets = connection.secrets
        return self._ask(
            lambda: self._get(
                "oauth", "access_token", grant_type="fb_exchange_token", client_id=secrets["app_id"],
                client_secret=secrets["app_secret"], fb_exchange_token=secrets["access_token"],
            )
        )  # fmt: skip

    def _get(self, *path: str, **parameters: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._api.call("GET", path, params=parameters).json()
        return found

    def _ask(self, call: Callable[[], T]) -> T:
        with self._session.requests, self._refusals():
            return call()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except FacebookRequestError as error:
            raise self._refusal(error) from None
        except (requests.RequestException, FacebookError):
            raise NotNow("meta.unreachable") from None
        except (KeyError, TypeError, AttributeError, ValueError):
            raise Unusable("meta.malformed", by_provider=True) from None

    def _refusal(self, error: FacebookRequestError) -> NotNow | Unusable:
        code = error.api_error_code()
        if code in TOKEN:
            return NotNow("meta.token")
        if code in LIMITED:
            return NotNow("meta.limited", wait=self.pause or usage.SHORT)
        if code in BUSY or error.api_transient_error() or (error.http_status() or 500) >= 500:
            return NotNow("meta.busy", wait=self.pause)
        return Unusable(f"meta.refused_{code}" if isinstance(code, int) else "meta.refused", by_provider=True)
