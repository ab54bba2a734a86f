"""A page of 50 leads: through HTTP against the same statement run bare, at 10,000 and 1,000,000 leads, for each filter.

Ours: token, tenant, visibility, signed cursor, JSON out, trace and metrics. Baseline: pgbench running the very
statement the list runs, with its values, under the same role and tenant. Two databases of one server hold the two
sizes, each with an API process of its own; pages are asked for in turns, the first and one deep in the list, then one
for every documented filter. No page of a filter is asked for twice, so that none comes from what was kept. Every such
question has other values, and rare ones want another plan than frequent ones: both sides plan for the values. What the
bare statement takes with its plan kept from the run before is remarked beside.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

import asyncpg
from sqlalchemy.engine import make_url

from bench import http_load, pgbench, product, report
from crm import db, filtering, migrations, vault
from crm.leads import lists
from crm.leads.filters import FIELDS
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
# One in fifty thousand comes from somewhere rare; ids, times and values repeat from run to run.
FILL_LEADS = """
insert into crm.lead (tenant_id, id, contact_id, status, owner_id, team_id, source, external_id, platform, campaign,
                      adset, ad, form, keyword, geography, loss_reason, tags, cycle_no, import_id, is_test,
                      is_duplicate, acquired_at, received_at, assigned_at, first_attempt_at, status_changed_at,
                      created_at, updated_at)
select $1::uuid, ('00000000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       coalesce($7::text, case when rare then 'blocked' else
         (array['new', 'assigned', 'contacted', 'interested', 'no_answer', 'won', 'lost'])[1 + n % 7] end),
       case when n % 3 > 0 then $5::uuid end, case when n % 10 > 0 then $6::uuid end,
       case when rare then 'fair' else 'bench' end, n::text,
       case when rare then 'tiktok' else (array['meta', 'google'])[1 + n % 2] end,
       case when rare then 'c-rare' else 'c' || n % 20 end, 's' || n % 50, 'a' || n % 200,
       case when rare then 'f-rare' else 'f' || n % 5 end, case when n % 2 = 1 then 'k' || n % 300 end,
       (array['TR', 'DE', 'GB'])[1 + n % 3], case when n % 7 = 6 then 'price' end,
       case when rare then '{vip}' when n % 3 = 0 then '{fair}' else '{}' end::text[], case when rare then 2 else 1 end,
       case when n % 1000 = 0 then '00000000-0000-7000-b000-000000000001'::uuid end, n % 500 = 0, n % 20 = 0,
       at, at, case when n % 3 > 0 then at end, case when n % 4 = 0 then at + interval '5 minutes' end, at, at, at
  from (select n, n % 50000 = 49999 as rare, $4::timestamptz - n * interval '7 seconds' as at
          from generate_series($2::int, $3::int) n) n
"""
FILL_CLOCKS = """
insert into crm.sla_clock (tenant_id, id, lead_id, cycle_no, kind, rule_version, state, status, time_basis, target_s,
                           started_at, consumed_s, counted_until, due_at, breached_at, ended_at, end_reason)
select tenant_id, gen_random_uuid(), id, 1, 'first_response', 1, state, 'new', 'calendar', 300, received_at, 0,
       received_at, received_at + interval '5 minutes', case when state = 'breached' then received_at end,
       case when state = 'met' then received_at end, case when state = 'met' then 'answered' end
  from (select l.*, case when cycle_no = 2 then 'breached' when is_test then 'running' else 'met' end as state
          from crm.lead l where tenant_id = $1::uuid) l
"""
FILL_POINT = """
insert into crm.contact_point (tenant_id, id, contact_id, kind, key_id, sealed, blind_index, masked, created_at)
values ($1::uuid, gen_random_uuid(), '00000000-0000-7000-8000-00000000c350', $2::text, gen_random_uuid(), ''::bytea,
        $3::bytea, '', now())
"""

OWNER = "{owner}"
FILTERS = {
    "status": "status:in:won",
    "status.several": "status:in:new,assigned,contacted",
    "status.rare": "status:in:blocked",
    "status.not": "status:not_in:won,lost",
    "owner": f"owner:in:{OWNER}",
    "owner.me": "owner:is:me",
    "owner.nobody": "owner:is:null",
    "team.mine": "team:is:mine",
    "contact": "contact:in:00000000-0000-7000-8000-00000000c350",
    "source.rare": "source:in:fair",
    "platform": "platform:in:meta",
    "platform.rare": "platform:in:tiktok",
    "campaign": "campaign:in:c7",
    "campaign.rare": "campaign:in:c-rare",
    "adset": "adset:in:s7",
    "ad": "ad:in:a7",
    "form": "form:in:f2",
    "form.rare": "form:in:f-rare",
    "keyword": "keyword:in:k7",
    "geography": "geography:in:DE",
    "loss_reason": "loss_reason:in:price",
    "tags": "tags:any:fair",
    "tags.rare": "tags:any:vip",
    "tags.none": "tags:none:fair",
    "cycle_no.rare": "cycle_no:gte:2",
    "received_at": "received_at:lt:2026-05-31T09:00:00Z",
    "received_at.window": "received_at:during:2026-04",
    "acquired_at": "acquired_at:during:2026-04-05",
    "assigned_at": "assigned_at:is:null",
    "first_attempt_at": "first_attempt_at:is:null",
    "status_changed_at": "status_changed_at:during:2026-04",
    "updated_at": "updated_at:during:2026-04-05",
    "is_test": "is_test:is:true",
    "is_duplicate": "is_duplicate:is:true",
    "import": "import:in:00000000-0000-7000-b000-000000000001",
    "sla.rare": "sla:in:breached",
    "sla": "sla:in:running",
    "sla_due": "sla_due:during:2026-04",
    "name.starts": "name:starts:ayse yilmaz 77777",
    "name.has": "name:has:77777",
    "phone": "phone:eq:+905321234567",
    "email": "email:eq:ada@mail.example",
}
"""One question for every documented filter, and rare values (one lead in fifty thousand) beside frequent ones."""
BUDGET = 0.4
"""Seconds a round may ask for pages; a slow page is asked for at least three times."""


def main() -> None:
    """Print p95 of a page through HTTP against the bare statement, and at a million leads against ten thousand."""
    with product.database() as url, ExitStack() as running:
        sizes = {}
        for name, how_many in (("small", SMALL), ("large", LARGE)):
            with _environment(make_url(url).set(database=f"bench_{name}").render_as_string(hide_password=False)):
                firm, statement = product.run(_prepared(how_many))
                address = settings().role_url(APP_ROLE).render_as_string(hide_password=False)
                sizes[name] = (firm, address, statement, running.enter_context(product.api()))
        paths = {
            "first": "/leads?limit=50",
            "deep": f"/leads?limit=50&filter={quote(_deep())}",
        }
        for page, path in paths.items():
            _measure(page, path, sizes)
        for name, text in FILTERS.items():
            _filtered(name, text, sizes["large"])


def _deep() -> str:
    return f"received_at:lt:{(NEWEST - timedelta(hours=15)).isoformat()}"


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


def _filtered(name: str, text: str, size: Any) -> None:
    """Print the median of a filtered page through HTTP against the bare statement, at a million leads."""
    firm, address, statement, port = size
    ratios, to_kept, pages, serial = [], [], 3, count()
    for round_no in range(6):
        load = http_load.run(port, [_search(firm, text, next(serial)) for _ in range(pages)], clients=1)
        assert load.refused == 0, f"{load.refused} pages of {name} were refused"
        planned, kept = (
            report.median_of(
                pgbench.run(address, statement[name], clients=1, transactions=pages, protocol=each).latencies
            )
            for each in ("extended", "prepared")
        )
        ours = report.median_of(load.latencies)
        if round_no:
            ratios.append(ours / planned)
            to_kept.append(ours / kept)
        pages = max(3, min(PAGES, int(BUDGET / ours)))
    report.remark(
        f"{text.replace(OWNER, '…')}: HTTP {ours * 1e3:.2f} ms, bare {planned * 1e3:.2f} ms,"
        f" with its plan kept {kept * 1e3:.2f} ms ({report.median_of(to_kept):.1f} times)"
    )
    report.figure(f"list_leads.filter.{name}.of_bare_sql.1M", ratios, 8.0, at_least=False)


def _never(serial: int) -> str:
    """Return a filter that excludes nothing and is another one each time: no page comes from what was kept."""
    return f"received_at:gte:{(datetime(2002, 1, 1, tzinfo=UTC) + timedelta(seconds=serial)).isoformat()}"


def _search(firm: product.Firm, text: str, serial: int) -> bytes:
    body = {"filter": [text.replace(OWNER, str(firm.user_id)), _never(serial)], "limit": 50}
    return http_load.request("POST", "/leads/search", token=firm.token(), body=json.dumps(body).encode())


async def _prepared(how_many: int) -> tuple[product.Firm, dict[str, str]]:
    firm = await fill(how_many)
    return firm, await _statements(firm)


@contextmanager
def _environment(url: str) -> Iterator[None]:
    os.environ["DATABASE_URL"] = url
    settings.cache_clear()
    yield
    settings.cache_clear()


async def fill(how_many: int, *, status: str | None = None) -> product.Firm:
    """Make a firm with so many leads, all in one status or in all of them."""
    await migrations.prepare()
    firm = await product.make_firm()
    owner = await asyncpg.connect(
        settings().owner_url().set(drivername="postgresql").render_as_string(hide_password=False)
    )
    for begin in range(1, how_many + 1, 100_000):
        end = min(begin + 99_999, how_many)
        await owner.execute(FILL, firm.tenant_id, begin, end, NEWEST)
        await owner.execute(FILL_LEADS, firm.tenant_id, begin, end, NEWEST, firm.user_id, firm.team_id, status)
    await owner.execute(FILL_CLOCKS, firm.tenant_id)
    for kind, value in (("phone", "+905321234567"), ("email", "ada@mail.example")):
        await owner.execute(FILL_POINT, firm.tenant_id, kind, vault.blind_index(firm.tenant_id, kind, value))
    for table in ("contact", "contact_point", "lead", "sla_clock", "team", "user_account"):
        await owner.execute(f"vacuum analyze crm.{table}")
    await owner.close()
    return firm


async def _statements(firm: product.Firm) -> dict[str, str]:
    """Return pgbench's scripts: the statements the list itself makes, with their values written in."""
    asked: dict[str, tuple[str, tuple[Any, ...]]] = {}

    class Spy(db.Tx):
        __slots__ = ("name",)

        async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
            asked[self.name] = (sql, args)
            return []

    questions = {"first": [], "deep": [_deep()]} | {
        name: [text.replace(OWNER, str(firm.user_id)), _never(0)] for name, text in FILTERS.items()
    }
    for name, texts in questions.items():
        async with db.transaction(firm.admin) as tx:
            spy = Spy(tx.connection, tx.driver, firm.admin)
            spy.name = name
            clauses = filtering.parse_all(texts, FIELDS, personal=True)
            await lists.page(spy, lists.Wanted(clauses), language="en", now=NEWEST)
    opened = f"\\startpipeline\nbegin;\nset local app.tenant_id = '{firm.tenant_id}';\n\\endpipeline\n"
    return {name: f"{opened}{' '.join(_filled_in(*each).split())};\ncommit;\n" for name, each in asked.items()}


def _filled_in(sql: str, args: tuple[Any, ...]) -> str:
    return re.sub(r"\$(\d+)", lambda found: _literal(args[int(found[1]) - 1]), sql)


def _literal(value: Any) -> str:
    """Return a value as the statement's text may hold it; its type stands behind it."""
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    if isinstance(value, list):
        return "'{" + ",".join(map(str, value)) + "}'"
    return f"'{value.isoformat() if isinstance(value, datetime) else value}'"
