"""Possible duplicates, merges and how to undo them; what became of rows and messages that needed a person.

Revision ID: 0014
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables
from crm.settings import APP_ROLE, PIPELINE_ROLE

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "contact_merge": """
        tenant_id uuid not null,
        id uuid not null,
        seq bigint generated always as identity,
        winner_id uuid not null,
        loser_id uuid not null,
        moved jsonb not null,
        replaced jsonb not null,
        merged_by uuid,
        merged_at timestamptz not null,
        undone_by uuid,
        undone_at timestamptz,
        primary key (tenant_id, id),
        check (winner_id <> loser_id)
    """,
    "duplicate_candidate": """
        tenant_id uuid not null,
        id uuid not null,
        first_id uuid not null,
        second_id uuid not null,
        source text not null,
        score real not null check (score between 0 and 1),
        reasons text[] not null,
        status text not null default 'open' check (status in ('open', 'merged', 'dismissed')),
        merge_id uuid,
        dismissal_reason text,
        decided_by uuid,
        decided_at timestamptz,
        found_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        unique (tenant_id, first_id, second_id),
        check (first_id < second_id)
    """,
    "contact_block": """
        tenant_id uuid not null,
        key bytea not null,
        contact_id uuid not null,
        primary key (tenant_id, key, contact_id)
    """,
    "review_resolution": """
        tenant_id uuid not null,
        id uuid not null,
        kind text not null check (kind in ('import_row', 'inbox_message')),
        item_id uuid not null,
        outcome text not null,
        reason text,
        lead_id uuid,
        fields text[] not null default '{}',
        resolved_by uuid,
        resolved_at timestamptz not null,
        primary key (tenant_id, id)
    """,
}
INDEXES = """
create index contact_merge_winner on crm.contact_merge (tenant_id, winner_id, seq);
create index contact_merge_loser on crm.contact_merge (tenant_id, loser_id, seq);
create index contact_merge_recent on crm.contact_merge (tenant_id, merged_at) where undone_at is null;
create index duplicate_candidate_open on crm.duplicate_candidate (tenant_id, found_at desc, id desc)
  where status = 'open';
create index duplicate_candidate_second on crm.duplicate_candidate (tenant_id, second_id);
create index contact_block_contact on crm.contact_block (tenant_id, contact_id);
create index review_resolution_item on crm.review_resolution (tenant_id, kind, item_id, resolved_at);
"""
APPEND_ONLY: tuple[str, ...] = ("review_resolution",)
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"contact_merge": ("replaced",), "contact_block": None}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""

TOMBSTONES = f"""
alter table crm.contact add column merged_into uuid;
grant select (merged_into) on crm.contact to {PIPELINE_ROLE};
"""

# A fact is never overwritten; whose fact it is changes when two contacts turn out to be one person.
WHOSE = f"""
do $$
declare kept regclass;
begin
  for kept in select a.attrelid::regclass from pg_attribute a join pg_class c on c.oid = a.attrelid
               where c.relnamespace = 'crm'::regnamespace and c.relkind = 'r' and a.attname = 'contact_id'
                 and not has_table_privilege('{APP_ROLE}', c.oid, 'update') loop
    execute format('grant update (contact_id) on %s to {APP_ROLE}', kept);
  end loop;
end $$;
"""

REJECTIONS = """
alter table crm.import_rejection
  add column id uuid not null default gen_random_uuid(),
  add column codes text[] not null default '{}',
  add column resolved_at timestamptz;
create unique index import_rejection_id on crm.import_rejection (tenant_id, id);
create index import_rejection_open on crm.import_rejection (tenant_id, created_at desc, id desc)
  where resolved_at is null;
"""

WHOSE_BACK = f"""
do $$
declare kept regclass;
begin
  for kept in select a.attrelid::regclass from pg_attribute a join pg_class c on c.oid = a.attrelid
               where c.relnamespace = 'crm'::regnamespace and c.relkind = 'r' and a.attname = 'contact_id'
                 and not has_table_privilege('{APP_ROLE}', c.oid, 'update') loop
    execute format('revoke update (contact_id) on %s from {APP_ROLE}', kept);
  end loop;
end $$;
"""

BACK = """
drop index crm.import_rejection_open;
drop index crm.import_rejection_id;
alter table crm.import_rejection drop column id, drop column codes, drop column resolved_at;
alter table crm.contact drop column merged_into;
"""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    for script in (INDEXES, TOMBSTONES, WHOSE, REJECTIONS):
        run_script(script)


def downgrade() -> None:
    drop_tables(TABLES)
    for script in (WHOSE_BACK, BACK):
        run_script(script)
