"""Rates of exchange from a bank on loopback: once each, corrected, held back when they cannot be, let in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from typer.testing import CliRunner

from cli import rates as command
from crm import clock, db, quarantine
from crm.settings import settings
from orchestration import rates, warehouse
from orchestration.defs.money.rates import fx_rates, pull_rates
from tests.conftest import Tenant
from tests.ingestion.rates import bank
from tests.ingestion.rates.bank import Banks
from tests.ingestion.sources.conftest import serving

NOW = datetime(2026, 3, 17, 14, tzinfo=UTC)
FRIDAY, MONDAY, TUESDAY = date(2026, 3, 13), date(2026, 3, 16), date(2026, 3, 17)
LANDED = """
select distinct on (base, day, currency) base, day, currency, rate from raw.fx_rate where tenant_id = %s
 order by base, day, currency, fetched_at desc
"""


@pytest.fixture
async def banks(monkeypatch: pytest.MonkeyPatch, database: str) -> AsyncIterator[Banks]:
    """Both banks under this process's settings; the Monday is a holiday."""
    made = Banks({
        FRIDAY: bank.tcmb(FRIDAY, EUR=("1", "49.8000"), USD=("1", "42.6000")),
        TUESDAY: bank.tcmb(TUESDAY, EUR=("1", "50.0000"), USD=("1", "42.7000")),
    })  # fmt: skip
    async with serving(made.app) as url:
        monkeypatch.setenv("SANTRAL_TCMB_URL", f"{url}/kurlar")
        monkeypatch.setenv("SANTRAL_ECB_URL", f"{url}/eurofxref/")
        settings.cache_clear()
        yield made
    settings.cache_clear()


async def pull(first: date, last: date, *, now: datetime = NOW, **how: Any) -> tuple[int, int, int]:
    """Pull, and return how many tables landed, were known, are held."""
    await db.close()  # the pull has a loop, and so a pool, of its own
    found = await asyncio.to_thread(rates.pull, first, last, now=now, **how)
    return found.landed, found.known, found.held


def landed(tenant: Tenant) -> dict[tuple[str, str, str], float]:
    """Return the latest rates by base, day and currency."""
    with warehouse.connect() as connection:
        found = connection.execute(LANDED, (tenant.id,)).fetchall()
    return {(base, str(day), currency): float(rate) for base, day, currency, rate in found}


class TestPull:
    async def test_lands_each_day_once_and_its_correction(self, tenant: Tenant, banks: Banks) -> None:
        first = await pull(FRIDAY, TUESDAY)
        again = await pull(FRIDAY, TUESDAY, now=NOW + timedelta(hours=1))
        banks.of_tcmb[TUESDAY] = bank.tcmb(TUESDAY, EUR=("1", "50.1000"), USD=("1", "42.7000"))
        corrected = await pull(TUESDAY, TUESDAY, now=NOW + timedelta(hours=2))

        assert (first, again, corrected) == ((2, 0, 0), (0, 2, 0), (1, 0, 0))
        assert landed(tenant) == {
            ("TRY", "2026-03-13", "EUR"): 49.8, ("TRY", "2026-03-13", "USD"): 42.6,
            ("TRY", "2026-03-17", "EUR"): 50.1, ("TRY", "2026-03-17", "USD"): 42.7,
        }  # fmt: skip
        assert "kurlar/202603/13032026.xml" in banks.asked
        assert not any("14032026" in path for path in banks.asked), "nobody asks for a Saturday"

    async def test_takes_the_ecb_across_the_euro(self, tenant: Tenant, banks: Banks) -> None:
        banks.of_ecb = {day: {"TRY": "50", "USD": "1.25"} for day in (date(2026, 3, 12), FRIDAY, TUESDAY)}

        found = await pull(FRIDAY, TUESDAY, source="ecb")

        assert found == (2, 0, 0)
        assert landed(tenant)["EUR", "2026-03-17", "USD"] == 0.8
        assert banks.asked == ["eurofxref/eurofxref-hist-90d.xml"]

    async def test_holds_back_what_cannot_be_until_somebody_lets_it_in(self, tenant: Tenant, banks: Banks) -> None:
        await pull(FRIDAY, FRIDAY)
        banks.of_tcmb[TUESDAY] = bank.tcmb(TUESDAY, EUR=("1", "498.0000"), USD=("1", "42.7000"))
        banks.of_tcmb[MONDAY] = "<html>Bakımdayız</html>"

        held = await pull(MONDAY, TUESDAY)
        known = landed(tenant)
        holds = {hold.label: hold for hold in await db.run(tenant.admin, quarantine.standing)}
        await db.run(
            tenant.admin,
            lambda tx: quarantine.release(tx, holds["acme, TRY:2026-03-17"].id, because="it_is_so", now=NOW),
        )
        let_in = await pull(MONDAY, TUESDAY)

        assert held == (0, 0, 2)
        assert {day for _, day, _ in known} == {"2026-03-13"}
        assert holds["acme, TRY:2026-03-17"].reasons == ["a rate differs by more than a fifth from the one before"]
        assert holds["acme, TRY:2026-03-16"].reasons == ["what the bank sent is no table of rates of its day"]
        assert let_in == (1, 0, 1)
        assert landed(tenant)["TRY", "2026-03-17", "EUR"] == 498

    async def test_lands_nothing_when_the_bank_is_away(self, tenant: Tenant, banks: Banks) -> None:
        banks.is_broken = True

        with pytest.raises(httpx.HTTPStatusError):
            await pull(FRIDAY, TUESDAY)

        assert landed(tenant) == {}


class TestAsset:
    async def test_pulls_the_last_week(self, tenant: Tenant, banks: Banks, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clock, "utc_now", lambda: NOW)
        await db.close()

        run = await asyncio.to_thread(dg.materialize, [fx_rates], instance=dg.DagsterInstance.ephemeral())

        [made] = run.get_asset_materialization_events()
        assert made.materialization.metadata["landed"].value == 2
        assert made.materialization.metadata["days"].value == "2026-03-13, 2026-03-17"
        assert all(check.passed for check in run.get_asset_check_evaluations())
        assert len(landed(tenant)) == 4

    @pytest.mark.parametrize(("environment", "source", "asks"), [
        ("production", "auto", True), ("production", "none", False), ("demo", "auto", False),
    ])  # fmt: skip
    def test_is_asked_for_where_somebody_wants_it(
        self, monkeypatch: pytest.MonkeyPatch, environment: str, source: str, asks: bool
    ) -> None:
        monkeypatch.setenv("SANTRAL_ENVIRONMENT", environment)
        monkeypatch.setenv("SANTRAL_RATES_SOURCE", source)
        settings.cache_clear()

        asked = pull_rates(dg.build_schedule_context())

        settings.cache_clear()
        assert isinstance(asked, dg.RunRequest) is asks


class TestCommand:
    async def test_pulls_a_day_and_reads_a_file(self, tenant: Tenant, banks: Banks, tmp_path: Path) -> None:
        file = tmp_path / "rates.csv"
        file.write_text("day,currency,rate\n2026-03-18,EUR,50.20\n")
        wrong = tmp_path / "wrong.csv"
        wrong.write_text("day,rate\n")
        await db.close()

        def run(*words: str) -> Any:
            return CliRunner().invoke(command.app, list(words))

        pulled = await asyncio.to_thread(run, "pull", "--from", "2026-03-13", "--to", "2026-03-17", "--json")
        read = await asyncio.to_thread(run, "import", str(file))
        refused = await asyncio.to_thread(run, "import", str(wrong))
        none = await asyncio.to_thread(run, "pull", "--from", "2026-03-17", "--to", "2026-03-13")

        assert '"landed": 2' in pulled.output
        assert "1 tables landed, 0 were known, 0 are held back" in read.output
        assert "columns are missing: currency" in str(refused.exception)
        assert none.exit_code == 2
        assert landed(tenant)["TRY", "2026-03-18", "EUR"] == 50.2
