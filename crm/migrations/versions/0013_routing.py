"""Rule sets of distribution, its runs with what they were decided on, holds and automatic moves.

Revision ID: 0013
"""

from alembic import op

from crm.migrations.tables import drop_tables, run_script, tenant_tables
from crm.settings import PIPELINE_ROLE

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "routing_rule_set": """
        tenant_id uuid not null,
        id uuid not null,
        version int,
        name text not null,
        definition jsonb not null,
        created_by uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        valid_from timestamptz,
        published_at timestamptz,
        published_by uuid,
        primary key (tenant_id, id),
        unique (tenant_id, version),
        check ((published_at is null) = (version is null) and (published_at is null) = (valid_from is null))
    """,
    "routing_state": """
        tenant_id uuid primary key,
        run_no bigint not null default 0
    """,
    "routing_roster": """
        tenant_id uuid not null,
        digest bytea not null,
        body bytea not null,
        created_at timestamptz not null,
        primary key (tenant_id, digest)
    """,
    "routing_run": """
        tenant_id uuid not null,
        no bigint not null,
        decided_at timestamptz not null,
        rule_set_id uuid,
        roster bytea not null,
        facts bytea not null,
        has_pools boolean not null,
        primary key (tenant_id, no)
    """,
    "routing_pool": """
        tenant_id uuid not null,
        key text not null,
        turn bigint not null,
        holders uuid[] not null,
        credits bigint[] not null,
        updated_at timestamptz not null,
        primary key (tenant_id, key)
    """,
    "routing_hold": """
        tenant_id uuid not null,
        lead_id uuid not null,
        since timestamptz not null,
        demand bigint,
        next_at timestamptz,
        queue text,
        said text,
        exposed text,
        rule_set_id uuid,
        primary key (tenant_id, lead_id)
    """,
    "routing_move": """
        tenant_id uuid not null,
        lead_id uuid not null,
        status_changed_at timestamptz not null,
        status text not null,
        from_user_id uuid not null,
        to_team_id uuid not null,
        moved_at timestamptz not null,
        primary key (tenant_id, lead_id, status_changed_at)
    """,
}
INDEXES = """
create index routing_rule_set_valid on crm.routing_rule_set (tenant_id, valid_from desc, version desc)
  where valid_from is not null;
create index routing_run_decided on crm.routing_run (tenant_id, decided_at);
create index routing_decision_run on crm.routing_decision (tenant_id, run_no) where run_no is not null;
create index routing_hold_demand on crm.routing_hold (tenant_id, demand, since, lead_id);
create index routing_hold_next on crm.routing_hold (tenant_id, next_at) where next_at is not null;
create index lead_assignment_handed on crm.lead_assignment (tenant_id, started_at, lead_id)
  where user_id is null and ended_at is null and reason not like 'auto.%';
create index lead_assignment_user on crm.lead_assignment (tenant_id, user_id, started_at) where user_id is not null;
"""
APPEND_ONLY: tuple[str, ...] = ("routing_roster", "routing_run", "routing_move")
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""

DECISIONS = f"""
alter table crm.routing_decision add column run_no bigint, add column rule_set_id uuid, add column rule text,
  add column standing bytea;
alter table crm.routing_member drop column credit;
grant select (run_no, rule_set_id, rule) on crm.routing_decision to {PIPELINE_ROLE};
create function crm.refuse_published_rules() returns trigger language plpgsql set search_path = crm, pg_temp as $$
begin
  if old.published_at is not null then
    raise exception 'rule set % is published: it is never changed', old.id using errcode = 'check_violation';
  end if;
  return coalesce(new, old);
end $$;
create trigger published_rules_stay before update or delete on crm.routing_rule_set
  for each row execute function crm.refuse_published_rules();
"""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(DECISIONS)
    run_script(INDEXES)


def downgrade() -> None:
    op.execute("drop index crm.lead_assignment_user, crm.lead_assignment_handed")
    drop_tables(TABLES)
    op.execute("drop function crm.refuse_published_rules")
    op.execute("alter table crm.routing_member add column credit int not null default 0")
    op.execute(f"grant select (credit) on crm.routing_member to {PIPELINE_ROLE}")
    op.execute(
        "alter table crm.routing_decision drop column run_no, drop column rule_set_id, drop column rule,"
        " drop column standing"
    )
