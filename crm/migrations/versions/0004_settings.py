"""Settings of a tenant, each valid from an instant.

Revision ID: 0004
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "tenant_setting": """
        tenant_id uuid not null,
        id uuid not null,
        key text not null,
        value jsonb not null,
        valid_from timestamptz not null,
        set_by uuid,
        created_at timestamptz not null,
        primary key (tenant_id, id)
    """,
}
INDEXES = "create index tenant_setting_key on crm.tenant_setting (tenant_id, key, valid_from desc, id desc);"
APPEND_ONLY: tuple[str, ...] = ("tenant_setting",)
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"tenant_setting": ("value",)}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
