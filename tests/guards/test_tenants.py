"""The tenant fuzz: whatever id of another firm a route is given, it answers exactly as to an id that does not exist."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from crm import clock
from tests.api.conftest import SignIn
from tests.conftest import Tenant
from tests.guards.requests import ID, Call, Fill, calls_of

KNOWN: dict[str, Any] = {
    "phone": "+905321234567",
    "email": "ada@mail.example",
    "source": "meta",
    "secrets": {"app_secret": "meta-app-secret", "verify_token": "meta-verify", "access_token": "meta-access"},
    "password": "uzun-bir-parola-9",
    "timezone": "Europe/Istanbul",
    "reason": "test",
    "status": "contacted",
    "roles": ["sales_agent"],
    "direction": "outbound",
    "takes_place_on": "2098-01-01",
    "due_at": "2098-06-01T09:30:00Z",
    "ends_at": (clock.utc_now() + timedelta(days=30)).isoformat(),
    "until": (clock.utc_now() + timedelta(hours=1)).isoformat(),
    "labels": {"tr": "Satış", "en": "Sales"},
    "way": {"to": "message", "prompt": "all-busy"},
    "variants": [{"key": "long", "script": "long"}, {"key": "short", "script": "short"}],
}
"""What makes a body good that only fits its schema: without a good body nothing is made, and nothing compared."""

TABLE_OF = {
    "user": "user_account",
    "owner": "user_account",
    "lead_user": "user_account",
    "absence": "user_absence",
    "import": "import_run",
    "message": "inbox_message",
    "teams": "team",
    "action": "queue_action",
}
"""Where the name of a field does not say the table its ids are of."""

CHANGES = re.compile(
    r'"(trace_id|as_of|since|until|cursor|next_cursor)":\s*("[^"]*"|null)|"open_seconds":[\d.]+|\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)'
)
"""What differs between any two answers."""


async def ids_of(owner: asyncpg.Connection, tenant_id: UUID) -> dict[str, str]:
    """Return one id of every table in which a firm has a row with one."""
    tables = await owner.fetch(
        "select table_name from information_schema.columns c"
        " where table_schema = 'crm' and column_name = 'id' and data_type = 'uuid'"
        " and exists (select 1 from information_schema.columns t where t.table_schema = 'crm'"
        " and t.table_name = c.table_name and t.column_name = 'tenant_id') order by table_name"
    )
    found = {}
    for (table,) in tables:
        row = await owner.fetchval(
            f"select id from crm.{table} where tenant_id = $1 order by id desc limit 1", tenant_id
        )
        if row is not None:
            found[table] = str(row)
    return found


async def fingerprint(owner: asyncpg.Connection, tenant_id: UUID) -> dict[str, str]:
    """Return a hash of all a firm has, table by table, the log of requests left out."""
    tables = await owner.fetch(
        "select table_name from information_schema.columns where table_schema = 'crm' and column_name = 'tenant_id'"
        " and table_name <> 'request_log' order by table_name"
    )
    return {
        table: await owner.fetchval(
            "select md5(coalesce(string_agg(t::text, '' order by t::text), ''))"
            f" from crm.{table} t where tenant_id = $1",
            tenant_id,
        )
        for (table,) in tables
    }


def own(ids: dict[str, str]) -> Fill:
    """Return a filler that gives each field an id of the firm itself where its name tells the table."""

    def fill(name: str) -> str:
        noun = re.sub(r"_ids?$", "", name)
        return ids.get(TABLE_OF.get(noun, noun), str(uuid4()))

    return fill


async def make_everything(app: FastAPI, client: httpx.AsyncClient, owner: asyncpg.Connection, tenant: Tenant) -> None:
    """Call every creating route of the firm twice, the second time with the ids that the first has made."""
    for turn in range(2):
        for call in calls_of(app, {**KNOWN, "email": f"ada{turn}@{tenant.id}.example", "name": f"Ada {turn}"}):
            if call.method == "POST" and not call.access.public and "archive" not in call.path:
                await call.send(client, fill=own(await ids_of(owner, tenant.id)))


def positions(call: Call) -> list[str]:
    """Return the names of a call's fields that take ids."""
    names: list[str] = []

    def note(name: str) -> str:
        names.append(name)
        return str(uuid4())

    note_path = re.findall(r"{(\w+)(?::\w+)?}", call.path)
    for part in (call.query, call.body, call.form):
        _walk(part, note)
    return [*note_path, *dict.fromkeys(names)]


def _walk(value: Any, fill: Fill, name: str = "") -> None:
    if isinstance(value, dict):
        for key, each in value.items():
            _walk(each, fill, key)
    elif isinstance(value, list):
        for each in value:
            _walk(each, fill, name)
    elif value == ID:
        fill(name)


def said(response: httpx.Response, tried: str) -> tuple[int, str]:
    """Return what an answer tells, but for what differs between any two."""
    return response.status_code, CHANGES.sub("…", response.text.replace(tried, "ID"))


def at(position: str, tried: str, others: Fill) -> Fill:
    """Return a filler that tries an id at one place and gives the other places good ones."""
    return lambda name: tried if name == position else others(name)


def cases(app: FastAPI) -> Iterator[tuple[Call, str]]:
    """Yield every call with every place in it that takes an id."""
    for call in calls_of(app, KNOWN):
        if not call.access.public:
            for position in positions(call):
                yield call, position


@pytest.mark.usefixtures("parsed")
class TestTenantFuzz:
    async def test_answers_as_if_the_other_firm_did_not_exist(
        self, app: FastAPI, database: str, tenant: Tenant, other_tenant: Tenant, sign_in: SignIn
    ) -> None:
        owner = await asyncpg.connect(database)
        client = sign_in(tenant.admin)
        await make_everything(app, sign_in(other_tenant.admin), owner, other_tenant)
        await make_everything(app, client, owner, tenant)
        theirs = await ids_of(owner, other_tenant.id)
        before = await fingerprint(owner, other_tenant.id)
        told, tried = [], 0

        for call, position in cases(app):
            others = own(await ids_of(owner, tenant.id))
            nowhere = str(uuid4())
            none = said(await call.send(client, fill=at(position, nowhere, others)), nowhere)
            for table, foreign in theirs.items():
                answer = said(await call.send(client, fill=at(position, foreign, others)), foreign)
                tried += 1
                if answer != none:
                    told.append(f"{call} {position} = {table}: {answer} but {none}")

        after = await fingerprint(owner, other_tenant.id)
        await owner.close()
        assert told == []
        assert after == before
        assert {"lead", "contact", "team", "user_account", "activity"} <= set(theirs), "the other firm must have rows"
        assert tried > 100


class TestRowLevelSecurity:
    async def test_binds_every_table_of_a_tenant(self, database: str) -> None:
        owner = await asyncpg.connect(database)

        open_tables = await owner.fetch(
            "select c.table_schema, c.table_name from information_schema.columns c"
            " join pg_class k on k.relname = c.table_name and k.relnamespace = c.table_schema::regnamespace"
            " where c.column_name = 'tenant_id' and k.relkind in ('r', 'p') and c.table_schema in ('crm', 'raw')"
            " and not (k.relrowsecurity and exists (select 1 from pg_policy p where p.polrelid = k.oid))"
        )

        await owner.close()
        assert [tuple(row) for row in open_tables] == []

    async def test_is_on_every_table_of_ours(self, database: str) -> None:
        owner = await asyncpg.connect(database)

        tenantless = await owner.fetch(
            "select k.relname from pg_class k where k.relnamespace = 'crm'::regnamespace and k.relkind in ('r', 'p')"
            " and not exists (select 1 from pg_attribute a where a.attrelid = k.oid and a.attname = 'tenant_id')"
        )

        await owner.close()
        assert {row["relname"] for row in tenantless} == {"event_reader"}, (
            "of no tenant: only how far readers have read"
        )
