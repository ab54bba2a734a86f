"""Landing what outside systems sent, as it came: the same answer twice is one row, a changed answer a new version.

A version seen again is dated anew, so that the latest version is what the platform says now, also when it takes a
correction back.

What lands here holds no personal data: advertising reports, catalogues of campaigns. Nothing reads the landing but the
pipeline, and that only what passed the gate at the border (`expectations`).

A report lands as a complete set: all rows of one advertising account and day in one payload, under one natural key, so
that rows a platform takes back vanish with the version that had them.

* Meta insights (`source` "meta", `endpoint` "insights"): `{"data": [row, …], "paging": {…}}`, rows as the Graph API
  gives them at the level of ads: `account_id, account_currency, campaign_id, adset_id, ad_id, date_start, spend`
  (decimal text, major units), `impressions, clicks, actions`. A set with `paging.next` is not complete.
* Google Ads (`source` "google", `endpoint` "performance"): `{"results": [row, …]}`, rows as SearchStream gives them as
  JSON: `customer.{id,currencyCode}, campaign.id, adGroup.id, adGroupAd.ad.id, segments.date,
  metrics.{costMicros,impressions,clicks,conversions}`. A set with `nextPageToken` is not complete.
* Rates of exchange (`source` "fx", `endpoint` "daily_rates", `window` their day): `{"base": "TRY", "rates": {"EUR":
  "38.10", …}}`, how much of the base one unit of a currency is worth; the key is `report_key` of the base and the day.

The zone in which an account counts its days stands in each row: `account_timezone` (Meta, added by who pulls it),
`customer.timeZone` (Google); without one the firm's own zone is taken.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from crm import ids
from crm.db import Tx

LAND = """
insert into raw.api_payload (tenant_id, id, source, endpoint, natural_key, window_start, window_end, payload_sha256,
                             payload, fetched_at, api_version, run_id)
values ($1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::date, $7::date, $8::bytea, $9::jsonb, $10::timestamptz,
        $11::text, $12::text)
on conflict (tenant_id, source, endpoint, natural_key, payload_sha256) do update
   set fetched_at = excluded.fetched_at where api_payload.fetched_at < excluded.fetched_at
returning id
"""


def report_key(account: str, day: date) -> str:
    """Return the natural key of an account's report of one day; days count in the account's own zone."""
    return f"{account}:{day.isoformat()}"


async def land(
    tx: Tx,
    source: str,
    endpoint: str,
    natural_key: str,
    payload: Mapping[str, Any],
    *,
    window: tuple[date, date] | None = None,
    now: datetime,
    api_version: str | None = None,
    run_id: str | None = None,
) -> UUID | None:
    """Store one answer of an outside system; return its id, or None when exactly this answer has landed before.

    `natural_key` names what the answer is about (`report_key` for reports), `window` its first and last day.
    """
    candidate = ids.new()
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    first, last = window or (None, None)
    landed: UUID | None = await tx.fetchval(
        LAND, tx.actor.tenant_id, candidate, source, endpoint, natural_key, first, last,
        hashlib.sha256(text.encode()).digest(), text, now, api_version, run_id,
    )  # fmt: skip
    return landed if landed == candidate else None
