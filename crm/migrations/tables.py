"""How a table of ours is made: row-level security, the app's grants, the pipeline's grants without personal data."""

from collections.abc import Collection, Mapping, Sequence

from alembic import op
from sqlalchemy import text

from crm.settings import APP_ROLE, PIPELINE_ROLE


def tenant_table(
    name: str,
    columns: str,
    *,
    schema: str = "crm",
    hidden_from_pipeline: Sequence[str] | None = (),
    append_only: bool = False,
) -> None:
    """Create `schema.name`, bind the app role to its tenant, let the pipeline read all but what is hidden.

    `hidden_from_pipeline`: columns that can hold personal data; None hides the whole table.
    `append_only`: the app role may insert and read, never change or delete.
    """
    table = f"{schema}.{name}"
    op.execute(f"create table {table} ({columns})")
    op.execute(f"alter table {table} enable row level security")
    op.execute(
        f"create policy tenant on {table} to {APP_ROLE}"
        " using (tenant_id = current_setting('app.tenant_id')::uuid)"
        " with check (tenant_id = current_setting('app.tenant_id')::uuid)"
    )
    op.execute(f"create policy pipeline on {table} for select to {PIPELINE_ROLE} using (true)")
    grants = "select, insert" if append_only else "select, insert, update, delete"
    op.execute(f"grant {grants} on {table} to {APP_ROLE}")
    if hidden_from_pipeline is not None:
        shown = [column for column in _columns(schema, name) if column not in hidden_from_pipeline]
        op.execute(f"grant select ({', '.join(shown)}) on {table} to {PIPELINE_ROLE}")


def tenant_tables(
    tables: dict[str, str],
    *,
    hidden: Mapping[str, Sequence[str] | None],
    append_only: Collection[str] = (),
) -> None:
    """Create several tables of schema crm, in their order; see `tenant_table`."""
    for name, columns in tables.items():
        tenant_table(name, columns, hidden_from_pipeline=hidden.get(name, ()), append_only=name in append_only)


def drop_tables(tables: dict[str, str]) -> None:
    """Drop what `tenant_tables` created, the last first."""
    for name in reversed(tables):
        op.execute(f"drop table crm.{name}")


def run_script(sql: str) -> None:
    """Run a script of several statements as it stands: no placeholders, no escapes."""
    op.get_bind().connection.driver_connection.execute(sql)  # type: ignore[union-attr]


def _columns(schema: str, name: str) -> list[str]:
    rows = op.get_bind().execute(
        text(
            "select column_name from information_schema.columns"
            " where table_schema = :schema and table_name = :name order by ordinal_position"
        ),
        {"schema": schema, "name": name},
    )
    return [row[0] for row in rows]


def drop_all(schemas: Sequence[str]) -> None:
    """Drop schemas of ours with all they hold."""
    for schema in schemas:
        op.execute(f'drop schema if exists "{schema}" cascade')
