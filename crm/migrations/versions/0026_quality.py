"""What the gates at the border keep: counts of each day, sets held back, and alerts about the pipeline itself.

Revision ID: 0026
"""

from alembic import op

from crm.migrations.tables import run_script, tenant_table
from crm.settings import APP_ROLE, PIPELINE_ROLE

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# What came in on one day in the tenant's zone, in one part of a feed (a form, an exchange): the past that the gates
# compare with, counted once and not from the operational tables at each run.
BORDER_DAY = """
    tenant_id uuid not null,
    feed text not null,
    part text not null,
    day date not null,
    rows int not null check (rows >= 0),
    figures jsonb not null,
    questions text[] not null default '{}',
    counted_at timestamptz not null,
    primary key (tenant_id, feed, part, day)
"""

# A set (a form's day, an import, a report) that broke a rule. Whoever let it in keeps standing here with the reason.
QUARANTINE = """
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    feed text not null,
    set_key text not null,
    label text not null,
    day date,
    rules text[] not null,
    reasons text[] not null,
    reasons_tr text[] not null,
    weight int not null check (weight > 0),
    status text not null check (status in ('held', 'warned', 'released', 'cleared')),
    since timestamptz not null,
    judged_at timestamptz not null,
    released_at timestamptz,
    released_by uuid,
    because text,
    primary key (tenant_id, id),
    unique (tenant_id, feed, set_key)
"""

GATES = f"""
create policy pipeline_counts on ops.border_day to {PIPELINE_ROLE} using (true) with check (true);
grant insert, update on ops.border_day to {PIPELINE_ROLE};
create policy pipeline_holds on ops.quarantine to {PIPELINE_ROLE} using (true) with check (true);
grant insert, update on ops.quarantine to {PIPELINE_ROLE};
create index quarantine_standing on ops.quarantine (tenant_id, feed) where status in ('held', 'warned');

create table ops.alert (
  id uuid primary key default gen_random_uuid(),
  subject text not null,
  owner text not null,
  severity text not null check (severity in ('error', 'warning')),
  failures int not null check (failures > 0),
  causes text[] not null,
  said text not null,
  run_id text,
  first_at timestamptz not null,
  last_at timestamptz not null,
  told_at timestamptz,
  recovered_at timestamptz
);
comment on table ops.alert is 'Trouble of the pipeline, one row per streak of failures: of no tenant.';
comment on column ops.alert.causes is 'Codes of what failed: tests, kinds of errors, and marks of held sets.';
comment on column ops.alert.said is 'Why, for the operator of the pipeline; may name several firms.';
create unique index alert_open on ops.alert (subject, severity) where recovered_at is null;
create index alert_told on ops.alert (told_at, id) where told_at is not null;
alter table ops.alert enable row level security;
create policy pipeline on ops.alert to {PIPELINE_ROLE} using (true) with check (true);
grant select, insert, update on ops.alert to {PIPELINE_ROLE};
create policy what_was_told on ops.alert for select to {APP_ROLE} using (told_at is not null);
grant select (id, subject, owner, severity, failures, causes, run_id, first_at, last_at, told_at, recovered_at)
   on ops.alert to {APP_ROLE};

-- Which questions people answered, by their names alone: the answers stay hidden from the pipeline.
create function ops.lead_questions(asked_tenant uuid, since timestamptz)
returns table (source text, form text, received_at timestamptz, question text)
  language sql stable security definer set search_path = crm, pg_temp as $$
  select l.source, l.form, l.received_at, q.name
    from crm.lead l cross join lateral jsonb_object_keys(l.attributes) as q(name)
   where l.tenant_id = asked_tenant and l.received_at >= since and l.import_id is null $$;
revoke execute on function ops.lead_questions(uuid, timestamptz) from public;
grant execute on function ops.lead_questions(uuid, timestamptz) to {PIPELINE_ROLE};
"""


def upgrade() -> None:
    tenant_table("border_day", BORDER_DAY, schema="ops")
    op.execute(f"revoke insert, update, delete on ops.border_day from {APP_ROLE}")
    tenant_table("quarantine", QUARANTINE, schema="ops")
    op.execute(f"revoke insert, update, delete on ops.quarantine from {APP_ROLE}")
    op.execute(f"grant update (status, released_at, released_by, because) on ops.quarantine to {APP_ROLE}")
    run_script(GATES)


def downgrade() -> None:
    op.execute("drop function ops.lead_questions(uuid, timestamptz)")
    for table in ("ops.alert", "ops.quarantine", "ops.border_day"):
        op.execute(f"drop table {table}")
