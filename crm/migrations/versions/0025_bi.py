"""What BI tools may read, under logins of their own; and what the platform measures of itself.

Revision ID: 0025
"""

from alembic import op

from crm.migrations.tables import drop_tables, run_script, tenant_tables
from crm.settings import APP_ROLE, BI_ROLES, PIPELINE_ROLE

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "bi_login": """
        tenant_id uuid not null,
        id uuid not null,
        name text not null,
        login text not null unique check (login ~ '^bi_[a-z0-9_]{3,60}$'),
        grade text not null check (grade in ('bi_reader', 'bi_finance', 'analyst_pseudo')),
        created_by uuid,
        created_at timestamptz not null,
        revoked_at timestamptz,
        primary key (tenant_id, id)
    """,
    "probe": """
        tenant_id uuid not null,
        minute_at timestamptz not null,
        is_ok boolean not null,
        duration_ms real not null,
        is_maintenance boolean not null,
        primary key (tenant_id, minute_at)
    """,
    "event_lag_1m": """
        tenant_id uuid not null,
        minute_at timestamptz not null,
        reader_id uuid not null,
        counts int[] not null,
        primary key (tenant_id, minute_at, reader_id)
    """,
}
INDEXES = """
create unique index bi_login_name on crm.bi_login (tenant_id, name) where revoked_at is null;
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"bi_login": None}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""

# The consumer's firm follows from who signed in (session_user, which no consumer can change), never from a setting.
# Logins are made and dropped in the transaction of the operation that asks for it, for rows of crm.bi_login only.
DOORWAYS = f"""
create function crm.tenant_of_bi_login() returns uuid language sql stable parallel safe security definer
  set search_path = crm, pg_temp as $$
  select l.tenant_id from crm.bi_login l where l.login = session_user and l.revoked_at is null $$;

create function crm.open_bi_login(wanted text, verifier text, connections int) returns void
  language plpgsql security definer set search_path = crm, pg_temp as $$
declare granted text;
begin
  select l.grade into strict granted from crm.bi_login l where l.login = wanted and l.revoked_at is null;
  if verifier not like 'SCRAM-SHA-256$%' then
    raise exception 'a verifier of a password, never the password';
  end if;
  execute format('create role %I login nobypassrls connection limit %s password %L in role %I',
                 wanted, connections, verifier, granted);
  execute format('alter role %I set statement_timeout = ''60s''', wanted);
  execute format('alter role %I set idle_in_transaction_session_timeout = ''30s''', wanted);
  execute format('alter role %I set default_transaction_read_only = on', wanted);
  execute format('alter role %I set search_path = bi', wanted);
  begin
    execute format('alter role %I set temp_file_limit = ''4GB''', wanted);
  exception when insufficient_privilege then null;  -- only a superuser may; the disk is then the server's own affair
  end;
  execute format('alter role %I set timezone = ''UTC''', wanted);
  if has_database_privilege('public', current_database(), 'temporary') then
    execute format('revoke temporary on database %I from public', current_database());
    execute format('grant temporary on database %I to {APP_ROLE}, {PIPELINE_ROLE}', current_database());
  end if;
end $$;

-- A login may come to own things in spite of all (its own default privileges): they go with it. What it owns in other
-- databases keeps the role, shut out for good; revoking never fails for it.
create function crm.close_bi_login(wanted text) returns void
  language plpgsql security definer set search_path = crm, pg_temp as $$
begin
  perform from crm.bi_login l join pg_roles r on r.rolname = l.login
    where l.login = wanted and l.revoked_at is not null;
  if found then
    execute format('alter role %I nologin password null', wanted);
    begin
      perform pg_terminate_backend(a.pid) from pg_stat_activity a where a.usename = wanted;
    exception when insufficient_privilege then null;  -- what is still open sees no rows any more
    end;
    begin
      execute format('drop owned by %I', wanted);
      execute format('drop role %I', wanted);
    exception when dependent_objects_still_exist or insufficient_privilege then null;
    end;
  end if;
end $$;

-- Limits that a login has by default a session may lift for itself. An open transaction holds up what reads the log of
-- events for every firm, and publications that change a table's shape: so long ones are ended from outside.
create function crm.end_long_bi_transactions(longest interval) returns int
  language sql security definer set search_path = crm, pg_temp as $$
  select count(*) filter (where pg_terminate_backend(a.pid))::int
    from pg_stat_activity a join crm.bi_login l on l.login = a.usename
   where l.tenant_id = current_setting('app.tenant_id')::uuid and clock_timestamp() - a.xact_start > longest $$;

revoke execute on function crm.tenant_of_bi_login, crm.open_bi_login, crm.close_bi_login, crm.end_long_bi_transactions
  from public;
grant execute on function crm.open_bi_login, crm.close_bi_login, crm.end_long_bi_transactions to {APP_ROLE};
grant execute on function crm.tenant_of_bi_login to {", ".join(BI_ROLES)};
grant usage on schema bi to {", ".join(BI_ROLES)};
"""

# PostgreSQL lets everybody take advisory locks (ours keep builds and dialers apart), store large objects, number
# transactions, write to the log of changes and notify. Ours may; a consumer that only reads may not. On a server whose
# functions are not the owner's to give, this changes nothing.
WITH_EFFECTS = """
select p.oid::regprocedure::text as name from pg_proc p
 where p.pronamespace = 'pg_catalog'::regnamespace
   and (p.proname ~ '^pg_(try_)?advisory_' or p.proname ~ '^lo_|^lo(read|write)$'
        or p.proname in ('pg_logical_emit_message', 'pg_current_xact_id', 'txid_current', 'pg_export_snapshot',
                         'pg_notify'))
"""
FOR_OURS_ONLY = f"""
do $$ declare each text; begin
  for each in {WITH_EFFECTS} and has_function_privilege('public', p.oid, 'execute') loop
    execute format('revoke execute on function %s from public', each);
    execute format('grant execute on function %s to {APP_ROLE}, {PIPELINE_ROLE}', each);
  end loop;
end $$;
"""
FOR_EVERYBODY = f"""
do $$ declare each text; begin
  for each in {WITH_EFFECTS} and not has_function_privilege('public', p.oid, 'execute')
              and has_function_privilege('{APP_ROLE}', p.oid, 'execute') loop
    execute format('revoke execute on function %s from {APP_ROLE}, {PIPELINE_ROLE}', each);
    execute format('grant execute on function %s to public', each);
  end loop;
end $$;
"""

# As histogram_quantile of Prometheus: linear within the bucket, the last finite bound for what lies above it. Unlike
# percentiles, counts of buckets may be added up over minutes and routes.
QUANTILE = f"""
create function ops.histogram_quantile(quantile float8, bounds float8[], counts numeric[]) returns float8
  language sql immutable parallel safe as $$
  with bucket as (
    select n, counted, sum(counted) over (order by n) as upto, sum(counted) over () as total
      from unnest(counts) with ordinality as each(counted, n)
  )
  select case when n > cardinality(bounds) then bounds[cardinality(bounds)]
              else coalesce(bounds[n - 1], 0)
                   + (bounds[n] - coalesce(bounds[n - 1], 0)) * (quantile * total - (upto - counted)) / counted end
    from bucket where counted > 0 and upto >= quantile * total order by n limit 1 $$;
revoke execute on function ops.histogram_quantile from public;
grant execute on function ops.histogram_quantile to {APP_ROLE}, {PIPELINE_ROLE}, {", ".join(BI_ROLES)};
"""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    for script in (INDEXES, DOORWAYS, FOR_OURS_ONLY, QUANTILE):
        run_script(script)


def downgrade() -> None:
    op.execute(f"revoke usage on schema bi from {', '.join(BI_ROLES)}")
    run_script(FOR_EVERYBODY)
    op.execute("drop function ops.histogram_quantile, crm.tenant_of_bi_login, crm.open_bi_login, crm.close_bi_login")
    op.execute("drop function crm.end_long_bi_transactions")
    drop_tables(TABLES)
