"""A page of 50 leads: through HTTP against the same statement run bare, at 10,000 and at 1,000,000 leads.

Ours: token, tenant, visibility, signed cursor, JSON out, trace and metrics. Baseline: pgbench running the very
statement the list runs, with its values, under the same role and tenant. Two databases of one server hold the two
sizes, each
with an API process of its own; pages are asked for in turns, the first and one deep in the list.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.engine import make_url

from bench import http_load, pgbench, product, report
from crm import db, migrations
from crm.leads import queries
from crm.settings import APP_ROLE, settings

ROUNDS = 7
PAGES = 300
SMALL, LARGE = 10_000, 1_000_000
NEWEST = datetime(2026, 6, 1, tzinfo=UTC)

FILL = """
insert into crm.contact (tenant_id, id, name, name_search, country, phone_masked, email_masked, created_at, updated_at)
select $1::uuid, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'Ayşe Yılmaz ' || n,
       'ayse yilmaz ' || n, 'TR', '+90 ••• ••• •• ' || lpad((n % 100)::text, 2, '0'), 'a•••@example.com',
       $4::timestamptz - n * interval '7 seconds', $4::timestamptz
  from generate_series($2::int, $3::int) n
"""
FILL_LEADS = """
insert into crm.lead (tenant_id, id, contact_id, status, owner_id, team_id, source, external_id, platform, campaign,
                      form, acquired_at, received_at, status_changed_at, created_at, updated_at)
select $1::uuid, ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       (array['new', 'assigned', 'contacted', 'interested', 'no_answer', 'won', 'lost'])[1 + n % 7], $5::uuid, $6::uuid,
       'bench', n::text, (array['meta', 'google'])[1 + n % 2], 'c' || n % 20, 'f' || n % 5,
       $4::timestamptz - n * interval '7 seconds', $4::timestamptz - n * interval '7 seconds',
       $4::timestamptz, $4::timestamptz, $4::timestamptz - n * interval '7 seconds'
  from generate_series($2::int, $3::int) n
"""


def main() -> None:
    """Print p95 of a page through HTTP against the bare statement, and at a million leads against ten thousand."""
    with product.database() as url, ExitStack() as running:
        sizes = {}
        for name, count in (("small", SMALL), ("large", LARGE)):
            with _environment(make_url(url).set(database=f"bench_{name}").render_as_string(hide_password=False)):
                firm = product.run(_fill(count))
                statement = product.run(_statement(firm))
                address = settings().role_url(APP_ROLE).render_as_string(hide_password=False)
                sizes[name] = (firm, address, statement, running.enter_context(product.api()))
        paths = {
            "first": "/leads?limit=50",
            "deep": f"/leads?limit=50&received_to={(NEWEST - timedelta(hours=15)).strftime('%Y-%m-%dT%H:%M:%SZ')}",
        }
        for page, path in paths.items():
            _measure(page, path, sizes)


def _measure(page: str, path: str, sizes: dict[str, Any]) -> None:
    to_raw, to_small = [], []
    for round_no in range(ROUNDS + 1):
        tails = {}
        for name, (firm, address, statement, port) in sizes.items():
            load = http_load.run(port, [http_load.request("GET", path, token=firm.token())] * PAGES, clients=1)
            assert load.refused == 0, f"{load.refused} pages were refused"
            bare = pgbench.run(address, statement[page], clients=1, transactions=PAGES)
            tails[name] = (report.percentile(load.latencies, 0.95), report.percentile(bare.latencies, 0.95))
        if round_no:
            to_raw.append(tails["large"][0] / tails["large"][1])
            to_small.append(tails["large"][0] / tails["small"][0])
    report.remark(
        f"{page} page, last round: HTTP p95 {tails['large'][0] * 1e3:.2f} ms, bare {tails['large'][1] * 1e3:.2f} ms"
    )
    report.figure(f"list_leads.{page}_page.p95_of_bare_sql.1M", to_raw, 8.0, at_least=False)
    report.figure(f"list_leads.{page}_page.p95_of_10k.1M", to_small, 1.3, at_least=False)


@contextmanager
def _environment(url: str) -> Iterator[None]:
    os.environ["DATABASE_URL"] = url
    settings.cache_clear()
    yield
    settings.cache_clear()


async def _fill(count: int) -> product.Firm:
    await migrations.prepare()
    firm = await product.make_firm()
    owner = await asyncpg.connect(
        settings().owner_url().set(drivername="postgresql").render_as_string(hide_password=False)
    )
    for begin in range(1, count + 1, 100_000):
        end = min(begin + 99_999, count)
        await owner.execute(FILL, firm.tenant_id, begin, end, NEWEST)
        await owner.execute(FILL_LEADS, firm.tenant_id, begin, end, NEWEST, firm.user_id, firm.team_id)
    for table in ("contact", "lead", "team", "user_account"):
        await owner.execute(f"vacuum analyze crm.{table}")
    await owner.close()
    return firm


async def _statement(firm: product.Firm) -> dict[str, str]:
    """Return pgbench's scripts: the statement the list itself makes, with its values written in."""
    asked: list[tuple[str, tuple[Any, ...]]] = []

    class Spy(db.Tx):
        __slots__ = ()

        async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
            asked.append((sql, args))
            return await super().fetch(sql, *args)

    deep = {"received_to": NEWEST - timedelta(hours=15)}
    async with db.transaction(firm.admin) as tx:
        spy = Spy(tx.connection, tx.driver, firm.admin)
        for filters in ({}, deep):
            await queries.page(spy, queries.Wanted(filters=filters), language="en")
    opened = f"\\startpipeline\nbegin;\nset local app.tenant_id = '{firm.tenant_id}';\n\\endpipeline\n"
    return {
        name: f"{opened}{' '.join(_filled_in(sql, args).split())};\ncommit;\n"
        for name, (sql, args) in zip(("first", "deep"), asked, strict=True)
    }


def _filled_in(sql: str, args: tuple[Any, ...]) -> str:
    def literal(found: re.Match[str]) -> str:
        value = args[int(found[1]) - 1]
        return f"'{value.isoformat() if isinstance(value, datetime) else str(UUID(str(value)))}'"

    return re.sub(r"\$(\d+)", literal, sql)
