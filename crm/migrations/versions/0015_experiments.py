"""Experiments, exposures and their outcomes.

Revision ID: 0015
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "experiment": """
        tenant_id uuid not null,
        id uuid not null,
        key text not null,
        hypothesis text not null,
        split text not null check (split in ('script', 'team')),
        unit text not null check (unit in ('lead', 'contact')),
        metric text not null,
        event_type text,
        event_match jsonb,
        window_days int not null check (window_days between 1 and 365),
        alpha double precision not null check (alpha > 0 and alpha < 1),
        status text not null default 'draft' check (status in ('draft', 'running', 'stopped')),
        created_by uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        started_at timestamptz,
        stopped_at timestamptz,
        winner int,
        primary key (tenant_id, id),
        unique (tenant_id, key)
    """,
    "experiment_variant": """
        tenant_id uuid not null,
        experiment_id uuid not null,
        position int not null,
        key text not null,
        share int not null check (share > 0),
        team_id uuid,
        script text,
        primary key (tenant_id, experiment_id, position),
        unique (tenant_id, experiment_id, key),
        foreign key (tenant_id, experiment_id) references crm.experiment on delete cascade
    """,
    "experiment_exposure": """
        tenant_id uuid not null,
        experiment_id uuid not null,
        unit_id uuid not null,
        lead_id uuid not null,
        position int not null,
        exposed_at timestamptz not null,
        primary key (tenant_id, experiment_id, unit_id),
        foreign key (tenant_id, experiment_id, position) references crm.experiment_variant
    """,
}
INDEXES = """
create index experiment_exposure_lead on crm.experiment_exposure (tenant_id, lead_id);
create index experiment_exposure_unit on crm.experiment_exposure (tenant_id, unit_id);
"""
APPEND_ONLY: tuple[str, ...] = ("experiment_exposure",)
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"experiment": ("hypothesis",)}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
