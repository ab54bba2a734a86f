"""Bringing one published table or view to what the workshop holds, within the transaction of a publication.

Rows of firms that are held back stay as they were published last, whatever moves around them.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from crm.settings import APP_ROLE
from orchestration.relations import SHOWN, WORKSHOP, Relation

WATERMARK = "source_max_tx_id"

COLUMNS = """
select attname, format_type(atttypid, atttypmod) from pg_attribute
 where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum
"""
PRIMARY_KEY = """
select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
 where i.indrelid = to_regclass(%s) and i.indisprimary
"""
KNOWN = "select made_from::bigint, source_max_tx_id from ops.published_relation where name = %s"
REMEMBER = """
insert into ops.published_relation (name, domain, made_from, source_max_tx_id, published_at)
values (%s, %s, to_regclass(%s), %s, statement_timestamp())
on conflict (name) do update set domain = excluded.domain, made_from = excluded.made_from,
  source_max_tx_id = excluded.source_max_tx_id, published_at = excluded.published_at
"""
DEPENDANTS = """
with recursive above as (
  select to_regclass(%s)::oid as oid, 0 as depth
  union
  select rule.ev_class, above.depth + 1
    from above
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = above.oid
     and d.classid = 'pg_rewrite'::regclass
    join pg_rewrite rule on rule.oid = d.objid and rule.ev_class <> above.oid
)
select above.oid::regclass::text, pg_get_viewdef(above.oid), array_to_string(c.reloptions, ', '),
       array(select format('grant %%s on %%s to %%I', lower(g.privilege_type), above.oid::regclass, r.rolname)
               from aclexplode(c.relacl) g join pg_roles r on r.oid = g.grantee where g.grantee <> c.relowner)
  from above join pg_class c on c.oid = above.oid
 where above.depth > 0
 group by above.oid, c.reloptions, c.relacl, c.relowner
 order by max(above.depth)
"""
"""Views that read a relation, directly or not, each after those it reads."""
ANALYZED_ABOVE = 0.1
"""Share of a table's rows that moved, above which its statistics are gathered anew."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a publication moved."""

    gone: int = 0
    come: int = 0

    def __add__(self, other: "Rows") -> "Rows":
        return Rows(self.gone + other.gone, self.come + other.come)


@dataclass(frozen=True, slots=True)
class Firms:
    """Whose rows move: those of every firm but the `held`. Of firms that come `back` after they were held, every row is
    compared: their news is older than the last publication."""

    held: frozenset[UUID] = field(default_factory=frozenset)
    back: frozenset[UUID] = field(default_factory=frozenset)

    def of(self, relation: Relation) -> "Firms":
        """Return the firms that matter to a relation: what is the same for all is nobody's."""
        return Firms() if relation.is_shared else self


def _are(firms: Collection[UUID]) -> str:
    """Return the condition that a row belongs to one of some firms."""
    return f"tenant_id = any('{{{', '.join(sorted(map(str, firms)))}}}'::uuid[])" if firms else "false"


def _are_not(firms: Collection[UUID]) -> str:
    return f"not {_are(firms)}" if firms else "true"


@dataclass(frozen=True, slots=True)
class View:
    """A view that had to go because what it reads changed its shape."""

    name: str
    definition: str
    options: str | None
    grants: Sequence[str]


def bring(
    connection: psycopg.Connection, relation: Relation, firms: Firms, *, anew: bool = False
) -> tuple[Rows, list[View]]:
    """Bring a published relation to what the workshop holds; a view reads the published relations of the same names.

    `anew`: compare every row, also where events tell which could have changed. Returns the rows moved and the views
    that were dropped on the way, which the caller gives to `restore` when all relations have been brought.
    """
    if relation.is_view:
        return Rows(), _bring_view(connection, relation)
    concerned = firms.of(relation)
    dropped = _shape(connection, relation, concerned.held)
    return _fill(connection, relation, concerned, anew=anew), dropped


def restore(connection: psycopg.Connection, dropped: Sequence[View]) -> None:
    """Make dropped views again, those that publishing has not made anew; those of BI tools are made by `bi_views`."""
    for view in dropped:
        if not view.name.startswith("bi.") and _one(connection, "select to_regclass(%s) is null", view.name):
            options = f"with ({view.options}) " if view.options else ""
            connection.execute(f"create view {view.name} {options}as {view.definition}")
            for grant in view.grants:
                connection.execute(grant)


def _fill(connection: psycopg.Connection, relation: Relation, firms: Firms, *, anew: bool) -> Rows:
    made, shown = f"{WORKSHOP}.{relation.name}", f"{SHOWN}.{relation.name}"
    columns = list(_columns(connection, made))
    key = _column(connection, PRIMARY_KEY, made)
    source: int = _one(connection, "select to_regclass(%s)::oid::bigint", made)
    known = connection.execute(KNOWN, (relation.name,)).fetchone()
    follows = bool(relation.entity) and WATERMARK in columns
    going = _are_not(firms.held)
    if follows and not anew and known and known[0] == source and known[1] is not None:
        rows = _move_news(connection, relation, columns, after=known[1], going=going)
        if firms.back:
            rows += _move_differences(connection, relation, columns, key, going=_are(firms.back))
        if not _as_many(connection, made, shown, going):  # an entity has lost all its rows: events cannot point at it
            rows += _move_differences(connection, relation, columns, key, going=going)
    else:
        rows = _move_differences(connection, relation, columns, key, going=going)
    latest = _one(connection, f"select max({WATERMARK}) from {made}") if follows else None
    connection.execute(REMEMBER, (relation.name, relation.domain, made, latest))
    _learn(connection, shown, rows)
    return rows


def _shape(connection: psycopg.Connection, relation: Relation, held: Collection[UUID]) -> list[View]:
    """Give the published table the columns of the workshop's; return the views that were in the way."""
    made, shown = f"{WORKSHOP}.{relation.name}", f"{SHOWN}.{relation.name}"
    wanted, has = _columns(connection, made), _columns(connection, shown)
    dropped: list[View] = []
    if has and has.items() <= wanted.items() and not _is_view(connection, shown):
        for name in wanted.keys() - has.keys():
            connection.execute(f'alter table {shown} add "{name}" {wanted[name]}')
    elif has and held and not _is_view(connection, shown):
        same = _names([name for name, kind in wanted.items() if has.get(name) == kind])
        connection.execute(f"create temp table stays on commit drop as select {same} from {shown} where {_are(held)}")
        dropped = _drop(connection, shown)
        _create(connection, relation)
        connection.execute(f"insert into {shown} ({same}) select {same} from stays; drop table stays")
    else:
        if has:
            dropped = _drop(connection, shown)
        _create(connection, relation)
    return dropped


def _columns(connection: psycopg.Connection, name: str) -> dict[str, str]:
    return dict(connection.execute(COLUMNS, (name,)).fetchall())


def _drop(connection: psycopg.Connection, name: str) -> list[View]:
    """Drop a relation with the views that read it; return those."""
    views = [View(*row) for row in connection.execute(DEPENDANTS, (name,))]
    connection.execute(f"drop {'view' if _is_view(connection, name) else 'table'} {name} cascade")
    return views


def _create(connection: psycopg.Connection, relation: Relation) -> None:
    shown = f"{SHOWN}.{relation.name}"
    connection.execute(f"create table {shown} (like {WORKSHOP}.{relation.name} including all)")
    if relation.day:
        connection.execute(f"create index on {shown} (tenant_id, {relation.day})")
    connection.execute("delete from ops.published_relation where name = %s", (relation.name,))
    # In a subquery, so that the setting is read once a statement and not once a row.
    condition = "true" if relation.is_shared else "tenant_id = (select current_setting('app.tenant_id')::uuid)"
    connection.execute(f"alter table {shown} enable row level security")
    connection.execute(f"create policy tenant on {shown} for select to {APP_ROLE} using ({condition})")
    connection.execute(f"grant select on {shown} to {APP_ROLE}")


def _move_news(
    connection: psycopg.Connection, relation: Relation, columns: Sequence[str], *, after: int, going: str
) -> Rows:
    """Move the rows of every entity that something happened to since the last publication."""
    made, shown, key = f"{WORKSHOP}.{relation.name}", f"{SHOWN}.{relation.name}", ", ".join(relation.entity)
    connection.execute("drop table if exists news")
    connection.execute(
        f"create temp table news on commit drop as select distinct {key} from {made}"
        f" where {WATERMARK} > {after} and {going}"
    )
    connection.execute("analyze news")
    names = _names(columns)
    gone = connection.execute(f"delete from {shown} where ({key}) in (select {key} from news)").rowcount
    come = connection.execute(
        f"insert into {shown} ({names}) select {names} from {made} where ({key}) in (select {key} from news)"
    ).rowcount
    return Rows(gone, come)


def _move_differences(
    connection: psycopg.Connection, relation: Relation, columns: Sequence[str], key: Sequence[str], *, going: str
) -> Rows:
    """Compare row by row and move what differs: what is the same is not written again."""
    if not key:
        return _move_all(connection, relation, columns, going=going)
    made, shown = f"{WORKSHOP}.{relation.name}", f"{SHOWN}.{relation.name}"
    same_key = " and ".join(f"made.{name} = shown.{name}" for name in _quoted(key))
    same_row = (
        f"row({', '.join(f'made.{name}' for name in _quoted(columns))})"
        f" is not distinct from row({', '.join(f'shown.{name}' for name in _quoted(columns))})"
    )
    gone = connection.execute(
        f"delete from {shown} as shown where {going}"
        f" and not exists (select from {made} as made where {same_key} and {same_row})"
    ).rowcount
    come = connection.execute(
        f"insert into {shown} ({_names(columns)}) select {_names(columns)} from {made} as made"
        f" where {going} and not exists (select from {shown} as shown where {same_key}) {_in_order(relation)}"
    ).rowcount
    return Rows(gone, come)


def _move_all(connection: psycopg.Connection, relation: Relation, columns: Sequence[str], *, going: str) -> Rows:
    """Move everything of a table without a key, when anything differs (a row held twice counts twice)."""
    made, shown, names = f"{WORKSHOP}.{relation.name}", f"{SHOWN}.{relation.name}", _names(columns)
    those = {place: f"select {names} from {place} where {going}" for place in (made, shown)}
    for one, other in ((made, shown), (shown, made)):
        if _one(connection, f"select exists ({those[one]} except all {those[other]})"):
            gone = connection.execute(f"delete from {shown} where {going}").rowcount
            come = connection.execute(f"insert into {shown} ({names}) {those[made]}").rowcount
            return Rows(gone, come)
    return Rows()


def _in_order(relation: Relation) -> str:
    """Return in which order rows are laid down: what is asked for together lies together, firm by firm, day by day."""
    return f"order by tenant_id, {relation.day}" if relation.day else ""


def _as_many(connection: psycopg.Connection, made: str, shown: str, going: str) -> bool:
    counts = [f"(select count(*) from {place} where {going})" for place in (made, shown)]
    return bool(_one(connection, f"select {' = '.join(counts)}"))


def _learn(connection: psycopg.Connection, shown: str, rows: Rows) -> None:
    held = _one(connection, "select reltuples from pg_class where oid = to_regclass(%s)", shown)
    if rows.gone + rows.come > ANALYZED_ABOVE * max(held, 0):
        connection.execute(f"analyze {shown}")


def _bring_view(connection: psycopg.Connection, relation: Relation) -> list[View]:
    made, shown = f"{WORKSHOP}.{relation.name}", f"{SHOWN}.{relation.name}"
    definition = _one(connection, "select pg_get_viewdef(to_regclass(%s))", made)
    wanted = re.sub(rf"\b{WORKSHOP}\.", f"{SHOWN}.", definition)
    dropped: list[View] = []
    if _one(connection, "select to_regclass(%s) is not null", shown):
        if _is_view(connection, shown) and _one(connection, "select pg_get_viewdef(to_regclass(%s))", shown) == wanted:
            return []
        dropped = _drop(connection, shown)
    connection.execute(f"create view {shown} with (security_invoker = true) as {wanted}")
    connection.execute(f"grant select on {shown} to {APP_ROLE}")
    return dropped


def _is_view(connection: psycopg.Connection, name: str) -> bool:
    return bool(_one(connection, "select relkind = 'v' from pg_class where oid = to_regclass(%s)", name))


def _quoted(columns: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in columns]


def _names(columns: Sequence[str]) -> str:
    return ", ".join(_quoted(columns))


def _one(connection: psycopg.Connection, sql: str, *values: object) -> Any:
    row = connection.execute(sql, values or None).fetchone()
    return row[0] if row else None


def _column(connection: psycopg.Connection, sql: str, *values: object) -> list[str]:
    return [row[0] for row in connection.execute(sql, values)]
