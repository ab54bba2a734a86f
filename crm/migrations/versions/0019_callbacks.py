"""Callbacks and the attempts to keep them.

Revision ID: 0019
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "callback": """
        tenant_id uuid not null,
        id uuid not null,
        contact_id uuid not null,
        lead_id uuid,
        kind text not null check (kind in ('hold', 'agent', 'web')),
        status text not null check (status in ('requested', 'scheduled', 'attempted', 'completed', 'failed', 'expired',
                                               'cancelled')),
        reason text,
        queue text,
        agent_user_id uuid,
        source_call_id uuid,
        priority int not null default 0,
        enqueued_at timestamptz not null,
        promised_from timestamptz not null,
        promised_until timestamptz not null,
        due_at timestamptz not null,
        expires_at timestamptz not null,
        attempts int not null default 0,
        call_id uuid,
        last_outcome text,
        requested_by uuid,
        requested_at timestamptz not null,
        first_attempt_at timestamptz,
        last_attempt_at timestamptz,
        reached_at timestamptz,
        ended_at timestamptz,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        check (queue is not null or agent_user_id is not null),
        check (promised_from < promised_until and promised_until <= expires_at),
        check ((status in ('completed', 'failed', 'expired', 'cancelled')) = (ended_at is not null)),
        check (status <> 'attempted' or call_id is not null)
    """,
    "callback_attempt": """
        tenant_id uuid not null,
        callback_id uuid not null,
        attempt_no int not null,
        call_id uuid not null,
        agent_user_id uuid,
        outcome text not null default 'open',
        attempted_at timestamptz not null,
        ended_at timestamptz,
        primary key (tenant_id, callback_id, attempt_no),
        unique (tenant_id, call_id),
        foreign key (tenant_id, callback_id) references crm.callback on delete cascade
    """,
}
INDEXES = """
create index callback_due on crm.callback (tenant_id, due_at) where status in ('requested', 'scheduled');
create index callback_attempted on crm.callback (tenant_id, last_attempt_at) where status = 'attempted';
create index callback_of_contact on crm.callback (tenant_id, contact_id, id desc);
create index callback_of_agent on crm.callback (tenant_id, agent_user_id, due_at) where ended_at is null;
create index callback_requested on crm.callback (tenant_id, requested_at);
create index callback_open on crm.callback (tenant_id, contact_id) where ended_at is null;
create index callback_attempt_open on crm.callback_attempt (tenant_id, callback_id) where ended_at is null;
create index queue_visit_to_call_back on crm.queue_visit (tenant_id, enqueued_at) where outcome = 'callback';
create unique index callback_of_call on crm.callback (tenant_id, source_call_id) where kind = 'hold';
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    run_script("drop index crm.queue_visit_to_call_back")
    drop_tables(TABLES)
