"""Calls, their facts, legs, and what is asked of the exchange.

Revision ID: 0016
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "call": """
        tenant_id uuid not null,
        id uuid not null,
        direction text not null check (direction in ('agent_first', 'customer_first', 'inbound')),
        purpose text not null check (purpose in ('click', 'campaign', 'callback', 'inbound')),
        status text not null,
        outcome text not null default 'open',
        failure text,
        cause int,
        verdict text,
        lead_id uuid,
        contact_id uuid,
        agent_user_id uuid,
        queue text,
        campaign_id uuid,
        callback_id uuid,
        process_version_id uuid,
        redials_call_id uuid,
        activity_id uuid,
        caller_id text,
        ring_limit_s int,
        detects_machines boolean not null default false,
        machine_message text,
        consent_check_id uuid,
        requested_by uuid,
        requested_at timestamptz not null,
        expires_at timestamptz,
        started_at timestamptz,
        answered_at timestamptz,
        connected_at timestamptz,
        ended_at timestamptz,
        ring_s double precision,
        talk_s double precision not null default 0,
        held_s double precision not null default 0,
        wrap_began_at timestamptz,
        wrap_until timestamptz,
        wrap_ended_at timestamptz,
        disposition text,
        disposition_by uuid,
        is_disposition_forced boolean not null default false,
        source text not null default 'live' check (source in ('live', 'historical')),
        external_id text,
        steps jsonb not null default '[]',
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        unique (tenant_id, external_id)
    """,
    "call_leg": """
        tenant_id uuid not null,
        call_id uuid not null,
        leg_id text not null,
        party text not null check (party in ('customer', 'agent', 'other')),
        agent_user_id uuid,
        interface text,
        stage text not null,
        started_at timestamptz,
        rang_at timestamptz,
        answered_at timestamptz,
        ended_at timestamptz,
        cause int,
        primary key (tenant_id, call_id, leg_id),
        foreign key (tenant_id, call_id) references crm.call on delete cascade
    """,
    "call_fact": """
        tenant_id uuid not null,
        call_id uuid not null,
        digest bytea not null,
        kind text not null,
        body jsonb not null,
        at timestamptz not null,
        heard_at timestamptz not null,
        primary key (tenant_id, call_id, digest),
        foreign key (tenant_id, call_id) references crm.call on delete cascade
    """,
    "exchange_ask": """
        tenant_id uuid not null,
        id uuid not null,
        call_id uuid,
        kind text not null,
        args jsonb not null,
        status text not null default 'waiting'
            check (status in ('waiting', 'sent', 'done', 'refused', 'unanswered', 'expired')),
        failure text,
        answer text,
        asked_by uuid,
        asked_at timestamptz not null,
        expires_at timestamptz not null,
        sent_at timestamptz,
        answered_at timestamptz,
        primary key (tenant_id, id)
    """,
}
INDEXES = """
create index call_of_lead on crm.call (tenant_id, lead_id, requested_at desc);
create index call_of_contact on crm.call (tenant_id, contact_id, requested_at desc);
create index call_of_agent on crm.call (tenant_id, agent_user_id, requested_at desc);
create index call_of_campaign on crm.call (tenant_id, campaign_id, requested_at desc) where campaign_id is not null;
create index call_requested on crm.call (tenant_id, requested_at desc, id desc);
create index call_open on crm.call (tenant_id, requested_at) where ended_at is null and source = 'live';
create index call_wrapping on crm.call (tenant_id, wrap_until) where status = 'wrap_up';
create index exchange_ask_waiting on crm.exchange_ask (tenant_id, asked_at) where status in ('waiting', 'sent');
create index exchange_ask_asked on crm.exchange_ask using brin (asked_at);
create index call_fact_heard on crm.call_fact using brin (heard_at);
create index exchange_ask_of_call on crm.exchange_ask (tenant_id, call_id) where call_id is not null;
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
