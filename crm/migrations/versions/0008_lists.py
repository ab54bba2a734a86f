"""Saved views, bulk runs, and the question whether anything happened since a list was read.

Revision ID: 0008
"""

from alembic import op

from crm.migrations.tables import drop_tables, run_script, tenant_tables
from crm.settings import APP_ROLE

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "saved_view": """
        tenant_id uuid not null,
        id uuid not null,
        owner_id uuid not null,
        name text not null,
        filters text[] not null,
        sort text not null,
        fields text[] not null,
        is_shared boolean not null default false,
        is_default boolean not null default false,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        foreign key (tenant_id, owner_id) references crm.user_account
    """,
    "bulk_run": """
        tenant_id uuid not null,
        id uuid not null,
        action text not null check (action in ('status', 'assign')),
        wanted jsonb not null,
        status text not null default 'queued' check (status in ('queued', 'running', 'done', 'cancelled')),
        total int not null,
        done int not null default 0,
        unchanged int not null default 0,
        refused int not null default 0,
        not_visible int not null default 0,
        requested_by uuid not null,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        finished_at timestamptz,
        primary key (tenant_id, id),
        foreign key (tenant_id, requested_by) references crm.user_account
    """,
    "bulk_chunk": """
        tenant_id uuid not null,
        bulk_id uuid not null,
        chunk_no int not null,
        lead_ids uuid[] not null,
        verdicts text[],
        primary key (tenant_id, bulk_id, chunk_no),
        foreign key (tenant_id, bulk_id) references crm.bulk_run on delete cascade
    """,
}
INDEXES = """
create unique index saved_view_own_name on crm.saved_view (tenant_id, owner_id, name) where not is_shared;
create unique index saved_view_shared_name on crm.saved_view (tenant_id, name) where is_shared;
create unique index saved_view_own_default on crm.saved_view (tenant_id, owner_id) where is_default and not is_shared;
create unique index saved_view_shared_default on crm.saved_view (tenant_id) where is_default and is_shared;
create index bulk_run_created on crm.bulk_run (tenant_id, created_at desc, id desc);
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"saved_view": ("name",)}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""

# Transactions that had not ended in the snapshot, and those that began after it; told to take the index, as the
# readers of the log are, since the planner does not know that they want its end.
UNCHANGED_SINCE = """
create function crm.unchanged_since(seen pg_snapshot) returns boolean language sql stable security definer
  set search_path = crm, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
  select not exists (select from crm.event_log e where e.tx_id >= pg_snapshot_xmax(seen)
                      and e.tenant_id = current_setting('app.tenant_id')::uuid)
     and not exists (select from pg_snapshot_xip(seen) as late(tx_id) join crm.event_log e on e.tx_id = late.tx_id
                      where e.tenant_id = current_setting('app.tenant_id')::uuid) $$;
comment on function crm.unchanged_since is 'Whether no event of the tenant became visible since a snapshot was taken.';
revoke execute on function crm.unchanged_since from public;
"""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)
    run_script(UNCHANGED_SINCE)
    op.execute(f"grant execute on function crm.unchanged_since to {APP_ROLE}")


def downgrade() -> None:
    op.execute("drop function crm.unchanged_since")
    drop_tables(TABLES)
