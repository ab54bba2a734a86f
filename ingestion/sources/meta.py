"""Meta's lead ads: the webhook names leads by their id, the Graph API tells what is in them.

What the Graph API tells is kept, sealed, as the message's body: it is the evidence of what was asked and agreed to, and
a second look needs no second question. Answers to consent boxes are not among the fields but in
`custom_disclaimer_responses`.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crm.inbox.connections import Connection
from crm.inbox.reading import Reading, Unusable
from crm.leads.intake import NewLead
from ingestion.sources import answers
from ingestion.sources.graph import GraphClient

KNOWN = frozenset(
    {"full_name", "first_name", "last_name", "phone_number", "work_phone_number", "email", "work_email", "country"}
)
"""Fields with a place of their own in a lead."""
DUMMY = "<test lead:"
"""How the answers of Meta's own testing tool begin."""
FETCHED = "lead"
"""What our own envelope around a lead that was fetched says it is; Meta's webhooks say `page`."""


async def parse(body: bytes, connection: Connection) -> Reading:
    """Return the lead a message names, fetched from the Graph API; other changes of a page are passed over.

    A message that names several is divided, so that each lead has its own fate.

    :raises Unusable: when it is no message of Meta's, or a lead cannot be had.
    :raises NotNow: when the Graph API does not answer, has had enough of us, or wants a new token.
    """
    try:
        sent = json.loads(body)
        if sent.get("object") == FETCHED:
            return _reading(sent["lead"], sent["named"], connection)
        named = list(_named(sent))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unusable("meta.malformed") from None
    if len(named) > 1:
        return Reading(parts=[_message_of(each) for each in named])
    if not named:
        return Reading()
    client = GraphClient(connection)
    found = await asyncio.to_thread(client.lead, named[0]["leadgen_id"])
    return _reading(found, named[0], connection, fetched=envelope(found, named[0]), client=client)


def _named(sent: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if sent.get("object") != "page":
        raise ValueError
    for entry in sent["entry"]:
        for change in entry.get("changes", []):
            if change["field"] == "leadgen":
                yield {**change["value"], "leadgen_id": str(int(change["value"]["leadgen_id"]))}


def _message_of(named: Mapping[str, Any]) -> bytes:
    change = {"field": "leadgen", "value": dict(named)}
    return _bytes({"object": "page", "entry": [{"id": named.get("page_id"), "changes": [change]}]})


def envelope(found: Mapping[str, Any], named: Mapping[str, Any]) -> bytes:
    """Return a lead as Graph tells it, with what named it, as the body of a message: the same lead, the same bytes."""
    return _bytes({"object": FETCHED, "lead": dict(found), "named": dict(named)})


def _bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _reading(
    found: Mapping[str, Any],
    named: Mapping[str, Any],
    connection: Connection,
    *,
    fetched: bytes | None = None,
    client: GraphClient | None = None,
) -> Reading:
    lead = lead_of(found, named, connection)
    name = found.get("campaign_name")
    campaigns = {lead.campaign: answers.text(name)[: answers.LONGEST_VALUE]} if lead.campaign and name else {}
    return Reading([lead], body=fetched, campaigns=campaigns, pause=client and client.pause)


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
        lead_id = answers.text(named["leadgen_id"])
    except (KeyError, TypeError, AttributeError, IndexError):
        raise Unusable("meta.malformed") from None
    is_test = any(value.startswith(DUMMY) for value in fields.values())
    fields = {name: value for name, value in fields.items() if not value.startswith(DUMMY)}
    form = found.get("form_id") or named.get("form_id")
    told = {
        "publisher": answers.text(found.get("platform") or ""),
        "is_organic": "true" if found.get("is_organic") else "",
        "page": answers.text(named.get("page_id") or ""),
        "ad_name": answers.text(found.get("ad_name") or ""),
        "adset_name": answers.text(found.get("adset_name") or ""),
    }
    country = _country(fields.get("country", ""))
    unread = {f"box_{key}": value for key, value in boxes if not answers.channels(key, connection.consents)}
    rest = {name: value for name, value in fields.items() if name not in KNOWN}
    return NewLead(
        source="meta",
        external_id=lead_id,
        name=answers.full_name(fields, "full_name", "first_name", "last_name"),
        phone=fields.get("phone_number") or fields.get("work_phone_number", ""),
        email=fields.get("email") or fields.get("work_email", ""),
        country=country,
        team_id=connection.team_id,
        platform="meta",
        campaign=_text(found.get("campaign_id")),
        adset=_text(found.get("adset_id") or named.get("adgroup_id")),
        ad=_text(found.get("ad_id") or named.get("ad_id")),
        form=_text(form),
        keyword=answers.keyword(rest),
        geography=answers.geography(rest, country),
        attributes=answers.attributes({**rest, **told, **unread}),
        consents=answers.consents(
            boxes,
            connection.consents,
            form=_text(form),
            asked_in="custom_disclaimer_responses",
            lead=lead_id,
            given_at=answers.text(found.get("created_time") or ""),
        ),
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
