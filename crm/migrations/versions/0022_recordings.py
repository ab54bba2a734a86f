"""Recordings, the links that play them, dispositions' wrap-up, and calls that another system handled.

Revision ID: 0022
"""

from alembic import op

from crm.migrations.tables import drop_tables, run_script, tenant_tables
from crm.settings import PIPELINE_ROLE

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "recording": """
        tenant_id uuid not null,
        id uuid not null,
        call_id uuid not null,
        part text not null,
        contact_id uuid,
        key_id uuid not null,
        object_key text not null,
        size bigint not null,
        duration_s double precision not null,
        retention text not null,
        recorded_at timestamptz not null,
        stored_at timestamptz not null,
        delete_after timestamptz,
        held_at timestamptz,
        held_by uuid,
        hold_reason text,
        deleted_at timestamptz,
        deletion_reason text,
        primary key (tenant_id, id),
        unique (tenant_id, call_id, part)
    """,
    "recording_link": """
        tenant_id uuid not null,
        id uuid not null,
        recording_id uuid not null,
        user_id uuid not null,
        reason text not null,
        made_at timestamptz not null,
        expires_at timestamptz not null,
        used_at timestamptz,
        primary key (tenant_id, id),
        foreign key (tenant_id, recording_id) references crm.recording on delete cascade
    """,
    "outside_agent": """
        tenant_id uuid not null,
        id uuid not null,
        source text not null,
        name text not null,
        created_at timestamptz not null,
        primary key (tenant_id, id),
        unique (tenant_id, source, name)
    """,
    "historical_call": """
        tenant_id uuid not null,
        call_id uuid not null,
        source text not null,
        external_id text not null,
        content_hash bytea,
        import_id uuid,
        outside_agent_id uuid,
        caller_index bytea,
        priority int,
        self_service_s double precision,
        primary key (tenant_id, call_id),
        unique (tenant_id, source, external_id),
        foreign key (tenant_id, call_id) references crm.call on delete cascade,
        foreign key (tenant_id, outside_agent_id) references crm.outside_agent
    """,
}
OF_CALL = {"wrap_extended_at": "timestamptz", "disposition_party": "text", "callback_wanted_at": "timestamptz"}
INDEXES = """
create index recording_due on crm.recording (tenant_id, delete_after) where deleted_at is null and held_at is null;
create index call_requested_by on crm.call (tenant_id, requested_by, requested_at desc, id desc)
 where requested_by is not null;
create index recording_link_past on crm.recording_link (tenant_id, expires_at);
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {
    "outside_agent": ("name",),
    "historical_call": ("content_hash", "caller_index"),
}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    for column, kind in OF_CALL.items():
        op.execute(f"alter table crm.call add column {column} {kind}")
    op.execute(f"grant select ({', '.join(OF_CALL)}) on crm.call to {PIPELINE_ROLE}")
    run_script(INDEXES)


def downgrade() -> None:
    op.execute("drop index crm.call_requested_by")
    for column in OF_CALL:
        op.execute(f"alter table crm.call drop column {column}")
    drop_tables(TABLES)
