"""Call processes: scripts and forms, versioned.

Revision ID: 0021
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "process": """
        tenant_id uuid not null,
        id uuid not null,
        key text not null,
        labels jsonb not null,
        created_by uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        retired_at timestamptz,
        primary key (tenant_id, id),
        unique (tenant_id, key)
    """,
    "process_version": """
        tenant_id uuid not null,
        id uuid not null,
        process_id uuid not null,
        version_no int not null check (version_no > 0),
        definition jsonb not null,
        created_by uuid,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        published_by uuid,
        published_at timestamptz,
        retired_at timestamptz,
        primary key (tenant_id, id),
        unique (tenant_id, process_id, version_no),
        check (retired_at is null or published_at is not null),
        foreign key (tenant_id, process_id) references crm.process on delete cascade
    """,
    "process_use": """
        tenant_id uuid not null,
        id uuid not null,
        campaign_id uuid,
        queue text,
        purpose text,
        process_id uuid,
        experiment text,
        valid_from timestamptz not null,
        set_by uuid,
        primary key (tenant_id, id),
        check (num_nonnulls(campaign_id, queue, purpose) = 1),
        check (process_id is not null or experiment is null),
        foreign key (tenant_id, process_id) references crm.process
    """,
    "process_run": """
        tenant_id uuid not null,
        call_id uuid not null,
        revision int not null check (revision > 0),
        process_version_id uuid not null,
        answers jsonb not null,
        texts_key_id uuid,
        texts_sealed bytea,
        at_step text,
        disposition text,
        saved_by uuid,
        saved_at timestamptz not null,
        primary key (tenant_id, call_id, revision),
        check ((texts_key_id is null) = (texts_sealed is null)),
        foreign key (tenant_id, process_version_id) references crm.process_version,
        foreign key (tenant_id, call_id) references crm.call on delete cascade
    """,
}
INDEXES = """
create unique index process_version_draft on crm.process_version (tenant_id, process_id) where published_at is null;
create index process_use_of on crm.process_use (tenant_id, valid_from desc, id desc);
create index process_run_of_version on crm.process_run (tenant_id, process_version_id);

create function crm.keep_published() returns trigger language plpgsql as $$
begin
  if old.published_at is not null and (tg_op = 'DELETE' or (new.definition, new.version_no, new.published_at)
                                       is distinct from (old.definition, old.version_no, old.published_at)) then
    raise exception 'a published process stays as it is' using errcode = 'integrity_constraint_violation';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;
create trigger keep_published before update or delete on crm.process_version
  for each row execute function crm.keep_published();
"""
APPEND_ONLY = ("process_use", "process_run")
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"process_run": ("answers", "texts_sealed")}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
    run_script("drop function crm.keep_published()")
