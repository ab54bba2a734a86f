"""Keys of people, in a database of their own with a short backup life (DESIGN section 3).

Revision ID: keys_0001
"""

from alembic import op

from crm.migrations.tables import drop_all
from crm.settings import APP_ROLE

revision = "keys_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create schema keys")
    op.execute(
        """
        create table keys.data_key (
          tenant_id uuid not null,
          id uuid not null,
          wrapped bytea,
          created_at timestamptz not null default now(),
          destroyed_at timestamptz,
          primary key (tenant_id, id),
          check ((wrapped is null) = (destroyed_at is not null))
        )
        """
    )
    op.execute("alter table keys.data_key enable row level security")
    op.execute(
        f"create policy tenant on keys.data_key to {APP_ROLE}"
        " using (tenant_id = current_setting('app.tenant_id')::uuid)"
        " with check (tenant_id = current_setting('app.tenant_id')::uuid)"
    )
    op.execute(f"grant usage on schema keys to {APP_ROLE}")
    op.execute(f"grant select, insert, update on keys.data_key to {APP_ROLE}")


def downgrade() -> None:
    drop_all(("keys",))
