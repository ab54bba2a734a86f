"""Tests of tables that fail: the firm whose rows they find waits and reads why; nobody else does."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from orchestration import alerts, definitions, failing, policy, transform, verdicts, warehouse
from tests.api.conftest import SignIn, app, sign_in
from tests.conftest import Tenant, settled
from tests.dbt_project import golden_leads as desk
from tests.dbt_project.golden_money import at, lead, let_pass, rates, report
from tests.orchestration.test_alerts import let_sensors_look
from tests.orchestration.test_gates import owner
from tests.pipeline import Build, loaded

__all__ = ["app", "owner", "sign_in"]

WHY = "Every row has fx_rate. Not so: 1 rows (GBP)"
WHY_TR = "Her satırda fx_rate vardır. Tutmuyor: 1 satır (GBP)"
ARRIVE = "A day later at least 98 % of the leads that an advertising platform reports are here."
ARRIVE_TR = "Reklam platformunun bildirdiği başvuruların en az %98 kadarı bir gün sonra buradadır."
UNBUILT = "Every firm's rows of it can be built. Not so: a value is not of the kind of its column (22P02)"
UNBUILT_TR = "Her firmanın satırları kurulabilir. Tutmuyor: bir değer sütununun türünden değil (22P02)"

RESTATED = "update marts.fct_ad_spend_daily set platform_leads = 0"
"""What the marts of ads come to when the platform takes back what it said."""
UNTESTED = ("--exclude-resource-type", "test")
SALE = "select payload_json ->> 'sale_id' from crm.event_log where aggregate_id = %s and event_type = 'lead.sold'"
SAYS = """
update crm.event_log set payload_json = payload_json || jsonb_build_object('sale_id', %s::text)
 where aggregate_id = %s and event_type = 'lead.sold'
"""
TOLD = """
insert into crm.event_log (tenant_id, aggregate_type, aggregate_id, event_type, payload_json, occurred_at)
values (%s, %s, gen_random_uuid(), %s, %s, '2026-03-16 12:00Z') returning id
"""
HELD = """
select t.slug, q.feed, q.rules[1] from ops.quarantine q join crm.tenant t using (tenant_id) where q.status = 'held'
"""
SOME_ID = str(UUID(int=7))
SOLD = json.dumps({"sale_id": SOME_ID, "amount_minor": "1", "exponent": "-20000", "currency": "EUR"})
ACTIVITY = json.dumps({"activity_id": SOME_ID, "kind": "call", "direction": "outbound"})
CLOCK = json.dumps({"started_at": "tomorrow, perhaps"})
WAYS: Sequence[Mapping[str, tuple[Sequence[tuple[str, str, str]], str]]] = (
    {
        "int_sale_entries": ([("lead", "lead.sold", SOLD)], "22012"),
        "fct_activity": ([("lead", "activity.recorded", ACTIVITY)] * 2, "23505"),
        "fct_sla_timer": ([("sla_clock", "sla_clock.stated", CLOCK)], "22007"),
    },
    {
        "fct_lead_stage_interval": ([("lead", "lead.created", "{}")], "23502"),
        "fct_lead_cycle": ([], "waits"),
    },
)
"""What is told, the models that it breaks, and PostgreSQL's word for it."""


def revenue(schema: str, tenant: Tenant) -> list[Decimal | None]:
    """Return what each sale of a firm came to."""
    with warehouse.connect() as connection:
        found = connection.execute(
            f"select net_amount from {schema}.fct_sale where tenant_id = %s order by sold_at", (tenant.id,)
        )
        return [amount for (amount,) in found]


def as_of(tenant: Tenant) -> datetime:
    """Return up to when a firm's published figures of money hold everything."""
    with warehouse.connect() as connection:
        found = connection.execute(
            "select as_of from ops.publication where tenant_id = %s and domain = 'money'", (tenant.id,)
        )
        return found.fetchall()[0][0]  # type: ignore[no-any-return]


class Books:
    """Two firms' money, built as its schedule does it: what everybody who is concerned is told."""

    def __init__(self, good: Tenant, bad: Tenant, sign_in: SignIn, build: Build) -> None:
        self.good, self.bad, self.sign_in, self.dbt = good, bad, sign_in, build
        self.instance, self.told = dg.DagsterInstance.ephemeral(), list[alerts.Message]()
        self.job, self.repository = loaded().resolve_job_def(definitions.EVERYTHING), loaded().get_repository_def()
        assets = self.job.asset_layer
        self.money = [key for key in assets.executable_asset_keys if assets.get(key).group_name == "money"]

    async def open(self) -> None:
        """Let both firms sell what has a rate, and know the leads that they will sell to; a platform claims ten leads
        of the one that never came."""
        self.waiting = {firm.id: [await lead(firm, at(16, 10)) for _ in range(4)] for firm in (self.good, self.bad)}
        self.day = datetime.now(UTC).date() - timedelta(days=4)
        for firm, claimed in ((self.good, 0), (self.bad, 10)):
            await rates(firm, date(2026, 3, 16), EUR="40")
            await rates(firm, self.day, EUR="40")
            await report(firm, self.day, "100.00", claimed)
            await self.sell(firm, "EUR", 16)
        let_pass()
        await self.dbt("--select", "+fct_sale", "+fct_ad_result_daily", "+fct_sla_timer", *UNTESTED)
        assert await self.run()

    async def sell(self, firm: Tenant, currency: str, day: int) -> UUID:
        """Sell something to the next lead for a hundred; return the lead."""
        await desk.sell(firm, self.waiting[firm.id][0], "100.00", currency, at(day, 12))
        return self.waiting[firm.id].pop(0)

    async def run(self) -> bool:
        """Build money; return whether the run went well."""
        await settled()
        result = await asyncio.to_thread(
            self.job.execute_in_process, instance=self.instance, asset_selection=self.money, raise_on_error=False,
            tags={policy.ALERT_AFTER: "1"},
        )  # fmt: skip
        await asyncio.to_thread(let_sensors_look, self.instance, result, self.repository)
        return result.success

    async def read(self, firm: Tenant, path: str) -> list[dict[str, Any]]:
        """Return what a firm's manager reads of a list."""
        found = (await self.sign_in(firm.sales_manager).get(path)).json()["items"]
        return found  # type: ignore[no-any-return]

    def messages(self) -> list[tuple[str, str]]:
        """Return to whom what was told since the last look."""
        told = [(message.owner, message.subject) for message in self.told]
        self.told.clear()
        return told


class TestHeldFirm:
    async def test_keeps_its_last_good_numbers_and_reads_why_while_all_others_go_on(
        self,
        build: Build,
        owner: psycopg.Connection,
        tenant: Tenant,
        other_tenant: Tenant,
        sign_in: SignIn,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """One build for all that can be wrong: a rate that is missing, an event that cannot be read, and others."""
        books = Books(tenant, other_tenant, sign_in, build)
        monkeypatch.setattr(alerts, "tell", books.told.append)
        await books.open()

        await self.misses_leads(books, owner)
        await self.lacks_a_rate(books)
        await self.breaks_a_table(books, owner)
        await self.breaks_tables_in_every_way(books, owner)

    async def lacks_a_rate(self, books: Books) -> None:
        good, bad, began = books.good, books.bad, as_of(books.bad)

        for firm, currency in ((good, "EUR"), (bad, "GBP")):
            await books.sell(firm, currency, 17)
        goes_on = await books.run()
        held = (revenue("published", good), revenue("published", bad), as_of(bad) == began)
        (shown,), (hold,) = await books.read(bad, "/alerts?is_open=true"), await books.read(bad, "/quarantine")
        refused = await books.sign_in(bad.admin).post(f"/quarantine/{hold['id']}/release", json={"because": "it_is_so"})
        others = [await books.read(good, path) for path in ("/alerts", "/quarantine")]
        said = next(message.text for message in books.told if message.subject.endswith("fct_sale fails"))
        await rates(bad, date(2026, 3, 17), GBP="50")
        recovers = await books.run()
        over, _ = await books.read(bad, "/alerts")

        assert (goes_on, recovers) == (True, True)
        assert held == ([4000, 4000], [4000], True), "one goes on, the other stands still"
        assert revenue("published", bad) == [4000, 5000]
        assert as_of(bad) == as_of(good) > began
        assert (shown["sentence"], shown["sentence_tr"], shown["severity"]) == (
            f"rival, fct_sale: {WHY}", f"rival, fct_sale: {WHY_TR}", "error",
        )  # fmt: skip
        assert (hold["feed"], hold["reasons"], hold["may_be_released"]) == ("marts/fct_sale", [WHY], False)
        assert (refused.status_code, refused.json()["code"]) == (409, "quarantine.must_be_mended")
        assert others == [[], []], "nobody else's business"
        assert (over["id"], over["is_open"]) == (shown["id"], False)
        assert books.messages() == [
            ("team:finance", "Santral: marts/fct_sale fails"),
            ("team:finance", "Santral: marts/fct_ad_result_daily is well again"),
            ("team:finance", "Santral: marts/fct_sale is well again"),
        ]
        assert f"Not so at rival: 1 rows (GBP); {failing.STANDS}" in said
        assert f"Tutmuyor: rival: 1 satır (GBP); {failing.STANDS_TR}" in said

    async def misses_leads(self, books: Books, owner: psycopg.Connection) -> None:
        """A platform reports ten leads of a day of which none came: the firm is told, its numbers go on."""
        (shown,), (warned,) = await books.read(books.bad, "/alerts"), await books.read(books.bad, "/quarantine")
        others = [await books.read(books.good, path) for path in ("/alerts", "/quarantine")]
        owner.execute(RESTATED)

        missing, missing_tr = f"1 rows (meta act_1 {books.day})", f"1 satır (meta act_1 {books.day})"
        assert as_of(books.bad) == as_of(books.good)
        assert (shown["severity"], shown["sentence"], shown["sentence_tr"]) == (
            "warning",
            f"rival, fct_ad_result_daily: {ARRIVE} Not so: {missing}",
            f"rival, fct_ad_result_daily: {ARRIVE_TR} Tutmuyor: {missing_tr}",
        )
        assert (warned["status"], warned["may_be_released"]) == ("warned", False)
        assert others == [[], []], "nobody else's business"
        assert f"{ARRIVE} Not so at rival: {missing}\nNumbers go on meanwhile." in books.told[0].text
        assert f"{ARRIVE_TR} Tutmuyor: rival: {missing_tr}\nSayılar bu sırada" in books.told[0].text
        assert books.messages() == [("team:finance", "Santral: marts/fct_ad_result_daily is to be looked at")]

    async def breaks_a_table(self, books: Books, owner: psycopg.Connection) -> None:
        """A sale's event names no sale: its table cannot be built, and what waits for it is not tried."""
        good, bad, began = books.good, books.bad, as_of(books.bad)

        sold, _ = [await books.sell(firm, "EUR", 18) for firm in (bad, good)]
        (sale,) = owner.execute(SALE, (sold,)).fetchone() or ()
        owner.execute(SAYS, ("nothing", sold))
        goes_on = await books.run()
        held = (revenue("published", good), revenue("published", bad))
        (shown,), holds = await books.read(bad, "/alerts?is_open=true"), await books.read(bad, "/quarantine")
        for firm in (good, bad):
            await books.sell(firm, "EUR", 19)
        goes_on_again = await books.run()
        still = (revenue("published", good), revenue("published", bad), as_of(bad) == began)
        owner.execute(SAYS, (sale, sold))
        recovers = await books.run()

        assert (goes_on, goes_on_again, recovers) == (True, True, True)
        assert held == ([4000] * 3, [4000, 5000])
        assert still == ([4000] * 4, [4000, 5000], True)
        assert revenue("published", bad) == [4000, 5000, 4000, 4000], "what was told meanwhile is there, too"
        assert (shown["sentence"], shown["sentence_tr"]) == (
            f"rival, int_sale_entries: {UNBUILT}", f"rival, int_sale_entries: {UNBUILT_TR}",
        )  # fmt: skip
        assert {hold["feed"]: hold["rules"] for hold in holds} == {
            "int/int_sale_entries": ["22P02"], "marts/fct_sale": ["waits"], "marts/fct_ad_result_daily": ["waits"],
        }  # fmt: skip
        assert await books.read(bad, "/quarantine") == await books.read(bad, "/alerts?is_open=true") == []
        assert await books.read(good, "/alerts") == [], "nobody else's business"
        assert failing.tables_unbuilt() == [], "the next build is of all at once"
        assert books.messages() == [
            ("team:finance", "Santral: int/int_sale_entries fails"),
            ("team:finance", "Santral: int/int_sale_entries is well again"),
        ]

    async def breaks_tables_in_every_way(self, books: Books, owner: psycopg.Connection) -> None:
        """Whatever the rows of one hold: a value of another kind, a key twice, a value that is missing or too large."""
        for faults in WAYS:
            events = [event for told, _ in faults.values() for event in told]
            written = [owner.execute(TOLD, (books.bad.id, *event)).fetchall()[0][0] for event in events]
            await settled()

            done = await asyncio.to_thread(
                lambda models: list(transform.run(["run", "--select", *models], by_firm=["leads", "money"])),
                list(faults),
            )

            held = owner.execute(HELD).fetchall()
            assert [result.message for _, result in done if result.status != "success"] == []
            assert {(slug, feed.split("/")[1], rule) for slug, feed, rule in held} == {
                ("rival", model, code) for model, (_, code) in faults.items()
            }
            owner.execute("delete from crm.event_log where id = any(%s)", (written,))
            await asyncio.to_thread(lambda models: list(transform.run(["run", "--select", *models])), list(faults))
            assert failing.tables_unbuilt() == []


class TestEveryTest:
    def test_of_a_table_with_firms_finds_rows_of_firms(self, parsed: Path) -> None:
        """What is no firm's would stop everybody's numbers; other tests than these find whole rows."""
        nodes = json.loads((parsed / "manifest.json").read_text())["nodes"]
        tests = [node for node in nodes.values() if (node.get("test_metadata") or {}).get("name") == "unique_together"]
        ours = [test for test in tests if not nodes[test["attached_node"]]["config"]["meta"].get("shared")]

        assert ours
        assert [t["name"] for t in ours if "tenant_id" not in t["test_metadata"]["kwargs"]["columns"]] == []


class TestOf:
    def found(self, sql: str) -> failing.Failing | None:
        test = SimpleNamespace(compiled_code=sql, meta={}, to_dict=lambda: {"name": "sums_up"})
        return failing.of(test, dg.AssetCheckKey(dg.AssetKey(["marts", "fct_sale"]), "sums_up"))

    async def test_tells_whose_rows_a_test_finds(self, tenant: Tenant, other_tenant: Tenant) -> None:
        found = self.found(f"select '{other_tenant.id}'::uuid as tenant_id from generate_series(1, 3) -- as dbt has it")

        assert found
        assert [(firm.slug, firm.rows) for firm in found.firms] == [("rival", 3)]
        assert failing.firms([found]) == {other_tenant.id}
        assert verdicts.TURKISH in found.checked().metadata

    @pytest.mark.parametrize("sql", [
        "select 'won' as status",
        "select null::uuid as tenant_id",
        f"select '{UUID(int=7)}'::uuid as tenant_id",
    ])  # fmt: skip
    async def test_knows_when_rows_are_no_firms(self, tenant: Tenant, sql: str) -> None:
        assert self.found(sql) is None
