"""Dialling campaigns, their hoppers and attempts.

Revision ID: 0020
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "dial_campaign": """
        tenant_id uuid not null,
        id uuid not null,
        code text not null,
        name text not null,
        mode text not null check (mode in ('manual', 'preview', 'progressive', 'power', 'predictive')),
        status text not null default 'draft' check (status in ('draft', 'running', 'paused', 'draining', 'stopped')),
        purpose text not null default 'enquiry' check (purpose in ('marketing', 'enquiry', 'service')),
        queue text,
        caller_id text,
        cap double precision not null default 0.03 check (cap > 0 and cap <= 0.03),
        ring_s int not null default 25 check (ring_s between 15 and 120),
        detects_machines boolean not null default false,
        on_machine text not null default 'hang_up' check (on_machine in ('hang_up', 'leave_message')),
        machine_message text,
        safe_harbour text not null default 'safe-harbour',
        power_ratio double precision not null default 1.5 check (power_ratio between 1 and 10),
        calls_per_s double precision check (calls_per_s > 0),
        most_lines int check (most_lines > 0),
        windows jsonb not null default '[]',
        timezone text not null,
        retry jsonb not null,
        lock_out_h int not null default 72 check (lock_out_h >= 1),
        preview_s int not null default 60 check (preview_s between 5 and 3600),
        team_id uuid,
        override_reason text,
        overridden_by uuid,
        overridden_at timestamptz,
        created_by uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        started_at timestamptz,
        status_at timestamptz not null,
        status_reason text,
        deleted_at timestamptz,
        primary key (tenant_id, id),
        check (mode in ('manual', 'preview') or queue is not null)
    """,
    "dial_lease": """
        tenant_id uuid not null,
        campaign_id uuid not null,
        holder uuid not null,
        term bigint not null,
        expires_at timestamptz not null,
        primary key (tenant_id, campaign_id),
        foreign key (tenant_id, campaign_id) references crm.dial_campaign on delete cascade
    """,
    "dial_entry": """
        tenant_id uuid not null,
        id uuid not null,
        campaign_id uuid not null,
        lead_id uuid not null,
        contact_id uuid not null,
        state text not null default 'listed'
            check (state in ('listed', 'ready', 'claimed', 'dialling', 'done', 'excluded')),
        reason text,
        priority int not null default 0,
        next_at timestamptz not null,
        best_hour int check (best_hour between 0 and 23),
        answer_p double precision,
        rank double precision not null default 0,
        zone text,
        attempts int not null default 0,
        counts jsonb not null default '{}',
        last_result text,
        last_attempt_at timestamptz,
        locked_until timestamptz,
        claimed_by uuid,
        claimed_until timestamptz,
        agent_user_id uuid,
        call_id uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        unique (tenant_id, campaign_id, lead_id),
        foreign key (tenant_id, campaign_id) references crm.dial_campaign on delete cascade
    """,
    "dial_attempt": """
        tenant_id uuid not null,
        id uuid not null,
        campaign_id uuid not null,
        entry_id uuid not null,
        lead_id uuid not null,
        contact_id uuid not null,
        call_id uuid,
        attempt_no int not null,
        mode text not null,
        agent_user_id uuid,
        dialed_at timestamptz not null,
        local_hour int not null check (local_hour between 0 and 23),
        local_weekday int not null check (local_weekday between 0 and 6),
        answer_p double precision,
        result text check (result in ('live_right_party', 'live_wrong_party', 'live_unknown', 'voicemail', 'busy',
                                      'no_answer', 'failed', 'blocked_by_policy')),
        reason text,
        answered_at timestamptz,
        connected_at timestamptz,
        ended_at timestamptz,
        ring_s double precision,
        connect_delay_s double precision,
        is_abandoned boolean not null default false,
        resolved_at timestamptz,
        primary key (tenant_id, id),
        unique (tenant_id, call_id),
        foreign key (tenant_id, campaign_id) references crm.dial_campaign
    """,
    "dial_budget": """
        tenant_id uuid not null,
        campaign_id uuid not null,
        hour timestamptz not null,
        attempts int not null default 0,
        blocked int not null default 0,
        answered int not null default 0,
        abandoned int not null default 0,
        primary key (tenant_id, campaign_id, hour),
        foreign key (tenant_id, campaign_id) references crm.dial_campaign on delete cascade
    """,
}
INDEXES = """
create unique index dial_campaign_code on crm.dial_campaign (tenant_id, code) where deleted_at is null;
create index dial_entry_listed on crm.dial_entry (tenant_id, campaign_id, priority desc, next_at)
    where state = 'listed';
create index dial_entry_ready on crm.dial_entry (tenant_id, campaign_id, priority desc, rank desc, id)
    where state = 'ready';
create index dial_entry_claimed on crm.dial_entry (tenant_id, campaign_id, claimed_until) where state = 'claimed';
create index dial_entry_dialling on crm.dial_entry (tenant_id, campaign_id) where state = 'dialling';
create index dial_entry_of_contact on crm.dial_entry (tenant_id, contact_id);
create index dial_entry_of_lead on crm.dial_entry (tenant_id, lead_id);
create index dial_attempt_of_campaign on crm.dial_attempt (tenant_id, campaign_id, dialed_at desc, id desc);
create index dial_attempt_open on crm.dial_attempt (tenant_id, campaign_id) where resolved_at is null;
create index dial_attempt_of_lead on crm.dial_attempt (tenant_id, lead_id, dialed_at desc);
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
