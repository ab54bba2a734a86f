"""Intake complete: bodies as they were before, tokens, health of connections, pulls and their checkpoints, clicks.

Revision ID: 0005
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "inbox_version": """
        tenant_id uuid not null,
        message_id uuid not null,
        version_no int not null,
        key_id uuid not null,
        sealed bytea not null,
        replaced_because text not null check (replaced_because in ('fetched', 'mended')),
        replaced_at timestamptz not null,
        replaced_by uuid,
        primary key (tenant_id, message_id, version_no)
    """,
    "connection_token": """
        tenant_id uuid not null,
        connection_id uuid not null,
        sealed bytea,
        expires_at timestamptz,
        status text not null check (status in ('valid', 'refused')),
        last_error text,
        checked_at timestamptz not null,
        told_at timestamptz,
        primary key (tenant_id, connection_id)
    """,
    "connection_health": """
        tenant_id uuid not null,
        connection_id uuid not null,
        failures int not null default 0,
        failing_since timestamptz,
        last_error text,
        alerted_at timestamptz,
        blocked_until timestamptz,
        updated_at timestamptz not null,
        primary key (tenant_id, connection_id)
    """,
    "pull": """
        tenant_id uuid not null,
        id uuid not null,
        connection_id uuid not null,
        kind text not null check (kind in ('backfill', 'reconcile')),
        form text,
        page text,
        since timestamptz not null,
        until timestamptz not null,
        cursor text,
        status text not null default 'running' check (status in ('running', 'done', 'failed')),
        attempts int not null default 0,
        read int not null default 0,
        landed int not null default 0,
        known int not null default 0,
        last_error text,
        created_by uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        finished_at timestamptz,
        primary key (tenant_id, id)
    """,
    "pull_checkpoint": """
        tenant_id uuid not null,
        connection_id uuid not null,
        position timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, connection_id)
    """,
    "click_lookup": """
        tenant_id uuid not null,
        lead_id uuid not null,
        connection_id uuid not null,
        gclid text not null,
        clicked_on date not null,
        attempts int not null default 0,
        next_attempt_at timestamptz not null,
        created_at timestamptz not null,
        primary key (tenant_id, lead_id)
    """,
}
INDEXES = """
create index pull_connection on crm.pull (tenant_id, connection_id, id desc);
create unique index pull_reconcile_running on crm.pull (tenant_id, connection_id)
  where kind = 'reconcile' and status = 'running';
create index click_lookup_due on crm.click_lookup (tenant_id, connection_id, next_attempt_at);
"""
APPEND_ONLY: tuple[str, ...] = ("inbox_version",)
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {
    "inbox_version": None,
    "connection_token": None,
    "click_lookup": None,
}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
