"""Simulated shifts of dialling campaigns.

Revision ID: 0023
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "twin_run": """
        tenant_id uuid not null,
        id uuid not null,
        campaign_id uuid not null,
        policy text not null,
        agents int not null check (agents > 0),
        shifts int not null check (shifts > 0),
        shift_s double precision not null check (shift_s > 0),
        seed bigint not null,
        cap double precision not null check (cap > 0 and cap < 1),
        p_break_30d double precision not null check (p_break_30d between 0 and 1),
        abandonment double precision not null check (abandonment between 0 and 1),
        abandonment_low double precision not null,
        abandonment_high double precision not null,
        occupancy double precision not null check (occupancy between 0 and 1),
        learned_from text not null check (learned_from in ('history', 'stated')),
        attempts int not null default 0 check (attempts >= 0),
        made_by uuid,
        made_at timestamptz not null,
        primary key (tenant_id, id)
    """,
}
INDEXES = """
create index twin_run_of_campaign on crm.twin_run (tenant_id, campaign_id, made_at desc);
"""
APPEND_ONLY: tuple[str, ...] = ("twin_run",)
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
