"""A workshop with a few relations, which are all there are, and what builds do in it: for tests of publications."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from crm.settings import APP_ROLE
from crm.settings import settings as our_settings
from orchestration import publishing, relations, warehouse
from orchestration.relations import Relation
from tests.conftest import NOW, Tenant


def relation(
    name: str,
    domain: str = "leads",
    *,
    entity: Sequence[str] = (),
    is_view: bool = False,
    day: str = "",
    reads: Sequence[str] = (),
) -> Relation:
    """A relation of the workshop of these tests."""
    return Relation(name, f"model.santral.{name}", domain, is_view, False, tuple(entity), frozenset(reads), day)


ENTITY = ("tenant_id", "lead_id")
WORKSHOP = (
    relation("fct_cycle", entity=ENTITY, day="received_on"),
    relation("fct_interval", entity=ENTITY),
    relation("dim_owner"),
    relation("loose"),
    relation("fct_reached", is_view=True),
    relation("fct_call", "telephony", entity=("tenant_id", "call_id")),
    relation("fct_sale", "money", reads=["leads"]),
)
TRANSACTIONS = itertools.count(100)
MADE = """
create table marts.fct_cycle (tenant_id uuid not null, lead_id int not null, cycle_no int not null, n int,
  source_max_recorded_at timestamptz, source_max_tx_id bigint, received_on date default '2026-03-03',
  primary key (tenant_id, lead_id, cycle_no));
create table marts.fct_interval (tenant_id uuid not null, lead_id int not null, n int, source_max_tx_id bigint);
create table marts.dim_owner (tenant_id uuid not null, owner_id int primary key, n int);
create table marts.loose (tenant_id uuid, n int);
create view marts.fct_reached as select tenant_id, lead_id, n > 0 as is_reached from marts.fct_cycle;
create table marts.fct_call (tenant_id uuid not null, call_id int primary key, n int, source_max_tx_id bigint);
create table marts.fct_sale (tenant_id uuid not null, sale_id int primary key);
insert into ops.horizon (tx_id, pinned_at) values ('1', now());
"""


@pytest.fixture
def workshop(database: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The pipeline's connection to a workshop with a few relations, which are all there are."""
    monkeypatch.setattr(relations, "all_relations", lambda: WORKSHOP)
    monkeypatch.setattr(publishing, "WITH_EACH", {})
    with warehouse.connect() as connection:
        connection.execute(MADE)
        yield connection


def write(connection: psycopg.Connection, tenant: Tenant, tx_id: int, leads: Sequence[int], n: int) -> None:
    """What a build does: the rows of some leads go and come back, in two facts, each by itself."""
    values = {"tenant": tenant.id, "leads": list(leads), "n": n, "tx": tx_id}
    added = {
        "fct_cycle": "lead, 1, %(n)s, now(), %(tx)s from unnest(%(leads)s::int[]) as lead",
        "fct_interval": "lead, 1, %(tx)s from unnest(%(leads)s::int[]) as lead, generate_series(1, %(n)s)",
    }
    for name, rows in added.items():
        connection.execute(
            f"delete from marts.{name} where tenant_id = %(tenant)s and lead_id = any(%(leads)s)", values
        )
        connection.execute(f"insert into marts.{name} select %(tenant)s, {rows}", values)


def built(*domains: str, failed: Sequence[str] = (), fails_for: Sequence[Tenant] = ()) -> None:
    publishing.begin(domains)
    publishing.end(domains, failed=failed, held=[firm.id for firm in fails_for])


def held(connection: psycopg.Connection, schema: str, name: str, firm: Tenant | None = None) -> list[Any]:
    found = connection.execute(f"select tenant_id, row(each)::text from {schema}.{name} as each").fetchall()
    return sorted(row for owner, row in found if firm is None or owner == firm.id)


def is_level(connection: psycopg.Connection, domain: str = "leads", firm: Tenant | None = None) -> bool:
    names = [one.name for one in WORKSHOP if one.domain == domain]
    return all(held(connection, "published", name, firm) == held(connection, "marts", name, firm) for name in names)


def what_stands(connection: psycopg.Connection, firm: Tenant, schema: str = "published") -> dict[str, list[Any]]:
    return {one.name: held(connection, schema, one.name, firm) for one in WORKSHOP if one.domain == "leads"}


def close_gate(connection: psycopg.Connection, firm: Tenant) -> None:
    """Let the gate of leads find most of a firm's day bad."""
    told = {"firm": firm.id, "at": NOW}
    connection.execute(
        "insert into ops.border_day (tenant_id, feed, part, day, rows, figures, counted_at)"
        " values (%(firm)s, 'raw/leads', 'meta/spring', '2026-03-03', 10, '{}', %(at)s) on conflict do nothing", told,
    )  # fmt: skip
    connection.execute(
        "insert into ops.quarantine (tenant_id, feed, set_key, label, day, rules, reasons, reasons_tr, weight, status,"
        " since, judged_at) values (%(firm)s, 'raw/leads', 'x', 'x', '2026-03-03', '{}', '{}', '{}', 8, 'held', %(at)s,"
        " %(at)s) on conflict (tenant_id, feed, set_key) do update set status = 'held'", told,
    )  # fmt: skip


def open_gate(connection: psycopg.Connection, firm: Tenant) -> None:
    connection.execute("update ops.quarantine set status = 'cleared' where tenant_id = %s", (firm.id,))


def at(connection: psycopg.Connection, minute: int) -> datetime:
    """Let the next builds read everything up to some minute."""
    instant = NOW + timedelta(minutes=minute)
    connection.execute("update ops.horizon set pinned_at = %s", (instant,))
    return instant


def as_reader() -> str:
    """Return how one of the API's readers reaches the database."""
    url = our_settings().role_url(APP_ROLE, driver="psycopg").set(drivername="postgresql")
    return url.render_as_string(hide_password=False)
