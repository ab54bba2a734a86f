"""Google's lead forms: the lead is in the webhook's message. Columns are known by their id; names may be missing.

A submission that was pulled (`ingestion.sources.ads`) is kept as it came, and read as if the webhook had brought it.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crm.inbox.connections import Connection
from crm.inbox.reading import Reading, Unusable
from crm.leads.intake import NewLead
from ingestion.sources import answers

KNOWN = frozenset(
    {"FULL_NAME", "FIRST_NAME", "LAST_NAME", "PHONE_NUMBER", "WORK_PHONE", "EMAIL", "WORK_EMAIL", "COUNTRY"}
)
"""Columns with a place of their own in a lead."""


PULLED = "lead_form_submission_data"
"""What our own envelope around a submission that was pulled says it is; webhooks say nothing of the kind."""
COLUMN_OF = {"GIVEN_NAME": "FIRST_NAME", "FAMILY_NAME": "LAST_NAME"}
"""Kinds of field which the Ads API calls otherwise than the webhook."""


async def parse(body: bytes, connection: Connection) -> Reading:
    """Return the lead of a message.

    :raises Unusable: when it is not one of Google's.
    """
    try:
        sent = json.loads(body)
        campaigns = {}
        if sent.get("object") == PULLED:
            campaigns = _campaigns(sent["row"])
            sent = _as_webhook(sent["row"])
        columns = {
            answers.text(each["column_id"]): answers.text(each.get("string_value", ""))
            for each in sent["user_column_data"]
        }
        lead_id = answers.text(sent["lead_id"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unusable("google.malformed") from None
    lead = _lead(sent, lead_id, columns, connection)
    wanted = lead.click_ids.get("gclid") if connection.has_access and not lead.is_test else None
    return Reading([lead], campaigns=campaigns, clicks={lead_id: wanted} if wanted else {})


def envelope(row: Mapping[str, Any]) -> bytes:
    """Return a row that was pulled as the body of a message: the same row, the same bytes."""
    return json.dumps({"object": PULLED, "row": row}, sort_keys=True, separators=(",", ":")).encode()


def _campaigns(row: Mapping[str, Any]) -> dict[str, str]:
    campaign = row.get("campaign") or {}
    if not (campaign.get("id") and campaign.get("name")):
        return {}
    return {answers.text(campaign["id"]): answers.text(campaign["name"])[: answers.LONGEST_VALUE]}


def _as_webhook(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the Ads API (JSON names of its fields) in the shape of the webhook.

    Resources are named by paths, as in `customers/1/adGroupAds/2~3`; the webhook sends their last id.
    """
    found = row["leadFormSubmissionData"]
    fields = [(each["fieldType"], each.get("fieldValue", "")) for each in found.get("leadFormSubmissionFields", [])]
    own = [
        (each["questionText"], each.get("fieldValue", ""))
        for each in found.get("customLeadFormSubmissionFields", [])
    ]  # fmt: skip
    return {
        "lead_id": found["id"],
        "user_column_data": [
            {"column_id": COLUMN_OF.get(column, column), "string_value": value} for column, value in [*fields, *own]
        ],
        "form_id": _last_id(found.get("asset")),
        "campaign_id": _last_id(found.get("campaign")),
        "adgroup_id": _last_id(found.get("adGroup")),
        "creative_id": _last_id(found.get("adGroupAd")),
        "gcl_id": found.get("gclid"),
        "lead_submit_time": found.get("submissionDateTime"),
    }


def _last_id(path: str | None) -> str:
    return re.split(r"[/~]", path)[-1] if path else ""


def _lead(sent: Mapping[str, Any], lead_id: str, columns: Mapping[str, str], connection: Connection) -> NewLead:
    asked = {
        column: value for column, value in columns.items() if answers.is_consent_question(column, connection.consents)
    }
    rest = {name: value for name, value in columns.items() if name not in KNOWN and name not in asked}
    country = _country(columns.get("COUNTRY", ""))
    return NewLead(
        source="google",
        external_id=lead_id,
        name=answers.full_name(columns, "FULL_NAME", "FIRST_NAME", "LAST_NAME"),
        phone=columns.get("PHONE_NUMBER") or columns.get("WORK_PHONE", ""),
        email=columns.get("EMAIL") or columns.get("WORK_EMAIL", ""),
        country=country,
        team_id=connection.team_id,
        platform="google",
        campaign=_id(sent, "campaign_id"),
        adset=_id(sent, "adgroup_id"),
        ad=_id(sent, "creative_id") or _id(sent, "asset_group_id"),
        form=_id(sent, "form_id"),
        keyword=answers.keyword(rest),
        geography=answers.geography(rest, country),
        click_ids={"gclid": answers.text(sent["gcl_id"])} if sent.get("gcl_id") else {},
        attributes=answers.attributes(rest),
        consents=answers.consents(asked.items(), connection.consents, form=_id(sent, "form_id"), lead=lead_id),
        acquired_at=_instant(sent.get("lead_submit_time")),
        is_test=bool(sent.get("is_test")),
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
