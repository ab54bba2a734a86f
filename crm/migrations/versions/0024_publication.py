"""What readers see of the marts.

Revision ID: 0024
"""

from alembic import op

from crm.migrations.tables import drop_tables, run_script, tenant_table, tenant_tables
from crm.settings import APP_ROLE, PIPELINE_ROLE

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {}
INDEXES = ""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""

PUBLICATION = """
    tenant_id uuid not null,
    domain text not null,
    publication_id uuid not null,
    as_of timestamptz not null,
    source_max_recorded_at timestamptz,
    published_at timestamptz not null,
    primary key (tenant_id, domain)
"""

HELD_BACK = """
    tenant_id uuid not null,
    domain text not null,
    since timestamptz not null,
    until timestamptz,
    primary key (tenant_id, domain, since)
"""

OF_THE_PIPELINE = f"""
create schema published;
grant usage on schema published to {APP_ROLE};
grant usage, create on schema published to {PIPELINE_ROLE};

revoke insert, update, delete on ops.publication from {APP_ROLE};
create policy pipeline_publishes on ops.publication to {PIPELINE_ROLE} using (true) with check (true);
grant insert, update, delete on ops.publication to {PIPELINE_ROLE};

revoke insert, update, delete on ops.held_back from {APP_ROLE};
create policy pipeline_holds on ops.held_back to {PIPELINE_ROLE} using (true) with check (true);
grant insert, update on ops.held_back to {PIPELINE_ROLE};
comment on table ops.held_back is
  'Times over which a firm kept the numbers of a domain that it had as of since, because what came in was bad.';

create table ops.publication_log (
  publication_id uuid not null,
  domain text not null,
  tx_id xid8 not null,
  as_of timestamptz not null,
  published_at timestamptz not null,
  seconds double precision not null,
  rows_gone bigint not null,
  rows_come bigint not null,
  primary key (publication_id, domain)
);
create index publication_log_at on ops.publication_log (domain, published_at desc);
comment on table ops.publication_log is
  'Every publication: which domains it brought up to which instant, how long it took and how many rows it moved.';

create table ops.domain_build (
  domain text primary key,
  state text not null check (state in ('building', 'green', 'failed')),
  tx_id xid8,
  as_of timestamptz,
  started_at timestamptz not null,
  finished_at timestamptz,
  failed text[] not null default '{{}}',
  held uuid[] not null default '{{}}'
);
comment on table ops.domain_build is
  'How the latest build of each domain of the marts stands: only what is green is published.';

create table ops.published_relation (
  name text primary key,
  domain text not null,
  made_from oid not null,
  source_max_tx_id bigint,
  published_at timestamptz not null
);
comment on table ops.published_relation is
  'Which relation of the marts each published one was copied from, and up to which transaction.';

create table ops.as_of (
  schema_name text primary key check (schema_name ~ '^asof_[0-9]{{8}}t[0-9]{{6}}z$'),
  instant timestamptz not null unique,
  project text not null,
  made_at timestamptz not null,
  kept_until timestamptz not null
);
comment on table ops.as_of is 'The marts as they were known at an instant, each in a schema of its own, until dropped.';

create table ops.kpi_definition (
  metric text not null,
  hash text not null,
  part text not null,
  cuts text not null,
  first_published_at timestamptz not null,
  primary key (metric, hash)
);
comment on table ops.kpi_definition is
  'Every definition under which a metric was ever published, so that it can be asked for again by its hash.';

alter table ops.horizon add pinned_for text;
comment on column ops.horizon.pinned_for is 'The run it was pinned for: all builds of one run read the same events.';
"""

OF_NO_TENANT = ("publication_log", "domain_build", "published_relation", "as_of", "kpi_definition")
SEEN_BY_ALL = ("as_of", "kpi_definition")

# The pipeline may not create schemas; these make and drop nothing but schemas of numbers as of an instant.
AS_OF = f"""
create function ops.open_as_of(name text) returns void language plpgsql security definer
  set search_path = crm, pg_temp as $$
begin
  if name !~ '^asof_[0-9]{{8}}t[0-9]{{6}}z$' then
    raise exception 'not a schema of numbers as of an instant: %', name using errcode = 'invalid_schema_name';
  end if;
  execute format('create schema if not exists %I', name);
  execute format('grant usage on schema %I to {APP_ROLE}', name);
  execute format('grant usage, create on schema %I to {PIPELINE_ROLE}', name);
end $$;
create function ops.drop_as_of(name text) returns void language plpgsql security definer
  set search_path = crm, pg_temp as $$
begin
  if name !~ '^asof_[0-9]{{8}}t[0-9]{{6}}z$' then
    raise exception 'not a schema of numbers as of an instant: %', name using errcode = 'invalid_schema_name';
  end if;
  execute format('drop schema if exists %I cascade', name);
end $$;
revoke execute on function ops.open_as_of(text), ops.drop_as_of(text) from public;
grant execute on function ops.open_as_of(text), ops.drop_as_of(text) to {PIPELINE_ROLE};
"""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)
    op.execute("drop table if exists ops.publication")  # a table that earlier builds made
    tenant_table("publication", PUBLICATION, schema="ops")
    tenant_table("held_back", HELD_BACK, schema="ops")
    run_script(OF_THE_PIPELINE)
    for table in OF_NO_TENANT:
        op.execute(f"alter table ops.{table} enable row level security")
        op.execute(f"create policy pipeline on ops.{table} to {PIPELINE_ROLE} using (true) with check (true)")
        op.execute(f"grant select, insert, update, delete on ops.{table} to {PIPELINE_ROLE}")
    for table in SEEN_BY_ALL:
        op.execute(f"create policy everyone on ops.{table} for select to {APP_ROLE} using (true)")
        op.execute(f"grant select on ops.{table} to {APP_ROLE}")
    run_script(AS_OF)


def downgrade() -> None:
    op.execute("do $$ begin perform ops.drop_as_of(schema_name) from ops.as_of; end $$")
    op.execute("drop function ops.open_as_of(text), ops.drop_as_of(text)")
    op.execute("alter table ops.horizon drop pinned_for")
    for table in (*reversed(OF_NO_TENANT), "held_back", "publication"):
        op.execute(f"drop table ops.{table}")
    op.execute("drop schema published cascade")
    drop_tables(TABLES)
