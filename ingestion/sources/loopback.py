"""A Graph API on loopback, with the real one's shapes, for tests and the demo: it keeps test leads and tells them.

Leads are put in as with the real one, by `POST /{version}/{form_id}/test_leads`; they are asked for by id or by form,
page after page, with a token that can be asked about and exchanged.
"""

import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from crm.inbox.signatures import meta_signature

PAGE = "100200300400500"
FIRST_ID = 1_000_000_000_000_001
"""Ids of Meta's leads have 15 to 17 digits."""

Webhook = tuple[bytes, dict[str, str]]
"""The body of a webhook and the headers that make it Meta's."""


class Graph:
    """The server's leads. `app` is the ASGI application; `refuse_with` makes it answer errors for a while."""

    def __init__(self, *, access_token: str, first_id: int = FIRST_ID) -> None:
        self.access_token = access_token
        self.leads: dict[str, dict[str, Any]] = {}
        self.refuse_with: tuple[int, int] | None = None
        """HTTP status and error code of every answer, when something is wrong with Meta."""
        self.asked = 0
        self.usage: dict[str, Any] | None = None
        """What it says of its limits with every answer (`X-Business-Use-Case-Usage`)."""
        self.token_ends: datetime | None = None
        """When the token ends; None: never."""
        self.page_of: dict[str, str] = {}
        """Whose page a form is; one that nobody named is the page of `webhook`."""
        self.largest_page = 100
        self.most: int | None = None
        """Answers before it refuses everything, when something is to go wrong in the middle."""
        self._ids = itertools.count(first_id)
        self.app = Starlette(
            routes=[
                Route("/{version}/{form_id}/test_leads", self._store, methods=["POST"]),
                Route("/{version}/{form_id}/leads", self._list),
                Route("/{version}/debug_token", self._debug),
                Route("/{version}/oauth/access_token", self._exchange),
                Route("/{version}/{node_id}", self._tell),
                Route("/{version}/{node_id}/", self._tell),
            ]
        )

    def put(self, field_data: Mapping[str, str], *, at: datetime | None = None, **more: Any) -> str:
        """Keep a lead and return its id; `more` are further fields of Graph's lead (`ad_id`, `is_organic`, …)."""
        lead_id = str(next(self._ids))
        created = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S+0000")
        self.leads[lead_id] = {
            "id": lead_id,
            "created_time": created,
            "field_data": [{"name": name, "values": [value]} for name, value in field_data.items()],
            **more,
        }
        return lead_id

    async def _store(self, request: Request) -> JSONResponse:
        form = await request.form()
        if form.get("access_token") != self.access_token:
            return refusal(401, 190, "Invalid OAuth access token.")
        given = json.loads(str(form.get("lead", "{}")))
        fields = {each["name"]: each["values"][0] for each in json.loads(str(form["field_data"]))}
        lead_id = self.put(fields, form_id=request.path_params["form_id"], **given)
        return JSONResponse({"id": lead_id})

    async def _tell(self, request: Request) -> JSONResponse:
        if refused := self._refuse(request):
            return refused
        node_id = request.path_params["node_id"]
        if request.query_params.get("fields") == "page_id":
            return self._answer({"id": node_id, "page_id": self.page_of.get(node_id, PAGE)})
        lead = self.leads.get(node_id)
        if lead is None:
            return refusal(400, 100, "Unsupported get request.", error_subcode=33)
        return self._answer(_shown(lead, request))

    async def _list(self, request: Request) -> JSONResponse:
        """Tell a page of a form's leads, the latest first, of the window that the filters name."""
        if refused := self._refuse(request):
            return refused
        query = request.query_params
        leads = [lead for lead in self.leads.values() if lead.get("form_id") == request.path_params["form_id"]]
        for each in json.loads(query.get("filtering", "[]")):
            leads = [lead for lead in leads if _passes(lead, each)]
        leads.sort(key=lambda lead: (lead["created_time"], lead["id"]), reverse=True)
        begin = next((n + 1 for n, lead in enumerate(leads) if lead["id"] == query.get("after")), 0)
        page = leads[begin : begin + min(int(query.get("limit", 25)), self.largest_page)]
        paging: dict[str, Any] = {"cursors": {"before": page[0]["id"], "after": page[-1]["id"]}} if page else {}
        if page and leads[-1] is not page[-1]:
            paging["next"] = "https://graph.facebook.com/the-real-one-gives-its-own-address-here"
        return self._answer({"data": [_shown(lead, request) for lead in page], "paging": paging})

    async def _debug(self, request: Request) -> JSONResponse:
        self.asked += 1
        if self.refuse_with:
            return refusal(*self.refuse_with, "An error was asked for.")
        ends = int(self.token_ends.timestamp()) if self.token_ends else 0
        is_ours = request.query_params.get("input_token") == self.access_token
        return self._answer({"data": {"is_valid": is_ours, "expires_at": ends if is_ours else 0, "type": "USER"}})

    async def _exchange(self, request: Request) -> JSONResponse:
        if request.query_params.get("fb_exchange_token") != self.access_token:
            return refusal(401, 190, "Invalid OAuth access token.")
        self.access_token = f"{self.access_token}+"
        self.token_ends = datetime.now(UTC) + timedelta(days=60)
        return self._answer({"access_token": self.access_token, "token_type": "bearer", "expires_in": 60 * 86400})

    def _refuse(self, request: Request) -> JSONResponse | None:
        self.asked += 1
        if self.refuse_with:
            return self._with_usage(refusal(*self.refuse_with, "An error was asked for."))
        if self.most is not None and self.asked > self.most:
            return refusal(503, 2, "An error was asked for.")
        if request.query_params.get("access_token") != self.access_token:
            return refusal(401, 190, "Invalid OAuth access token.")
        return None

    def _answer(self, content: Mapping[str, Any]) -> JSONResponse:
        return self._with_usage(JSONResponse(content))

    def _with_usage(self, answer: JSONResponse) -> JSONResponse:
        if self.usage:
            answer.headers["X-Business-Use-Case-Usage"] = json.dumps({PAGE: [self.usage]})
        return answer


def _shown(lead: Mapping[str, Any], request: Request) -> dict[str, Any]:
    wanted = [*request.query_params.get("fields", "created_time,field_data").split(","), "id"]
    return {name: value for name, value in lead.items() if name in wanted}


def _passes(lead: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Tell whether a lead passes one filter on the time it was made (seconds since 1970)."""
    made = datetime.strptime(lead["created_time"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    value = float(condition["value"])
    return made > value if condition["operator"] == "GREATER_THAN" else made < value


def refusal(status: int, code: int, message: str, **more: int) -> JSONResponse:
    """Return an error in Graph's shape."""
    error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A0loopback", **more}
    return JSONResponse({"error": error}, status)


def webhook(lead: Mapping[str, Any], *, app_secret: str, page_id: str = PAGE, at: datetime) -> Webhook:
    """Return what Meta sends when a lead arrives, signed with the app's secret."""
    value = {
        "leadgen_id": lead["id"],
        "page_id": page_id,
        "form_id": lead.get("form_id", ""),
        "created_time": int(at.timestamp()),
        **({"ad_id": lead["ad_id"], "adgroup_id": lead.get("adset_id", "")} if lead.get("ad_id") else {}),
    }
    entry = {"id": page_id, "time": int(at.timestamp()), "changes": [{"field": "leadgen", "value": value}]}
    body = json.dumps({"object": "page", "entry": [entry]}, separators=(",", ":")).encode()
    return body, {"X-Hub-Signature-256": meta_signature(body, app_secret), "Content-Type": "application/json"}
