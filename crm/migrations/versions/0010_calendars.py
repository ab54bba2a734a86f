"""Business calendars: weekly hours of firms, teams and persons, and special days, each valid from a date.

Revision ID: 0010
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "calendar_week": """
        tenant_id uuid not null,
        id uuid not null,
        team_id uuid,
        user_id uuid,
        valid_from date not null,
        timezone text,
        hours jsonb not null,
        set_by uuid,
        created_at timestamptz not null,
        primary key (tenant_id, id),
        check (team_id is null or user_id is null)
    """,
    "calendar_day": """
        tenant_id uuid not null,
        id uuid not null,
        team_id uuid,
        day date not null,
        kind text not null check (kind in ('closed', 'hours', 'usual')),
        closed_from int check (closed_from between 0 and 1439),
        hours jsonb,
        name text not null default '',
        labels jsonb not null default '{}',
        source text not null,
        is_estimated boolean not null default false,
        set_by uuid,
        created_at timestamptz not null,
        primary key (tenant_id, id)
    """,
}
INDEXES = """
create index calendar_week_whose on crm.calendar_week (tenant_id, team_id, user_id);
create index calendar_day_whose on crm.calendar_day (tenant_id, day, team_id);
"""
APPEND_ONLY: tuple[str, ...] = ("calendar_week", "calendar_day")
"""What holds on a date is the latest row about it; a row is never changed, so that one can ask what was known when."""
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"calendar_day": ("name",)}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
