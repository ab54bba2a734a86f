"""The job queue's own tables (Procrastinate), in a schema of their own.

Its insert trigger rings NOTIFY twice a job, which holds a global lock through each commit: workers poll and hear one
bell of ours instead (docs/decisions).

Revision ID: 0002
"""

from alembic import op
from procrastinate.schema import SchemaManager

from crm.migrations.tables import drop_all, run_script
from crm.settings import APP_ROLE

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create schema jobs")
    op.execute("set local search_path = jobs")
    run_script(SchemaManager.get_schema())
    for trigger in (
        "procrastinate_jobs_notify_queue_job_inserted_v1",
        "procrastinate_jobs_notify_queue_job_aborted_v1",
    ):
        op.execute(f"alter table jobs.procrastinate_jobs disable trigger {trigger}")
    op.execute("reset search_path")
    op.execute(f"grant usage on schema jobs to {APP_ROLE}")
    op.execute(f"grant select, insert, update, delete on all tables in schema jobs to {APP_ROLE}")
    op.execute(f"grant usage on all sequences in schema jobs to {APP_ROLE}")
    op.execute(f"grant execute on all functions in schema jobs to {APP_ROLE}")


def downgrade() -> None:
    drop_all(("jobs",))
