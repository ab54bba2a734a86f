"""Attachments: what is stored where, and of what class.

Revision ID: 0007
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "attachment": """
        tenant_id uuid not null,
        id uuid not null,
        contact_id uuid not null,
        lead_id uuid,
        activity_id uuid not null,
        class text not null check (class in ('general', 'identity', 'health')),
        name text,
        content_type text not null,
        size bigint not null check (size > 0),
        key_id uuid not null,
        object_key text not null,
        uploaded_by uuid,
        created_at timestamptz not null,
        deleted_by uuid,
        deleted_at timestamptz,
        deletion_reason text,
        primary key (tenant_id, id)
    """,
}
INDEXES = """
create index attachment_activity on crm.attachment (tenant_id, activity_id);
create index attachment_contact on crm.attachment (tenant_id, contact_id, id desc);
create index attachment_lead on crm.attachment (tenant_id, lead_id, id desc) where lead_id is not null;
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"attachment": ("name",)}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
