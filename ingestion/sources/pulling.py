"""Pulling leads from their sources, page by page: what somebody asks for, and what the webhook may have missed."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from crm import clock, db, jobs, tenancy
from crm.actor import Actor
from crm.inbox import clicks, connections, health, pulls
from crm.inbox.clicks import Lookup
from crm.inbox.connections import Connection, Source
from crm.inbox.pulls import Page, Pull, Told
from crm.inbox.reading import NotNow, Unusable
from ingestion.sources import access, google, meta
from ingestion.sources.ads import AdsClient, Click
from ingestion.sources.graph import GraphClient

AT_ONCE = 500
"""Submissions asked for and landed together."""
MOST_AT_ONCE = 10_000
"""Submissions of one second at which we give up: the API tells no more in an answer."""
CLICKS_AT_ONCE = 200
DAYS = (0, -1, 1)
"""Days on which a click may have been, from the day on which the form was sent: accounts have zones of their own."""


@jobs.task(pulls.TASK)
async def pull(actor: Actor, *, pull_id: UUID) -> None:
    """Ask for one page after the other and land each; a worker that dies leaves the place where the next goes on."""
    while True:
        now = clock.utc_now()
        work = await db.run(actor, lambda tx: pulls.load(tx, pull_id))
        if work.status != "running" or not await _turn(actor, work, now):
            return


async def _turn(actor: Actor, work: Pull, now: datetime) -> bool:
    """Ask a pull's source one thing and keep the answer; tell whether there is to be another turn now."""
    connection = await db.run(actor, lambda tx: connections.load(tx, work.connection_id))
    until = await db.run(actor, lambda tx: health.blocked_until(tx, connection.id, now=now))
    if until:
        await db.run(actor, lambda tx: pulls.put_off(tx, work, "source.resting", wait=until - now, now=now))
        return False
    try:
        goes_on, pause = await _ask(actor, connection, work, now)
    except Unusable as error:
        await _blame(actor, connection, error, now)
        reason = error.reason
        await db.run(actor, lambda tx: pulls.put_off(tx, work, reason, for_good=True, now=now))
        return False
    except NotNow as error:
        await _blame(actor, connection, error, now)
        reason, wait = error.reason, error.wait
        await db.run(actor, lambda tx: pulls.put_off(tx, work, reason, wait=wait, now=now))
        return False
    await db.run(actor, lambda tx: health.answered(tx, connection.id, pause=pause, now=now))
    return goes_on


async def _ask(actor: Actor, connection: Connection, work: Pull, now: datetime) -> tuple[bool, timedelta | None]:
    """Land the next page of a pull, or learn what it wants beforehand; tell whether it goes on, and after what pause.

    :raises Unusable: when its leads cannot be had.
    :raises NotNow: when its source does not answer now.
    """
    if connection.source is Source.meta and work.page is None:
        return True, await _learn_page(actor, connection, work, now)
    page = await _page(actor, connection, work, now)
    await db.run(actor, lambda tx: pulls.land(tx, work, connection.source, page, now=now))
    return page.cursor is not None, page.pause


async def _blame(actor: Actor, connection: Connection, error: NotNow | Unusable, now: datetime) -> None:
    wait = error.wait if isinstance(error, NotNow) else None
    await db.run(actor, lambda tx: health.failed(tx, connection.id, error.reason, wait=wait, now=now))


async def _page(actor: Actor, connection: Connection, work: Pull, now: datetime) -> Page:
    if connection.source is Source.meta:
        return await _meta_page(connection, work)
    client = await access.ads_client(actor, connection, now=now)
    return await asyncio.to_thread(_google_page, client, work)


async def _learn_page(actor: Actor, connection: Connection, work: Pull, now: datetime) -> timedelta | None:
    """Ask whose page a form is, which its leads do not say, and return how long the source wants a pause."""
    client = GraphClient(connection)
    try:
        page_id = await asyncio.to_thread(client.page_of, work.form or "")
    except Unusable:  # its leads come without their page; if the form is at fault, they will say so
        page_id = ""
    await db.run(actor, lambda tx: pulls.learn_page(tx, work, page_id, now=now))
    return client.pause


async def _meta_page(connection: Connection, work: Pull) -> Page:
    client, form = GraphClient(connection), work.form or ""
    found = await asyncio.to_thread(
        lambda: client.leads(form, since=work.since, until=work.until, after=work.cursor)
    )  # fmt: skip
    told = [Told(meta.envelope(lead, _names(lead, work)), str(lead.get("id"))) for lead in found.leads]
    return Page(told, found.following, pause=client.pause)


def _names(lead: Mapping[str, Any], work: Pull) -> dict[str, str]:
    """Return what a webhook would have said of a lead that was pulled."""
    named = {"leadgen_id": str(lead.get("id")), "form_id": work.form or ""}
    return {**named, "page_id": work.page} if work.page else named


def _google_page(client: AdsClient, work: Pull) -> Page:
    """Return the submissions after those of the cursor, the time of the last one landed: that second is told again."""
    begin, limit = datetime.fromisoformat(work.cursor) if work.cursor else work.since, AT_ONCE
    while True:
        rows = client.submissions(since=begin, until=work.until, limit=limit)
        told = [_told(row) for row in rows]
        reached = max((each.made_at for each in told if each.made_at), default=None)
        is_full = len(rows) == limit
        if not is_full or (reached and reached > begin):
            cursor = reached.isoformat() if is_full and reached else None
            return Page(told, cursor, position=reached)
        if limit >= MOST_AT_ONCE:  # more in one second than an answer holds
            raise Unusable("google.too_many_at_once", by_provider=True)
        limit = min(MOST_AT_ONCE, limit * 4)


def _told(row: Mapping[str, Any]) -> Told:
    submission = row.get("leadFormSubmissionData", {})
    try:
        made_at = datetime.fromisoformat(str(submission.get("submissionDateTime"))).astimezone(UTC)
    except ValueError:
        made_at = None
    return Told(google.envelope(row), submission.get("id"), submission.get("gclid"), made_at)


@jobs.periodic("inbox.reconcile", "7,22,37,52 * * * *")
async def reconcile_all(now: datetime) -> None:
    """Begin a reconcile of every connection to Google that allows one, and take up pulls that were forgotten."""
    for tenant_id in await tenancy.tenants():
        actor = Actor.system(tenant_id)
        await db.run(actor, lambda tx: pulls.rescue(tx, now=now))
        for row in await db.run(actor, connections.listing):
            if row["is_active"] and row["source"] == Source.google:
                await begin_reconcile(actor, row["id"], now=now)


async def begin_reconcile(actor: Actor, connection_id: UUID, *, now: datetime) -> UUID | None:
    """Begin a reconcile of a connection and return its pull; None when it has no access, or one is running."""
    connection = await db.run(actor, lambda tx: connections.load(tx, connection_id))
    if not connection.has_access:
        return None
    return await db.run(actor, lambda tx: pulls.reconcile(tx, connection_id, now=now))


@jobs.periodic("inbox.clicks", "*/10 * * * *")
async def look_up_all(now: datetime) -> None:
    """Look up the clicks whose turn has come, of every tenant and connection."""
    for tenant_id in await tenancy.tenants():
        actor = Actor.system(tenant_id)
        for connection_id in await db.run(actor, lambda tx: clicks.waiting(tx, now=now)):
            await look_up(actor, connection_id, now=now)


async def look_up(actor: Actor, connection_id: UUID, *, now: datetime) -> None:
    """Look up the clicks of one connection whose turn has come, a day at a time, and complete their leads."""
    connection = await db.run(actor, lambda tx: connections.load(tx, connection_id))
    due = await db.run(actor, lambda tx: clicks.due(tx, connection_id, at_most=CLICKS_AT_ONCE, now=now))
    try:
        client = await access.ads_client(actor, connection, now=now)
        found = await asyncio.to_thread(_find, client, due)
    except NotNow as error:  # nobody looked: they come again, and no turn counts
        await _blame(actor, connection, error, now)
        return
    except Unusable as error:
        await _blame(actor, connection, error, now)
        found = {}
    else:
        await db.run(actor, lambda tx: health.answered(tx, connection_id, now=now))
    for lookup in due:
        click = found.get(lookup.gclid)
        await db.run(actor, lambda tx, lookup=lookup, click=click: _settle(tx, lookup, click, now))


async def _settle(tx: db.Tx, lookup: Lookup, click: Click | None, now: datetime) -> None:
    if click is None:
        await clicks.missed(tx, lookup, now=now)
    else:
        await clicks.found(tx, lookup.lead_id, keyword=click.keyword, geography=click.geography, now=now)


def _find(client: AdsClient, due: list[Lookup]) -> dict[str, Click]:
    """Return what is known of clicks: asked for by the day, each click on the days on which it may have been."""
    found: dict[str, Click] = {}
    for offset in DAYS:
        by_day: dict[date, set[str]] = {}
        for lookup in due:
            if lookup.gclid not in found:
                by_day.setdefault(lookup.clicked_on + timedelta(days=offset), set()).add(lookup.gclid)
        for day, gclids in sorted(by_day.items()):
            found |= client.clicks(day, gclids)
    return found
