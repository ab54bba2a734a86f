"""What outside systems sent about advertising, as it came: whole reports, every version, and the verdict on each.

Revision ID: 0003
"""

from alembic import op

from crm.migrations.tables import run_script, tenant_table
from crm.settings import APP_ROLE, PIPELINE_ROLE

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

API_PAYLOAD = """
    tenant_id uuid not null,
    id uuid not null,
    source text not null,
    endpoint text not null,
    natural_key text not null,
    window_start date,
    window_end date,
    payload_sha256 bytea not null,
    payload jsonb not null,
    fetched_at timestamptz not null,
    api_version text,
    run_id text,
    primary key (tenant_id, id),
    unique (tenant_id, source, endpoint, natural_key, payload_sha256)
"""

PAYLOAD_VERDICT = """
    tenant_id uuid not null,
    payload_id uuid not null,
    passed boolean not null,
    reasons text[] not null default '{}',
    suite text not null,
    checked_at timestamptz not null,
    primary key (tenant_id, payload_id),
    foreign key (tenant_id, payload_id) references raw.api_payload on delete cascade
"""

PIPELINE = f"""
create policy pipeline_judges on raw.payload_verdict for insert to {PIPELINE_ROLE} with check (true);
create policy pipeline_judges_again on raw.payload_verdict for update to {PIPELINE_ROLE} using (true) with check (true);
grant insert, update on raw.payload_verdict to {PIPELINE_ROLE};
create index api_payload_latest on raw.api_payload (tenant_id, source, endpoint, natural_key, fetched_at desc, id desc);
create table ops.horizon (
  only_one boolean primary key default true check (only_one),
  tx_id xid8 not null,
  pinned_at timestamptz not null
);
comment on table ops.horizon is 'Up to which transaction the current pipeline run reads events: of no tenant.';
alter table ops.horizon enable row level security;
create policy pipeline on ops.horizon to {PIPELINE_ROLE} using (true) with check (true);
grant select, insert, update on ops.horizon to {PIPELINE_ROLE};
"""


def upgrade() -> None:
    tenant_table("api_payload", API_PAYLOAD, schema="raw", append_only=True)
    op.execute(f"grant update (fetched_at) on raw.api_payload to {APP_ROLE}")
    tenant_table("payload_verdict", PAYLOAD_VERDICT, schema="raw")
    op.execute(f"revoke insert, update, delete on raw.payload_verdict from {APP_ROLE}")
    run_script(PIPELINE)


def downgrade() -> None:
    op.execute("drop table ops.horizon")
    op.execute("drop table raw.payload_verdict")
    # What the pipeline built is rebuilt by its next run; views on the landing go with it.
    op.execute("drop table raw.api_payload cascade")
