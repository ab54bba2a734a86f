"""The frame: tenants, people who work here, contacts, leads, distribution, inbox, imports, events, audit.

Revision ID: 0001
"""

from alembic import op

from crm.migrations.tables import drop_all, run_script, tenant_tables
from crm.settings import APP_ROLE, PIPELINE_ROLE

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = {
    "tenant": """
        tenant_id uuid primary key,
        slug text not null unique,
        name text not null,
        timezone text not null default 'Europe/Istanbul',
        country text not null default 'TR',
        currency text not null default 'TRY',
        is_demo boolean not null default false,
        created_at timestamptz not null
    """,
    "team": """
        tenant_id uuid not null,
        id uuid not null,
        name text not null,
        timezone text not null default 'Europe/Istanbul',
        region text,
        is_default boolean not null default false,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        unique (tenant_id, name)
    """,
    "user_account": """
        tenant_id uuid not null,
        id uuid not null,
        email text not null,
        name text not null,
        locale text not null default 'tr',
        roles text[] not null,
        team_id uuid,
        password_hash text,
        is_active boolean not null default true,
        failed_logins int not null default 0,
        locked_until timestamptz,
        last_login_at timestamptz,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        foreign key (tenant_id, team_id) references crm.team
    """,
    "user_session": """
        tenant_id uuid not null,
        id uuid not null,
        family_id uuid not null,
        user_id uuid not null,
        refresh_hash bytea not null,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        used_at timestamptz,
        revoked_at timestamptz,
        primary key (tenant_id, id),
        foreign key (tenant_id, user_id) references crm.user_account
    """,
    "invitation": """
        tenant_id uuid not null,
        id uuid not null,
        email text not null,
        roles text[] not null,
        team_id uuid,
        token_hash bytea not null,
        invited_by uuid,
        created_at timestamptz not null,
        expires_at timestamptz not null,
        accepted_at timestamptz,
        primary key (tenant_id, id)
    """,
    "contact": """
        tenant_id uuid not null,
        id uuid not null,
        name text not null default '',
        name_search text not null default '',
        country text,
        language text,
        phone_masked text,
        email_masked text,
        consented text[] not null default '{}',
        opted_out text[] not null default '{}',
        created_by uuid,
        archived_at timestamptz,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "contact_point": """
        tenant_id uuid not null,
        id uuid not null,
        contact_id uuid not null,
        kind text not null check (kind in ('phone', 'email')),
        key_id uuid not null,
        sealed bytea not null,
        blind_index bytea not null,
        masked text not null,
        created_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "consent": """
        tenant_id uuid not null,
        id uuid not null,
        contact_id uuid not null,
        channel text not null check (channel in ('call', 'email', 'sms', 'whatsapp')),
        purpose text not null default 'marketing',
        status text not null check (status in ('granted', 'denied')),
        source text not null,
        evidence jsonb not null default '{}',
        recorded_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "campaign": """
        tenant_id uuid not null,
        id uuid not null,
        platform text not null,
        external_id text not null,
        name text not null,
        status text not null default 'active',
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        unique (tenant_id, platform, external_id)
    """,
    "lead": """
        tenant_id uuid not null,
        id uuid not null,
        contact_id uuid not null,
        cycle_no int not null default 1,
        status text not null,
        loss_reason text,
        owner_id uuid,
        team_id uuid,
        source text not null,
        external_id text,
        content_hash bytea,
        platform text not null default 'unknown',
        campaign text,
        adset text,
        ad text,
        form text,
        keyword text,
        geography text,
        click_ids jsonb not null default '{}',
        attributes jsonb not null default '{}',
        tags text[] not null default '{}',
        acquired_at timestamptz not null,
        acquired_at_known boolean not null default true,
        received_at timestamptz not null,
        assigned_at timestamptz,
        first_attempt_at timestamptz,
        status_changed_at timestamptz not null,
        is_test boolean not null default false,
        is_duplicate boolean not null default false,
        import_id uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "lead_assignment": """
        tenant_id uuid not null,
        id uuid not null,
        lead_id uuid not null,
        user_id uuid,
        team_id uuid,
        reason text not null,
        decision_id uuid,
        assigned_by uuid,
        started_at timestamptz not null,
        ended_at timestamptz,
        primary key (tenant_id, id)
    """,
    "activity": """
        tenant_id uuid not null,
        id uuid not null,
        contact_id uuid not null,
        lead_id uuid,
        kind text not null,
        channel text,
        direction text,
        outcome text,
        detail jsonb not null default '{}',
        note text,
        note_key_id uuid,
        note_sealed bytea,
        provider_reference text,
        actor_user_id uuid,
        occurred_at timestamptz not null,
        created_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "routing_member": """
        tenant_id uuid not null,
        team_id uuid not null,
        user_id uuid not null,
        weight int not null default 1 check (weight > 0),
        capacity int not null default 50 check (capacity >= 0),
        accepting boolean not null default true,
        credit int not null default 0,
        updated_at timestamptz not null,
        primary key (tenant_id, team_id, user_id),
        foreign key (tenant_id, team_id) references crm.team,
        foreign key (tenant_id, user_id) references crm.user_account
    """,
    "routing_decision": """
        tenant_id uuid not null,
        id uuid not null,
        lead_id uuid not null,
        team_id uuid,
        user_id uuid,
        strategy text not null,
        reasons jsonb not null,
        decided_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "connection": """
        tenant_id uuid not null,
        id uuid not null,
        source text not null check (source in ('meta', 'google')),
        name text not null,
        secrets_sealed bytea not null,
        team_id uuid,
        is_active boolean not null default true,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "inbox_message": """
        tenant_id uuid not null,
        id uuid not null,
        connection_id uuid not null,
        source text not null,
        body_hash bytea not null,
        key_id uuid not null,
        sealed bytea not null,
        status text not null default 'pending' check (status in ('pending', 'done', 'failed')),
        attempts int not null default 0,
        next_attempt_at timestamptz not null,
        last_error text,
        trace_id uuid,
        received_at timestamptz not null,
        processed_at timestamptz,
        primary key (tenant_id, id),
        unique (tenant_id, connection_id, body_hash)
    """,
    "import_run": """
        tenant_id uuid not null,
        id uuid not null,
        source text not null,
        file_name text not null,
        content_hash bytea not null,
        mapping jsonb not null,
        status text not null default 'running' check (status in ('queued', 'running', 'done', 'failed')),
        is_dry_run boolean not null default false,
        done int4multirange not null default '{}',
        read int not null default 0,
        created int not null default 0,
        merged int not null default 0,
        unchanged int not null default 0,
        rejected int not null default 0,
        notes jsonb not null default '{}',
        last_error text,
        created_by uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        finished_at timestamptz,
        primary key (tenant_id, id)
    """,
    "import_rejection": """
        tenant_id uuid not null,
        import_id uuid not null,
        row_no int not null,
        key_id uuid not null,
        sealed bytea not null,
        errors jsonb not null,
        created_at timestamptz not null,
        primary key (tenant_id, import_id, row_no)
    """,
    "import_upload": """
        tenant_id uuid not null,
        import_id uuid not null,
        part_no int not null,
        key_id uuid not null,
        sealed bytea not null,
        primary key (tenant_id, import_id, part_no)
    """,
    "event_log": """
        tenant_id uuid not null,
        id bigint generated always as identity,
        tx_id xid8 not null default pg_current_xact_id(),
        aggregate_type text not null,
        aggregate_id uuid not null,
        event_type text not null,
        payload_json jsonb not null default '{}',
        occurred_at timestamptz not null,
        created_at timestamptz not null default clock_timestamp(),
        actor_user_id uuid,
        causation_id uuid,
        schema_version int not null default 1,
        primary key (tenant_id, id)
    """,
    "audit_log": """
        tenant_id uuid not null,
        id bigint generated always as identity,
        actor_user_id uuid,
        action text not null,
        target_type text not null,
        target_id uuid,
        metadata_json jsonb not null default '{}',
        created_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "idempotency_key": """
        tenant_id uuid not null,
        user_id uuid not null,
        key text not null,
        route text not null,
        body_hash bytea not null,
        status_code int not null,
        response jsonb not null,
        created_at timestamptz not null,
        primary key (tenant_id, user_id, key)
    """,
    "request_log": """
        tenant_id uuid not null,
        id bigint generated always as identity,
        at timestamptz not null,
        route text not null,
        method text not null,
        status_code int not null,
        duration_ms real not null,
        user_id uuid,
        trace_id uuid,
        primary key (tenant_id, id)
    """,
}

INDEXES = """
create unique index user_account_email on crm.user_account (lower(email));
create unique index user_session_refresh on crm.user_session (refresh_hash);
create unique index invitation_token on crm.invitation (token_hash);
create index contact_name on crm.contact (tenant_id, name_search text_pattern_ops);
create index contact_entered on crm.contact (tenant_id, created_by, id) where created_by is not null;
create index contact_archived on crm.contact (tenant_id, id) where archived_at is not null;
create unique index contact_point_blind on crm.contact_point (tenant_id, kind, blind_index);
create index contact_point_contact on crm.contact_point (tenant_id, contact_id);
create index consent_contact on crm.consent (tenant_id, contact_id, recorded_at desc);
create unique index lead_external on crm.lead (tenant_id, source, external_id) where external_id is not null;
create index lead_received on crm.lead (tenant_id, received_at desc, id desc);
create index lead_contact on crm.lead (tenant_id, contact_id);
create index lead_owner on crm.lead (tenant_id, owner_id, received_at desc, id desc) where owner_id is not null;
create index lead_team on crm.lead (tenant_id, team_id, received_at desc, id desc) where team_id is not null;
create index lead_status on crm.lead (tenant_id, status, received_at desc, id desc);
create index lead_campaign on crm.lead (tenant_id, campaign, received_at desc, id desc) where campaign is not null;
create index lead_updated on crm.lead (tenant_id, updated_at desc, id desc);
create index lead_test on crm.lead (tenant_id, received_at desc, id desc) where is_test;
create index lead_waiting on crm.lead (tenant_id, team_id, received_at, id)
  where owner_id is null and status in ('new', 'assigned') and not is_test;
create index lead_open on crm.lead (tenant_id, owner_id)
  where owner_id is not null and status not in ('won', 'lost') and not is_test;
create index lead_assignment_lead on crm.lead_assignment (tenant_id, lead_id, started_at);
create unique index lead_assignment_open on crm.lead_assignment (tenant_id, lead_id) where ended_at is null;
create index activity_lead on crm.activity (tenant_id, lead_id, occurred_at desc, id desc);
create index activity_contact on crm.activity (tenant_id, contact_id, occurred_at desc, id desc);
create index routing_decision_lead on crm.routing_decision (tenant_id, lead_id, decided_at);
create index inbox_message_pending on crm.inbox_message (tenant_id, next_attempt_at) where status = 'pending';
create index inbox_message_failed on crm.inbox_message (tenant_id, id) where status = 'failed';
create index import_run_created on crm.import_run (tenant_id, created_at desc);
create index event_log_order on crm.event_log (tx_id, id);
create index event_log_aggregate on crm.event_log (tenant_id, aggregate_type, aggregate_id, id);
create index audit_log_created on crm.audit_log (tenant_id, created_at desc, id desc);
create index audit_log_reveal on crm.audit_log (tenant_id, actor_user_id, created_at) where action = 'contact.reveal';
create index request_log_at on crm.request_log (tenant_id, at);
"""

APPEND_ONLY = ("event_log", "audit_log", "routing_decision", "consent")

READER_POSITION = """
create table crm.event_reader (
  name text primary key,
  tx_id xid8 not null default '0',
  id bigint not null default 0,
  updated_at timestamptz not null default now()
);
comment on table crm.event_reader is 'How far each batch reader has read the whole log: of no tenant.';
"""

# The few questions that must be asked before a tenant is known. Each runs as the owner and answers just that.
# Readers of the log always want its end: the planner, which plans without knowing where they stand, is told so.
DOORWAYS = """
create function crm.tenants() returns setof uuid language sql stable security definer
  set search_path = crm, pg_temp as $$ select tenant_id from crm.tenant order by tenant_id $$;
create function crm.tenant_by_slug(slug text) returns uuid language sql stable security definer
  set search_path = crm, pg_temp as $$ select t.tenant_id from crm.tenant t where t.slug = $1 $$;
create function crm.tenant_of_login(email text) returns uuid language sql stable security definer
  set search_path = crm, pg_temp as $$
  select u.tenant_id from crm.user_account u where lower(u.email) = lower($1) $$;
create function crm.tenant_of_refresh(refresh_hash bytea) returns uuid language sql stable security definer
  set search_path = crm, pg_temp as $$
  select s.tenant_id from crm.user_session s where s.refresh_hash = $1 $$;
create function crm.tenant_of_invitation(token_hash bytea) returns uuid language sql stable security definer
  set search_path = crm, pg_temp as $$
  select i.tenant_id from crm.invitation i where i.token_hash = $1 $$;
create function crm.tenant_of_connection(source text, connection_id uuid) returns table (tenant_id uuid, id uuid)
  language sql stable security definer set search_path = crm, pg_temp as $$
  select c.tenant_id, c.id from crm.connection c
   where c.source = $1 and c.is_active and ($2 is null or c.id = $2)
   limit 2 $$;
create function crm.learn_young_tables() returns void language plpgsql security definer
  set search_path = crm, pg_temp as $$
declare young regclass;
begin
  for young in select c.oid::regclass from pg_class c
                where c.relnamespace = 'crm'::regnamespace and c.relkind = 'r'
                  and pg_relation_size(c.oid) / 8192 > 10 + 2 * c.relpages loop
    execute format('analyze %s', young);
  end loop;
end $$;
comment on function crm.learn_young_tables is
  'Gather statistics of tables that have more than doubled: a large import must not run on the plans of empty tables.';
create function crm.event_horizon() returns xid8 language sql stable as $$
  select pg_snapshot_xmin(pg_current_snapshot()) $$;
create function crm.events_since(seen pg_snapshot) returns setof crm.event_log language sql stable security definer
  set search_path = crm, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off as $$
  select * from crm.event_log where tx_id >= pg_snapshot_xmax(seen)
  union all
  select e.* from pg_snapshot_xip(seen) as late(tx_id) join crm.event_log e on e.tx_id = late.tx_id $$;
create function crm.events_below_horizon(after_tx xid8, after_id bigint, how_many int) returns setof crm.event_log
  language sql stable security definer
  set search_path = crm, pg_temp set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
  select * from crm.event_log
   where (tx_id, id) > (after_tx, after_id) and tx_id < pg_snapshot_xmin(pg_current_snapshot())
   order by tx_id, id limit how_many $$;
create function crm.event_position(reader text) returns table (tx_id xid8, id bigint) language plpgsql security definer
  set search_path = crm, pg_temp as $$
begin
  insert into crm.event_reader (name) values (reader) on conflict do nothing;
  return query select r.tx_id, r.id from crm.event_reader r where r.name = reader;
end $$;
create function crm.advance_event_position(reader text, new_tx xid8, new_id bigint) returns void language sql
  security definer set search_path = crm, pg_temp as $$
  update crm.event_reader r set tx_id = new_tx, id = new_id, updated_at = now()
   where r.name = reader and (r.tx_id, r.id) < (new_tx, new_id) $$;
"""

PII_COLUMNS = {
    "user_account": ("email", "password_hash", "failed_logins", "locked_until"),
    "user_session": None,
    "invitation": None,
    "contact": ("name", "name_search", "phone_masked", "email_masked"),
    "contact_point": ("sealed", "blind_index", "masked"),
    "consent": ("evidence",),
    "lead": ("attributes", "click_ids", "content_hash"),
    "activity": ("note", "note_sealed", "detail"),
    "connection": None,
    "inbox_message": ("sealed", "body_hash", "last_error"),
    "import_run": ("file_name", "content_hash", "mapping", "notes", "last_error"),
    "import_rejection": None,
    "import_upload": None,
    "idempotency_key": None,
    "audit_log": ("metadata_json",),
}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    op.execute("create schema if not exists crm")
    op.execute(f"grant usage on schema crm to {APP_ROLE}, {PIPELINE_ROLE}")
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    for script in (INDEXES, READER_POSITION, DOORWAYS):
        run_script(script)
    op.execute("revoke execute on all functions in schema crm from public")
    op.execute(f"grant execute on all functions in schema crm to {APP_ROLE}")
    op.execute(f"grant execute on function crm.event_horizon() to {PIPELINE_ROLE}")
    op.execute(f"grant select on public.santral_version to {APP_ROLE}")
    for schema in ("raw", "stg", "int", "snap", "marts", "bi", "ops"):
        op.execute(f'create schema if not exists "{schema}"')
        op.execute(f'grant usage on schema "{schema}" to {APP_ROLE}')
        op.execute(f'grant usage, create on schema "{schema}" to {PIPELINE_ROLE}')


def downgrade() -> None:
    drop_all(("bi", "marts", "snap", "int", "stg", "raw", "ops", "crm"))
