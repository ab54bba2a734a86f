"""Google's lead form webhook: the lead is in the message. Columns are known by their id; names may be missing."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from crm.inbox.connections import Connection
from crm.inbox.operations import Unusable
from crm.leads.intake import NewLead
from ingestion.sources import answers

KNOWN = frozenset(
    {"FULL_NAME", "FIRST_NAME", "LAST_NAME", "PHONE_NUMBER", "WORK_PHONE", "EMAIL", "WORK_EMAIL", "COUNTRY"}
)
"""Columns with a place of their own in a lead."""


async def parse(body: bytes, connection: Connection) -> Sequence[NewLead]:
    """Return the lead of a message.

    :raises Unusable: when it is not one of Google's.
    """
    try:
        sent = json.loads(body)
        columns = {
            answers.text(each["column_id"]): answers.text(each.get("string_value", ""))
            for each in sent["user_column_data"]
        }
        lead_id = answers.text(sent["lead_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unusable("google.malformed") from None
    return [_lead(sent, lead_id, columns, connection)]


def _lead(sent: Mapping[str, Any], lead_id: str, columns: Mapping[str, str], connection: Connection) -> NewLead:
    asked = {
        column: value for column, value in columns.items() if answers.is_consent_question(column, connection.consents)
    }
    rest = {name: value for name, value in columns.items() if name not in KNOWN and name not in asked}
    is_test = bool(sent.get("is_test"))
    return NewLead(
        source="google",
        external_id=lead_id,
        name=answers.full_name(columns, "FULL_NAME", "FIRST_NAME", "LAST_NAME"),
        phone=columns.get("PHONE_NUMBER") or columns.get("WORK_PHONE", ""),
        email=columns.get("EMAIL") or columns.get("WORK_EMAIL", ""),
        country=_country(columns.get("COUNTRY", "")),
        team_id=connection.team_id,
        platform="google",
        campaign=_id(sent, "campaign_id"),
        adset=_id(sent, "adgroup_id"),
        ad=_id(sent, "creative_id") or _id(sent, "asset_group_id"),
        form=_id(sent, "form_id"),
        click_ids={"gclid": answers.text(sent["gcl_id"])} if sent.get("gcl_id") else {},
        attributes=answers.attributes(rest),
        consents=answers.consents(asked.items(), connection.consents, form=_id(sent, "form_id")),
        acquired_at=_instant(sent.get("lead_submit_time")),
        is_test=is_test,
    )


def _id(sent: Mapping[str, Any], name: str) -> str | None:
    return answers.text(sent[name]) if sent.get(name) else None


def _country(text: str) -> str:
    return text.upper() if len(text) == 2 and text.isalpha() and text.isascii() else ""


def _instant(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
