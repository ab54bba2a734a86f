"""Skills, absences and working hours of people, each dated.

Revision ID: 0012
"""

from alembic import op

from crm.migrations.tables import drop_tables, run_script, tenant_tables
from crm.settings import APP_ROLE, PIPELINE_ROLE

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "user_profile": """
        tenant_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        field text not null check (field in ('skills', 'languages', 'regions', 'daily_cap')),
        value jsonb not null,
        valid_from timestamptz not null,
        set_by uuid,
        created_at timestamptz not null,
        primary key (tenant_id, id),
        foreign key (tenant_id, user_id) references crm.user_account
    """,
    "user_absence": """
        tenant_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        kind text not null,
        starts_at timestamptz not null,
        ends_at timestamptz not null,
        planned_by uuid,
        created_at timestamptz not null,
        cancelled_at timestamptz,
        cancelled_by uuid,
        primary key (tenant_id, id),
        foreign key (tenant_id, user_id) references crm.user_account,
        check (starts_at < ends_at)
    """,
    "team_membership": """
        tenant_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        team_id uuid not null,
        started_at timestamptz not null,
        ended_at timestamptz,
        primary key (tenant_id, id),
        foreign key (tenant_id, user_id) references crm.user_account
    """,
    "team_version": """
        tenant_id uuid not null,
        id uuid not null,
        team_id uuid not null,
        timezone text not null,
        region text,
        lead_user_id uuid,
        valid_from timestamptz not null,
        set_by uuid,
        primary key (tenant_id, id)
    """,
}
INDEXES = """
create index user_profile_field on crm.user_profile (tenant_id, user_id, field, valid_from desc, id desc);
create index user_absence_user on crm.user_absence (tenant_id, user_id, ends_at);
create index user_absence_ends on crm.user_absence (tenant_id, ends_at) where cancelled_at is null;
create index team_membership_user on crm.team_membership (tenant_id, user_id, started_at);
create unique index team_membership_open on crm.team_membership (tenant_id, user_id) where ended_at is null;
create index team_membership_team on crm.team_membership (tenant_id, team_id, started_at);
create index team_version_team on crm.team_version (tenant_id, team_id, valid_from desc, id desc);
create index user_session_ended on crm.user_session (revoked_at) where revoked_at is not null;
"""
APPEND_ONLY: tuple[str, ...] = ("user_profile", "team_version")
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""

LEAD_OF_TEAM = f"""
alter table crm.team add column lead_user_id uuid;
alter table crm.team add constraint team_lead_user
  foreign key (tenant_id, lead_user_id) references crm.user_account;
grant select (lead_user_id) on crm.team to {PIPELINE_ROLE};
"""

SESSIONS_ENDED = f"""
create function crm.sessions_ended_since(since timestamptz) returns setof uuid language sql stable security definer
  set search_path = crm, pg_temp as $$
  select distinct s.family_id from crm.user_session s where s.revoked_at > $1 $$;
revoke all on function crm.sessions_ended_since from public;
grant execute on function crm.sessions_ended_since to {APP_ROLE};
"""
"""Asked outside any firm: it answers with ids of sessions, which open nothing."""


def upgrade() -> None:
    run_script(LEAD_OF_TEAM)
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)
    run_script(SESSIONS_ENDED)


def downgrade() -> None:
    op.execute("drop function crm.sessions_ended_since; drop index crm.user_session_ended")
    drop_tables(TABLES)
    op.execute("alter table crm.team drop column lead_user_id")
