"""Meta's lead ads: the webhook names leads by their id, the Graph API tells what is in them.

Answers to consent boxes are not among the fields but in `custom_disclaimer_responses`. The access token travels in the
address of each request, so that no address and no message of an exception is ever logged or kept.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import requests
from facebook_business.adobjects.lead import Lead
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookError, FacebookRequestError
from facebook_business.session import FacebookSession

from crm.inbox.connections import Connection
from crm.inbox.operations import NotNow, Unusable
from crm.leads.intake import NewLead
from crm.settings import settings
from ingestion.sources import answers

PATIENCE = 5.0
"""Seconds the Graph API may take to answer."""
FIELDS = [
    Lead.Field.id, Lead.Field.created_time, Lead.Field.ad_id, Lead.Field.adset_id, Lead.Field.campaign_id,
    Lead.Field.form_id, Lead.Field.is_organic, Lead.Field.platform, Lead.Field.field_data,
    Lead.Field.custom_disclaimer_responses,
]  # fmt: skip
KNOWN = frozenset(
    {"full_name", "first_name", "last_name", "phone_number", "work_phone_number", "email", "work_email", "country"}
)
"""Fields with a place of their own in a lead."""
BUSY = frozenset({1, 2, 4, 17, 32, 341, 368, 613, 80005})
"""Error codes of the Graph API that pass: trouble of its own, and its limits."""
TOKEN = frozenset({102, 190, 463, 467})
"""Error codes of a token that has ended: somebody has to bring a new one."""
DUMMY = "<test lead:"
"""How the answers of Meta's own testing tool begin."""


async def parse(body: bytes, connection: Connection) -> Sequence[NewLead]:
    """Return the leads a message names, fetched from the Graph API; other changes of a page are passed over.

    :raises Unusable: when it is no message of Meta's, or a lead cannot be had.
    :raises NotNow: when the Graph API does not answer, has had enough of us, or wants a new token.
    """
    try:
        named = list(_named(json.loads(body)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unusable("meta.malformed") from None
    return [
        lead_of(await asyncio.to_thread(_fetch, each["leadgen_id"], connection), each, connection) for each in named
    ]


def _named(sent: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if sent.get("object") != "page":
        raise ValueError
    for entry in sent["entry"]:
        for change in entry.get("changes", []):
            if change["field"] == "leadgen":
                yield {**change["value"], "leadgen_id": str(int(change["value"]["leadgen_id"]))}


def _fetch(leadgen_id: str, connection: Connection) -> Mapping[str, Any]:
    session = FacebookSession(
        app_secret=connection.secrets["app_secret"], access_token=connection.secrets["access_token"], timeout=PATIENCE
    )
    session.GRAPH = settings().graph_url.rstrip("/")
    with session.requests:
        try:
            found: Mapping[str, Any] = (
                Lead(leadgen_id, api=FacebookAdsApi(session)).api_get(fields=FIELDS).export_all_data()
            )
        except FacebookRequestError as error:
            raise _refusal(error) from None
        except (requests.RequestException, FacebookError):
            raise NotNow("meta.unreachable") from None
    return found


def _refusal(error: FacebookRequestError) -> NotNow | Unusable:
    code = error.api_error_code()
    if code in TOKEN:
        return NotNow("meta.token")
    if code in BUSY or error.api_transient_error() or (error.http_status() or 500) >= 500:
        return NotNow("meta.busy")
    return Unusable(f"meta.refused_{code}" if isinstance(code, int) else "meta.refused")


def lead_of(found: Mapping[str, Any], named: Mapping[str, Any], connection: Connection) -> NewLead:
    """Return a lead as Graph tells it; what the webhook said of the ad fills in what Graph leaves out.

    :raises Unusable: when Graph's answer has not the shape of a lead.
    """
    try:
        fields = {
            answers.text(each["name"]): answers.text((each.get("values") or [""])[0])
            for each in found.get("field_data", [])
        }
        boxes = [
            (answers.text(each["checkbox_key"]), answers.text(each.get("is_checked", "")))
            for each in found.get("custom_disclaimer_responses", [])
        ]
    except (KeyError, TypeError, AttributeError):
        raise Unusable("meta.malformed") from None
    is_test = any(value.startswith(DUMMY) for value in fields.values())
    fields = {name: value for name, value in fields.items() if not value.startswith(DUMMY)}
    form = found.get("form_id") or named.get("form_id")
    told = {
        "publisher": answers.text(found.get("platform") or ""),
        "is_organic": "true" if found.get("is_organic") else "",
    }
    unread = {f"box_{key}": value for key, value in boxes if not answers.channels(key, connection.consents)}
    rest = {name: value for name, value in fields.items() if name not in KNOWN}
    return NewLead(
        source="meta",
        external_id=str(named["leadgen_id"]),
        name=answers.full_name(fields, "full_name", "first_name", "last_name"),
        phone=fields.get("phone_number") or fields.get("work_phone_number", ""),
        email=fields.get("email") or fields.get("work_email", ""),
        country=_country(fields.get("country", "")),
        team_id=connection.team_id,
        platform="meta",
        campaign=_text(found.get("campaign_id")),
        adset=_text(found.get("adset_id") or named.get("adgroup_id")),
        ad=_text(found.get("ad_id") or named.get("ad_id")),
        form=_text(form),
        attributes=answers.attributes({**rest, **told, **unread}),
        consents=answers.consents(boxes, connection.consents, form=_text(form)),
        acquired_at=_instant(found.get("created_time")),
        is_test=is_test,
    )


def _text(value: object) -> str | None:
    return answers.text(value) if value else None


def _country(text: str) -> str:
    return text.upper() if len(text) == 2 and text.isalpha() and text.isascii() else ""


def _instant(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
