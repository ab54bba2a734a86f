"""Agents, their sessions and states, what the exchange says of their pauses, and supervision of calls.

Revision ID: 0017
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "agent": """
        tenant_id uuid not null,
        user_id uuid not null,
        endpoint text not null,
        set_by uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, user_id),
        unique (tenant_id, endpoint),
        foreign key (tenant_id, user_id) references crm.user_account
    """,
    "agent_session": """
        tenant_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        endpoint text not null,
        started_at timestamptz not null,
        last_beat_at timestamptz not null,
        missed int not null default 0,
        pending text check (pending in ('paused', 'offline')),
        pending_reason text,
        pending_by uuid,
        ended_at timestamptz,
        end_reason text,
        ended_by uuid,
        primary key (tenant_id, id),
        foreign key (tenant_id, user_id) references crm.user_account,
        check (started_at <= ended_at),
        check ((ended_at is null) = (end_reason is null)),
        check ((pending is null) = (pending_reason is null))
    """,
    # One interval begins where another one ends, each has at most one that follows it, one per session is open and
    # one is the first: gaps and overlaps cannot be stored.
    "agent_state": """
        tenant_id uuid not null,
        session_id uuid not null,
        user_id uuid not null,
        state text not null check (state in
          ('available', 'reserved', 'ringing', 'on_call', 'wrap_up', 'paused', 'not_responding')),
        reason text,
        call_id uuid,
        until timestamptz,
        started_at timestamptz not null,
        ended_at timestamptz,
        follows timestamptz,
        set_by uuid,
        primary key (tenant_id, session_id, started_at),
        unique nulls not distinct (tenant_id, session_id, ended_at),
        unique nulls not distinct (tenant_id, session_id, follows),
        foreign key (tenant_id, session_id) references crm.agent_session on delete cascade,
        foreign key (tenant_id, session_id, follows) references crm.agent_state (tenant_id, session_id, ended_at),
        check (follows = started_at),
        check (started_at < ended_at)
    """,
    "agent_mirror": """
        tenant_id uuid not null,
        endpoint text not null,
        queue text not null,
        is_paused boolean not null,
        heard_at timestamptz not null,
        primary key (tenant_id, endpoint, queue)
    """,
    "call_supervision": """
        tenant_id uuid not null,
        id uuid not null,
        call_id uuid not null,
        supervisor_id uuid not null,
        agent_user_id uuid not null,
        mode text not null check (mode in ('listen', 'whisper', 'barge')),
        reason text not null,
        notice text not null check (notice in ('told', 'told_after', 'not_told')),
        ask_id uuid not null,
        asked_at timestamptz not null,
        ended_at timestamptz,
        primary key (tenant_id, id),
        foreign key (tenant_id, call_id) references crm.call on delete cascade
    """,
}
INDEXES = """
create unique index agent_session_open on crm.agent_session (tenant_id, user_id) where ended_at is null;
create index agent_session_user on crm.agent_session (tenant_id, user_id, started_at desc);
create index agent_state_user on crm.agent_state (tenant_id, user_id, coalesce(ended_at, 'infinity'::timestamptz));
create index agent_state_until on crm.agent_state (tenant_id, until) where ended_at is null and until is not null;
create index call_supervision_call on crm.call_supervision (tenant_id, call_id);
create unique index call_supervision_open on crm.call_supervision (tenant_id, supervisor_id) where ended_at is null;
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {
    "agent": ("endpoint",),
    "agent_session": ("endpoint",),
    "agent_mirror": None,
}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
