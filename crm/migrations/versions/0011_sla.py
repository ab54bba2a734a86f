"""Rules of service levels, their clocks, reminders and escalations.

Revision ID: 0011
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "sla_rule_set": """
        tenant_id uuid not null,
        id uuid not null,
        version int not null,
        valid_from timestamptz not null,
        rules jsonb not null,
        published_by uuid,
        created_at timestamptz not null,
        primary key (tenant_id, id),
        unique (tenant_id, version)
    """,
    "sla_clock": """
        tenant_id uuid not null,
        id uuid not null,
        lead_id uuid not null,
        cycle_no int not null,
        kind text not null check (kind in ('first_response', 'follow_up', 'check_in')),
        rule_version int not null,
        rule_code text,
        state text not null check (state in ('running', 'paused', 'met', 'breached', 'cancelled')),
        team_id uuid,
        check_in_id uuid,
        status text not null,
        time_basis text not null check (time_basis in ('business', 'calendar')),
        target_s int not null,
        started_at timestamptz not null,
        consumed_s double precision not null,
        counted_until timestamptz not null,
        due_at timestamptz,
        breached_at timestamptz,
        ended_at timestamptz,
        end_reason text,
        late_by_s double precision,
        pauses jsonb not null default '[]',
        next_at timestamptz,
        primary key (tenant_id, id),
        check ((ended_at is null) = (end_reason is null)),
        check (state not in ('met', 'cancelled') or ended_at is not null),
        check (state <> 'breached' or breached_at is not null),
        check (state <> 'running' or due_at is not null)
    """,
}
INDEXES = """
create index sla_clock_lead on crm.sla_clock (tenant_id, lead_id);
create index sla_clock_next on crm.sla_clock (tenant_id, next_at) where next_at is not null;
create index sla_clock_open on crm.sla_clock (tenant_id, due_at, id)
  where ended_at is null and state in ('running', 'breached');
"""
APPEND_ONLY: tuple[str, ...] = ("sla_rule_set",)
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
