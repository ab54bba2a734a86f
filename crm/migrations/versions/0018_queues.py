"""Queues and the stays of callers in them.

Revision ID: 0018
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "queue": """
        tenant_id uuid not null,
        id uuid not null,
        code text not null check (code ~ '^[a-z0-9][a-z0-9_.-]{0,59}$'),
        created_by uuid,
        created_at timestamptz not null,
        retired_at timestamptz,
        primary key (tenant_id, id),
        unique (tenant_id, code)
    """,
    "queue_version": """
        tenant_id uuid not null,
        id uuid not null,
        queue_id uuid not null,
        valid_from timestamptz not null,
        settings jsonb not null,
        set_by uuid,
        created_at timestamptz not null,
        primary key (tenant_id, id),
        foreign key (tenant_id, queue_id) references crm.queue
    """,
    "queue_member": """
        tenant_id uuid not null,
        queue text not null,
        endpoint text not null,
        is_member boolean not null default false,
        is_paused boolean not null default false,
        penalty int not null default 0,
        is_ours boolean not null default false,
        asked_at timestamptz,
        reported_at timestamptz,
        primary key (tenant_id, queue, endpoint)
    """,
    "queue_place": """
        tenant_id uuid not null,
        call_id uuid not null,
        waits_since timestamptz,
        priority int not null default 0,
        created_at timestamptz not null,
        primary key (tenant_id, call_id)
    """,
    "queue_visit": """
        tenant_id uuid not null,
        call_id uuid not null,
        visit_no int not null check (visit_no > 0),
        queue_id uuid,
        queue text not null,
        enqueued_at timestamptz not null,
        left_at timestamptz,
        connected_at timestamptz,
        ended_at timestamptz,
        wait_s double precision,
        ring_s double precision,
        talk_s double precision,
        outcome text not null check (
            outcome in ('waiting', 'answered', 'abandoned', 'callback', 'overflow', 'timeout', 'system')
        ),
        agent_user_id uuid,
        missed uuid[] not null default '{}',
        in_hours boolean not null default true,
        is_historical boolean not null default false,
        is_test boolean not null default false,
        sl_s int not null default 20,
        short_s int not null default 5,
        timezone text not null,
        priority int not null default 0,
        due_at timestamptz,
        asked_priority int not null default 0,
        asked_priority_at timestamptz,
        sent_why text,
        sent_to text,
        sent_at timestamptz,
        sent_ask_id uuid,
        told text,
        primary key (tenant_id, call_id, visit_no),
        foreign key (tenant_id, call_id) references crm.call on delete cascade,
        check (short_s <= sl_s)
    """,
    "queue_action": """
        tenant_id uuid not null,
        id uuid not null,
        queue_id uuid not null,
        kind text not null check (kind in ('pause', 'priority', 'move', 'overflow')),
        call_id uuid,
        to_queue text,
        way text check (way in ('queue', 'callback', 'message')),
        priority int,
        reason text not null,
        began_at timestamptz not null,
        began_by uuid,
        until timestamptz not null,
        ended_at timestamptz,
        ended_by uuid,
        end_reason text check (end_reason in ('expired', 'ended', 'answered', 'left')),
        primary key (tenant_id, id),
        foreign key (tenant_id, queue_id) references crm.queue,
        check ((ended_at is null) = (end_reason is null)),
        check (until > began_at)
    """,
}
INDEXES = """
create index queue_version_when on crm.queue_version (tenant_id, queue_id, valid_from desc, id desc);
create index queue_visit_waiting on crm.queue_visit (tenant_id, queue, enqueued_at) where outcome = 'waiting';
create index queue_visit_when on crm.queue_visit (tenant_id, enqueued_at);
create index queue_visit_of_queue on crm.queue_visit (tenant_id, queue, enqueued_at);
create index queue_action_open on crm.queue_action (tenant_id, until) where ended_at is null;
create index queue_action_of_queue on crm.queue_action (tenant_id, queue_id, began_at desc);
"""
APPEND_ONLY: tuple[str, ...] = ("queue_version",)
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"queue_member": ("endpoint",)}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
