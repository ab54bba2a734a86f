"""Gates over days with faults put in: each is told in words, holds what it must, and lets back in what was mended."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from crm import clock, db, ids, quarantine
from orchestration import border, warehouse
from orchestration.defs.imports import border as files
from orchestration.defs.leads import border as forms
from orchestration.defs.quality.data_docs import data_docs
from orchestration.defs.telephony import border as telephony
from tests.conftest import NOW, Tenant

LEAD = """
with person as (
  insert into crm.contact (tenant_id, id, name, name_search, created_at, updated_at)
  values (%(tenant)s, %(contact)s, '', '', %(at)s, %(at)s)
), point as (
  insert into crm.contact_point (tenant_id, id, contact_id, kind, key_id, sealed, blind_index, masked, created_at)
  select %(tenant)s, gen_random_uuid(), %(contact)s, 'phone', gen_random_uuid(), '', uuid_send(%(contact)s), '', %(at)s
   where %(has_phone)s
)
insert into crm.lead (tenant_id, id, contact_id, status, source, platform, form, ad, attributes, acquired_at,
                      received_at, status_changed_at, created_at, updated_at)
values (%(tenant)s, %(lead)s, %(contact)s, 'new', 'meta', 'meta', %(form)s, %(ad)s, %(attributes)s, %(acquired)s,
        %(at)s, %(at)s, %(at)s, %(at)s)
"""
"""Leads as they are stored, without what the gate does not look at: hundreds of them in a moment."""

TODAY = NOW.replace(hour=6)
GOOD: dict[str, Any] = {"ad": "ad-1", "has_phone": True, "questions": ("hair", "when"), "ahead": timedelta(0)}


def leads(owner: psycopg.Connection, tenant: Tenant, form: str, *, days_ago: int, count: int, **fault: Any) -> None:
    """Store a form's leads of one day."""
    trait = GOOD | fault
    rows = []
    for number in range(count):
        at = TODAY - timedelta(days=days_ago) + timedelta(seconds=number)
        rows.append(
            {
                "tenant": tenant.id, "contact": ids.new(), "lead": ids.new(), "at": at, "acquired": at + trait["ahead"],
                "form": form, "ad": trait["ad"], "has_phone": trait["has_phone"],
                "attributes": psycopg.types.json.Jsonb(dict.fromkeys(trait["questions"], "x")),
            }
        )  # fmt: skip
    owner.cursor().executemany(LEAD, rows)


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.replace("+asyncpg", ""), autocommit=True) as connection:
        yield connection


@pytest.fixture
def past(owner: psycopg.Connection, tenant: Tenant) -> None:
    """Two weeks of two forms, as good as they come."""
    for day in range(1, 15):
        for form in ("spring", "winter"):
            leads(owner, tenant, form, days_ago=day, count=10)


def look(now: datetime = NOW) -> border.Standing:
    """Let the gate look, as Dagster does at every run."""
    with warehouse.connect() as connection:
        forms.judge_new(connection, now=now)
        return forms.standing(connection, now=now)


def told(sets: Sequence[border.Fallen]) -> list[tuple[str, Sequence[str]]]:
    return [(each.label, each.reasons) for each in sets]


async def held(tenant: Tenant) -> dict[str, UUID]:
    found = await db.run(tenant.admin, quarantine.standing)
    return {hold.label: hold.id for hold in found if hold.status == "held"}


class TestLeads:
    async def test_a_usual_day_passes(self, owner: psycopg.Connection, tenant: Tenant, past: None) -> None:
        leads(owner, tenant, "spring", days_ago=0, count=8)

        found = look()

        assert (found.held, found.warned, found.closed) == ([], [], [])
        assert found.sentence == "all days of forms keep to the rules"

    async def test_null_ad_ids_close_the_gate_of_their_firm_until_they_are_mended(
        self, owner: psycopg.Connection, tenant: Tenant, other_tenant: Tenant, past: None
    ) -> None:
        """Among the leads of a larger firm they are too few to be a fifth; of their own firm's they are most."""
        leads(owner, tenant, "spring", days_ago=0, count=8, ad=None)
        leads(owner, tenant, "winter", days_ago=0, count=10)
        leads(owner, other_tenant, "winter", days_ago=0, count=40)

        closed = look()
        again = look()
        owner.execute("update crm.lead set ad = 'ad-1' where ad is null")
        opened = look()

        assert (closed.closed, again.closed) == (["acme"], ["acme"]), "the gate holds at the next tick, too"
        assert closed.sentence == (
            "1 days of forms are held back: acme, meta/spring, 2026-03-03: far more leads than usual have no ad id; "
            "more than a fifth of what came to acme is bad, so the gate is closed there and readers there keep the last"
            " good numbers"
        )
        assert closed.sentence_tr == (
            "bekletilen: 1; acme, meta/spring, 2026-03-03: reklam kimliği olmayan başvurular olağandan çok fazla; "
            "acme için kapı kapalı, gelenlerin beşte birinden fazlası bozuk: orada okuyanlar son doğru sayıları görmeye"
            " devam ediyor"
        )
        assert (opened.held, opened.closed) == ([], [])

    async def test_what_is_right_as_it_is_is_let_in_by_a_person(
        self, owner: psycopg.Connection, tenant: Tenant, past: None
    ) -> None:
        leads(owner, tenant, "spring", days_ago=0, count=8, has_phone=False)
        look()
        ((label, hold_id),) = (await held(tenant)).items()

        await db.run(tenant.admin, lambda tx: quarantine.release(tx, hold_id, because="e-mail_only_form", now=NOW))
        let_in = look()
        leads(owner, tenant, "spring", days_ago=0, count=9, has_phone=False, ad=None)
        worse = look()

        assert label == "acme, meta/spring, 2026-03-03"
        assert let_in.held == []
        assert [each.reasons for each in worse.held] == [
            ["far more leads than usual have no telephone number", "far more leads than usual have no ad id"]
        ], "it was let in for one rule, not for another"

    async def test_tells_what_only_is_to_be_looked_at(
        self, owner: psycopg.Connection, tenant: Tenant, past: None
    ) -> None:
        leads(owner, tenant, "spring", days_ago=0, count=8, questions=("hair", "which month"))

        found = look(NOW + timedelta(days=1))

        by_set = dict(told(found.warned))
        assert (found.held, found.closed) == ([], [])
        assert by_set["acme, meta/spring, 2026-03-03"] == [
            "the form asks other questions than before (− when; + which month)"
        ]
        assert by_set["acme, meta/winter, 2026-03-03"] == [
            "far fewer or far more leads than the form usually brings"
        ], "a source that is dead brings no row that could be at fault"

    async def test_a_clock_that_is_wrong_closes_the_gate(
        self, owner: psycopg.Connection, tenant: Tenant, past: None
    ) -> None:
        leads(owner, tenant, "spring", days_ago=0, count=8, ahead=timedelta(hours=3))

        found = look()

        assert found.closed == ["acme"]
        assert "leads were sent after they arrived: a clock is wrong" in found.sentence

    async def test_another_firm_sees_nothing_of_it(
        self, owner: psycopg.Connection, tenant: Tenant, other_tenant: Tenant, past: None
    ) -> None:
        leads(owner, tenant, "spring", days_ago=0, count=8, ad=None)
        look()

        assert await held(tenant)
        assert await held(other_tenant) == {}


CALL = """
insert into crm.call (tenant_id, id, direction, purpose, status, requested_at, ended_at, updated_at)
values (%(tenant)s, %(id)s, 'inbound', 'inbound', 'ended', %(at)s, %(ended)s, %(at)s)
"""
FACT = """
insert into crm.call_fact (tenant_id, call_id, digest, kind, body, at, heard_at)
values (%(tenant)s, %(id)s, '', 'ended', '{}', %(told)s, %(at)s)
"""
IMPORT = """
insert into crm.import_run (tenant_id, id, source, file_name, content_hash, mapping, status, read, created, unchanged,
                            rejected, created_at, updated_at)
values (%(tenant)s, %(id)s, 'archive', 'a.csv', '', '{}', %(status)s, %(read)s, %(created)s, %(unchanged)s,
        %(rejected)s, %(at)s, %(at)s)
"""


def calls(
    owner: psycopg.Connection,
    tenant: Tenant,
    *,
    days_ago: int,
    count: int,
    ended: bool = True,
    ahead: timedelta = timedelta(0),
) -> None:
    """Store calls of one day, each with a fact of the exchange."""
    rows = []
    for number in range(count):
        at = NOW - timedelta(days=days_ago, hours=5) + timedelta(seconds=number)
        ended_at = at + timedelta(minutes=3) if ended else None
        rows.append({"tenant": tenant.id, "id": ids.new(), "at": at, "ended": ended_at, "told": at + ahead})
    owner.cursor().executemany(CALL, rows)
    owner.cursor().executemany(FACT, rows)


def look_at(feed: Any, now: datetime = NOW) -> border.Standing:
    with warehouse.connect() as connection:
        feed.judge_new(connection, now=now)
        return feed.standing(connection, now=now)  # type: ignore[no-any-return]


class TestCalls:
    async def test_lost_ends_a_wrong_clock_and_a_silent_exchange(
        self, owner: psycopg.Connection, tenant: Tenant
    ) -> None:
        for day in range(2, 15):
            calls(owner, tenant, days_ago=day, count=10)
        silent = look_at(telephony)
        calls(owner, tenant, days_ago=0, count=10, ended=False)
        unended = look_at(telephony)
        owner.execute("update crm.call set ended_at = requested_at + interval '2 minutes' where ended_at is null")
        mended = look_at(telephony)
        calls(owner, tenant, days_ago=0, count=5, ahead=timedelta(minutes=1))
        skewed = look_at(telephony)

        assert told(silent.warned) == [
            ("acme, inbound, 2026-03-02", ["far fewer or far more calls than usual: is the exchange connected?"])
        ]
        assert told(unended.held) == [
            ("acme, inbound, 2026-03-03", ["calls of hours ago have no end: the exchange's news was lost"])
        ]
        assert (unended.closed, mended.held, skewed.closed) == (["acme"], [], ["acme"])
        assert "a clock is wrong" in skewed.sentence


class TestImports:
    async def test_a_batch_cut_short_a_file_sent_twice_and_one_nobody_can_read(
        self, owner: psycopg.Connection, tenant: Tenant
    ) -> None:
        def store(status: str = "done", read: int = 100, created: int = 100, unchanged: int = 0) -> UUID:
            row = {"tenant": tenant.id, "id": ids.new(), "status": status, "read": read, "created": created}
            row |= {"unchanged": unchanged, "rejected": read - created - unchanged, "at": NOW}
            owner.execute(IMPORT, row)
            return row["id"]  # type: ignore[no-any-return]

        cut = store("failed", created=40, unchanged=60)
        closed = look_at(files)
        owner.execute("update crm.import_run set status = 'done', updated_at = %s", [NOW + timedelta(hours=1)])
        resumed = look_at(files, NOW + timedelta(hours=2))
        doubled = store(created=0, unchanged=100)
        unreadable = store(created=10)
        both = look_at(files, NOW + timedelta(hours=3))

        assert told(closed.held) == [
            (f"acme, import {cut} from archive", ["the import ended before its file did: rows are missing"])
        ]
        assert (closed.closed, resumed.held, resumed.closed) == (["acme"], [], [])
        assert told(both.warned) == [
            (
                f"acme, import {doubled} from archive",
                ["nearly every row was known before: the file came twice; nothing was counted twice"],
            )
        ]
        assert [each.label for each in both.held] == [f"acme, import {unreadable} from archive"]


class TestDataDocs:
    async def test_are_written_of_what_lies_at_the_border(
        self, owner: psycopg.Connection, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clock, "utc_now", lambda: NOW)
        leads(owner, tenant, "905321112233", days_ago=0, count=8, questions=("905321112233",))
        look()

        result = dg.materialize([data_docs], instance=dg.DagsterInstance.ephemeral())

        (event,) = result.get_asset_materialization_events()
        page = Path(str(event.materialization.metadata["page"].value))
        written = "".join(path.read_text(errors="replace") for path in page.parent.rglob("*.html"))
        assert event.materialization.metadata["raw/leads"].value == 1
        assert "far more leads than usual have no telephone number" in written
        assert "905321112233" not in written
