"""Dialling campaigns, their hoppers and attempts.

Revision ID: 0020
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0020"
down_revision = "0019"
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
