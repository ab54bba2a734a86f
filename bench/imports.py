"""Importing a file: rows a second, what reading the same file again costs, and the same rows put in by bare SQL.

Ours: CSV, mapping, phones parsed, phone and e-mail sealed under a key a person, exact dedupe, timeline, event, an audit
row and one durable transaction a chunk. Baseline: the very rows that the import made, inserted by the owner into tables
with the same indexes, one statement a table.
"""

import csv
import io
import time
from dataclasses import asdict

import asyncpg

from bench import product, report
from crm.actor import Actor
from crm.imports import mapping
from crm.imports.mapping import Mapping
from crm.settings import settings
from ingestion.files import running

ROUNDS = 5
ROWS = 20_000
WHOLE = 100_000
TABLES = ("contact", "contact_point", "lead", "activity", "event_log")
PLAN = """
source: fair
fields: {external_id: Id, name: Name, phone: Phone, email: Mail, platform: Platform, campaign: Campaign, form: Form}
consents: [{column: No mail, channel: email, values: {yes: denied}}]
status: [{column: State, values: {new: new, sold: won}}]
attributes: {city: City, treatment: Treatment}
"""


def main() -> None:
    """Print rows a second of an import and the time of its replay as a share of the import's."""
    with product.database():
        product.run(_measure())


async def _measure() -> None:
    plan = mapping.parse(PLAN)
    await _import((await product.make_firm("warm")).admin, _file(ROWS // 4), plan, ROWS // 4)
    rates, replays, shares = [], [], []
    for number in range(ROUNDS):
        firm = await product.make_firm(f"round-{number}")
        file = _file(ROWS)
        first = await _import(firm.admin, file, plan, ROWS)
        again = await _import(firm.admin, file, plan, ROWS, created=0)
        bare = await _bare(firm)
        rates.append(ROWS / first)
        replays.append(again / first)
        shares.append(bare / first)
    firm = await product.make_firm("whole")
    file = _file(WHOLE)
    first = await _import(firm.admin, file, plan, WHOLE)
    again = await _import(firm.admin, file, plan, WHOLE, created=0)
    report.remark(f"{ROUNDS} rounds of {ROWS} rows, a new firm each; one process, two connections that store; fsync on")
    report.remark(f"bare SQL takes {report.median_of(shares):.2f} of the import's time")
    report.remark(f"{WHOLE} rows at once: {WHOLE / first:.0f} rows/s, replay {again / first:.2f} of that time")
    report.figure("import.rows_per_s", [*rates, WHOLE / first], 10_000, at_least=True)
    report.figure("import.replay", [*replays, again / first], 0.4, at_least=False)


def _file(rows: int) -> bytes:
    """Return a CSV file of that many people."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(
        ["Id", "Name", "Phone", "Mail", "Platform", "Campaign", "Form", "No mail", "State", "City", "Treatment"]
    )
    for n in range(rows):
        lines.writerow([
            f"crm-{n}", f"Ayşe Yılmaz {n}", f"+90 532 {n // 10000:03d} {n // 100 % 100:02d} {n % 100:02d}",
            f"ayse.{n}@mail.example", "Meta", "Spring", "Landing page", "yes" if n % 20 == 0 else "",
            "sold" if n % 50 == 0 else "new", "İzmir", "Hair transplant",
        ])  # fmt: skip
    return text.getvalue().encode()


async def _import(actor: Actor, file: bytes, plan: Mapping, rows: int, *, created: int | None = None) -> float:
    """Return the seconds an import takes."""
    begun = time.perf_counter()
    run = await running.import_file(actor, io.BytesIO(file), "bench.csv", plan)
    took = time.perf_counter() - begun
    counts = asdict(run.counts)
    new = rows if created is None else created
    assert counts == {"read": rows, "created": new, "merged": 0, "unchanged": rows - new, "rejected": 0}, counts
    return took


async def _bare(firm: product.Firm) -> float:
    """Return the seconds that inserting a firm's rows again takes, into empty tables with the same indexes."""
    owner = await asyncpg.connect(settings().owner_url().set(drivername="postgresql").render_as_string(False))
    took = 0.0
    try:
        for table in TABLES:
            columns = ", ".join(await _columns(owner, table))
            await owner.execute(f"create table public.bare (like crm.{table} including all)")
            begun = time.perf_counter()
            await owner.execute(
                f"insert into public.bare ({columns}) select {columns} from crm.{table}"
                f" where tenant_id = '{firm.tenant_id}'"
            )
            took += time.perf_counter() - begun
            await owner.execute("drop table public.bare")
    finally:
        await owner.close()
    return took


async def _columns(owner: asyncpg.Connection, table: str) -> list[str]:
    rows = await owner.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and attidentity = ''"
        " and not attisdropped",
        f"crm.{table}",
    )
    return [row["attname"] for row in rows]
