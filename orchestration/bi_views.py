"""The views that BI tools read: contracts of the dbt project (models/bi), made over what is published.

Each view asks as the one who looks (`security_invoker`), so that row-level security binds it; the roles of BI tools may
read exactly the columns that their views are made of, and cannot name `published` themselves.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import psycopg
from psycopg import sql

from crm.settings import BI_ROLES
from kpis import project
from orchestration.relations import SHOWN

SCHEMA = "bi"
REF = re.compile(r"\{\{\s*ref\('(\w+)'\)\s*\}\}")
READS = {
    "bi_reader": ("bi_reader",),
    "bi_finance": ("bi_reader", "bi_finance"),
    "analyst_pseudo": ("bi_reader", "analyst_pseudo"),
}
"""Which grades of views each role of the database reads."""

COLUMNS = """
with recursive used as (
  select d.refobjid, d.refobjsubid from pg_rewrite r
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
   where r.ev_class = %(view)s::regclass and d.refobjid <> r.ev_class
  union
  select d.refobjid, d.refobjsubid from used u join pg_rewrite r on r.ev_class = u.refobjid
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
   where d.refobjid <> r.ev_class
)
select c.oid::regclass::text, array_agg(a.attname::text order by a.attnum), bool_or(c.relkind = 'r'),
       exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id' and not t.attisdropped)
  from used u join pg_class c on c.oid = u.refobjid
  join pg_attribute a on a.attrelid = u.refobjid and a.attnum = u.refobjsubid
 group by c.oid
"""
"""The relations under a view, views of views included, each with the columns it takes, whether it is a table (bound by
policies) and whether its rows belong to tenants."""
STANDING = """
select c.relname, obj_description(r.oid, 'pg_rewrite') from pg_class c join pg_rewrite r on r.ev_class = c.oid
 where c.relnamespace = 'bi'::regnamespace and c.relkind = 'v'
"""
"""The views that stand, each with the mark that its rule bears: comments of the view itself are shown by BI tools."""


@dataclass(frozen=True, slots=True)
class View:
    """One contract: its name, what it and its columns say of themselves, who reads it, its SELECT, what that reads."""

    name: str
    description: str
    columns: Mapping[str, str]
    """What each column says of itself."""
    key: tuple[str, ...]
    """The columns that name a row of a firm; PostgreSQL has no keys of views that tools could ask for."""
    grade: str
    select: str
    parents: tuple[str, ...]

    @property
    def comment(self) -> str:
        """What BI tools show of the view."""
        return f"{self.description} Key: {', '.join(self.key)}."

    @property
    def mark(self) -> str:
        """What tells whether the view stands as it is wanted."""
        return hashlib.sha256(repr((self.grade, self.select, self.comment, self.columns)).encode()).hexdigest()[:12]


@cache
def contracts() -> tuple[View, ...]:
    """Return every view that the dbt project promises to BI tools."""
    nodes = json.loads((project.target() / "manifest.json").read_text())["nodes"]
    return tuple(
        View(
            name=node["alias"],
            description=node["description"].strip(),
            columns={name: column["description"] for name, column in node["columns"].items()},
            key=tuple(node["config"]["meta"]["key"]),
            grade=node["config"]["meta"]["grade"],
            select=REF.sub(rf"{SHOWN}.\1", node["raw_code"]).strip(),
            parents=tuple(sorted(set(REF.findall(node["raw_code"])))),
        )
        for node in sorted(nodes.values(), key=lambda node: node["unique_id"])
        if node["resource_type"] == "model" and node["schema"] == SCHEMA
    )


def bring(connection: psycopg.Connection) -> Sequence[str]:
    """Make the views whose relations are published; return their names when anything had to be made, else nothing.

    What stands as it is wanted is left alone: making a view waits for whoever reads it. When one has changed all are
    made anew, so that no right of an earlier contract stays.
    """
    standing = dict(connection.execute(STANDING).fetchall())
    shown = {
        name
        for (name,) in connection.execute(
            "select relname from pg_class where relnamespace = %s::regnamespace", (SHOWN,)
        )
    }
    wanted = [view for view in contracts() if shown.issuperset(view.parents)]
    if standing == {view.name: view.mark for view in wanted}:
        return []
    for name in standing:
        connection.execute(f'drop view {SCHEMA}."{name}"')
    connection.execute(f"revoke all on all tables in schema {SHOWN} from {', '.join(BI_ROLES)}")
    for view in wanted:
        _make(connection, view)
    return [view.name for view in wanted]


def _make(connection: psycopg.Connection, view: View) -> None:
    name = f'{SCHEMA}."{view.name}"'
    readers = ", ".join(role for role, grades in READS.items() if view.grade in grades)
    said = {
        f"view {name}": view.comment,
        f'rule "_RETURN" on {name}': view.mark,
        **{f'column {name}."{column}"': description for column, description in view.columns.items()},
    }
    statements = [
        f"create view {name} with (security_invoker = true) as {view.select}",
        *(f"comment on {what} is {sql.quote(words)}" for what, words in said.items()),
        f"grant select on {name} to {readers}",
    ]
    connection.execute(";\n".join(statements))
    for relation, columns, is_table, is_tenants in connection.execute(COLUMNS, {"view": name}).fetchall():
        connection.execute(f"grant select ({', '.join(columns)}) on {relation} to {readers}")
        if is_table:
            _bind(connection, relation, is_tenants)


def _bind(connection: psycopg.Connection, relation: str, is_tenants: bool) -> None:
    """Show BI tools the rows of the firm that their login belongs to, and no others."""
    condition = "tenant_id = (select crm.tenant_of_bi_login())" if is_tenants else "true"
    connection.execute(f"drop policy if exists bi on {relation}")
    connection.execute(f"create policy bi on {relation} for select to {', '.join(BI_ROLES)} using ({condition})")
