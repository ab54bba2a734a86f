"""Publication: what `marts` holds becomes what readers see in `published`, all at once.

dbt builds and tests in `marts`, over minutes and relation by relation; readers never see half of that. When domains are
built and their checks are green, one transaction brings their relations in `published` to what `marts` holds. Rows move
and tables stay, so that readers neither wait nor see anything but the state before it or after it.

A firm for which a gate of a domain is closed (`orchestration.border`) keeps its last good rows, and its `as_of`; all
other firms go on.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg

from crm import ids
from kpis import definitions
from orchestration import bi_views, gates, relations, tables, warehouse
from orchestration.relations import SHOWN, Relation
from orchestration.tables import Firms, Rows, View

BEGUN = """
insert into ops.domain_build (domain, state, started_at, held) values (%s, 'building', clock_timestamp(), %s)
on conflict (domain) do update
  set state = 'building', started_at = excluded.started_at, held = excluded.held, finished_at = null, tx_id = null,
      as_of = null, failed = excluded.failed
"""
ENDED = """
update ops.domain_build b
   set state = %s, failed = %s, held = array(select unnest(b.held) union select unnest(%s::uuid[])),
       finished_at = clock_timestamp(), tx_id = h.tx_id, as_of = h.pinned_at
  from ops.horizon h where b.domain = %s
"""
BUILDS = """
select b.domain, b.tx_id::text, b.as_of, b.held, b.state = 'green',
       exists (select from ops.publication_log p where p.domain = b.domain and p.published_at > b.finished_at)
  from ops.domain_build b
"""
AT_HAND = "select h.tx_id::text, h.pinned_at from ops.horizon h"
PATIENCE = "set local lock_timeout = '15s'"
"""Whoever waits to change a table's shape holds up every new reader: when readers of BI tools do not leave, the domain
keeps its last good publication and is tried again."""
LOG = """
insert into ops.publication_log (publication_id, domain, tx_id, as_of, published_at, seconds, rows_gone, rows_come)
values (%s, %s, %s::xid8, %s, clock_timestamp(), %s, %s, %s)
"""
STATE = """
insert into ops.publication (tenant_id, domain, publication_id, as_of, source_max_recorded_at, published_at)
select t.tenant_id, %(domain)s, %(id)s, %(as_of)s, latest.recorded_at, clock_timestamp()
  from crm.tenant t left join ({latest}) as latest using (tenant_id)
 where t.tenant_id <> all(%(held)s)
on conflict (tenant_id, domain) do update
  set publication_id = excluded.publication_id, as_of = excluded.as_of, published_at = excluded.published_at,
      source_max_recorded_at = excluded.source_max_recorded_at
"""
HELD = "select tenant_id from ops.held_back where domain = %s and until is null"
LET_GO = """
update ops.held_back set until = %(as_of)s
 where domain = %(domain)s and until is null and tenant_id <> all(%(held)s)
"""
HOLD = """
insert into ops.held_back (tenant_id, domain, since)
select t.tenant_id, %(domain)s, coalesce(p.as_of, t.created_at)
  from crm.tenant t left join ops.publication p on p.tenant_id = t.tenant_id and p.domain = %(domain)s
 where t.tenant_id = any(%(held)s)
on conflict (tenant_id, domain, since) do update set until = null
"""
TELLING = """
select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'source_max_recorded_at'
 where c.relnamespace = %s::regnamespace and c.relkind = 'r' and c.relname = any(%s)
"""


@dataclass(frozen=True, slots=True)
class _Build:
    """How the latest build of a domain stands."""

    tx_id: str
    as_of: datetime
    held: Sequence[UUID]
    is_green: bool
    is_published: bool


@dataclass(frozen=True, slots=True)
class Built:
    """What the build of a domain holds: everything up to a transaction and an instant (UTC)."""

    tx_id: str
    as_of: datetime
    held: frozenset[UUID] = frozenset()
    """The firms of whose news it holds something bad."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What the publication of one domain did; its relations hold everything that had ended by `as_of` (UTC)."""

    domain: str
    as_of: datetime
    rows: Rows
    seconds: float
    held: frozenset[UUID]
    """The firms that keep their last good rows."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What one publication came to. `problems`: why a domain keeps its last good publication, by domain."""

    id: UUID
    moved: Sequence[Moved]
    problems: Mapping[str, str]


def begin(domains: Collection[str]) -> None:
    """Say that domains are being built: what `marts` holds of them is not fit to publish, also if the build dies.

    A firm whose gate is closed now is held back even if it opens meanwhile: what was bad is in this build.
    """
    with warehouse.connect() as connection:
        for domain in sorted(domains):
            connection.execute(BEGUN, (domain, sorted(gates.closed_over(connection, domain))))


def end(domains: Collection[str], *, failed: Sequence[str] = (), held: Collection[UUID] = ()) -> None:
    """Say how a whole build of domains ended; `failed`: the names of models and tests that did not succeed; `held`: the
    firms for which alone a test did not."""
    with warehouse.connect() as connection:
        for domain in sorted(domains):
            connection.execute(ENDED, ("failed" if failed else "green", list(failed), sorted(held), domain))


def publish() -> Publication:
    """Publish every domain that is built, green and not published yet, in one transaction, without the rows of firms
    for which a gate of the domain was closed when it was built, or is now, or a test failed.

    A domain that cannot be published keeps its last good publication; the others go on. The caller holds off builds
    (`warehouse.one_writer`).
    """
    with warehouse.connect() as connection, connection.transaction():
        return _publish(connection, _ready(connection), relations.all_relations())


def _ready(connection: psycopg.Connection) -> dict[str, Built]:
    """Return what is to be published, in its order. Domains that gates guard hang on those they read, too: they wait
    until these are green, and whoever is held there is held here."""
    builds = {domain: _Build(*row) for domain, *row in connection.execute(BUILDS)}
    ready = dict[str, Built]()
    for domain, reads in relations.domains().items():
        below = [builds[other] for other in reads if other in builds and domain in gates.FEEDS]
        if (build := builds.get(domain)) and not build.is_published and all(one.is_green for one in [build, *below]):
            held = gates.closed_over(connection, domain).union(build.held, *(one.held for one in below))
            ready[domain] = Built(build.tx_id, build.as_of, held)
    return ready


def publish_at_hand(names: Collection[str], *, anew: bool = False) -> Publication:
    """Publish some relations of `marts` as they are, whatever the state of their domains and gates: for people at their
    own desk and for tests, which build parts."""
    chosen = [relation for relation in relations.all_relations() if relation.name in names]
    with warehouse.connect() as connection, connection.transaction():
        tx_id, as_of = connection.execute(AT_HAND).fetchall()[0]
        built = {relation.domain for relation in chosen}
        wanted = {domain: Built(tx_id, as_of) for domain in relations.domains() if domain in built}
        return _publish(connection, wanted, chosen, anew=anew)


def _publish(
    connection: psycopg.Connection, wanted: Mapping[str, Built], chosen: Sequence[Relation], *, anew: bool = False
) -> Publication:
    connection.execute(PATIENCE)
    publication, moved = ids.new(), list[Moved]()
    problems: dict[str, str] = {}
    for domain, built in wanted.items():
        members = [relation for relation in chosen if relation.domain == domain]
        try:
            with connection.transaction():
                moved.append(_move(connection, publication, domain, built, members, anew=anew))
        except psycopg.Error as error:
            problems[domain] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    if moved:
        _bring_with_it(connection, problems)
    return Publication(publication, moved, problems)


def _move(
    connection: psycopg.Connection,
    publication: UUID,
    domain: str,
    built: Built,
    members: Sequence[Relation],
    *,
    anew: bool,
) -> Moved:
    began = time.monotonic()
    before = {tenant for (tenant,) in connection.execute(HELD, (domain,))}
    rows = _bring(connection, members, Firms(built.held, frozenset(before - built.held)), anew=anew)
    _state(connection, publication, domain, built, members)
    seconds = time.monotonic() - began
    connection.execute(LOG, (publication, domain, built.tx_id, built.as_of, seconds, rows.gone, rows.come))
    return Moved(domain, built.as_of, rows, seconds, built.held)


def _bring_with_it(connection: psycopg.Connection, problems: dict[str, str]) -> None:
    for name, bring in WITH_EACH.items():
        try:
            with connection.transaction():
                bring(connection)
        except psycopg.Error as error:
            problems[name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"


def _keep_definitions(connection: psycopg.Connection) -> None:
    connection.cursor().executemany(definitions.KEEP, list(definitions.rows()))


WITH_EACH: Mapping[str, Callable[[psycopg.Connection], object]] = {
    "definitions": _keep_definitions,
    bi_views.SCHEMA: bi_views.bring,
}
"""What each publication brings with its relations, in the same transaction."""


def _bring(connection: psycopg.Connection, members: Sequence[Relation], firms: Firms, *, anew: bool) -> Rows:
    rows = Rows()
    dropped: list[View] = []
    for relation in members:
        moved, gone = tables.bring(connection, relation, firms, anew=anew)
        rows, dropped = rows + moved, dropped + gone
    tables.restore(connection, dropped)
    return rows


def _state(
    connection: psycopg.Connection, publication: UUID, domain: str, built: Built, members: Sequence[Relation]
) -> None:
    told = {"domain": domain, "id": publication, "as_of": built.as_of, "held": sorted(built.held)}
    for statement in (LET_GO, HOLD, _latest(connection, members)):
        connection.execute(statement, told)


def _latest(connection: psycopg.Connection, members: Sequence[Relation]) -> str:
    """Return the statement that says up to when each firm's numbers hold everything."""
    named = [relation.name for relation in members if not relation.is_view and not relation.is_shared]
    telling = [name for (name,) in connection.execute(TELLING, (SHOWN, named))]
    parts = [
        f"select tenant_id, max(source_max_recorded_at) as recorded_at from {SHOWN}.{name} group by tenant_id"
        for name in telling
    ] or ["select null::uuid as tenant_id, null::timestamptz as recorded_at"]
    latest = f"select tenant_id, max(recorded_at) as recorded_at from ({' union all '.join(parts)}) as each group by 1"
    return STATE.replace("{latest}", latest)
