"""What readers see of the marts.

Revision ID: 0024
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {}
INDEXES = ""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
