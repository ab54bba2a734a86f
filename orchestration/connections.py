"""dbt's connections to the database: they stay open from one relation to the next, and are set up for whole tables.

dbt opens one for every model and every test; opening it (a new server process that knows nothing yet, a password to
prove) costs more than a small table does.
"""

from typing import Any

from dbt.adapters.contracts.connection import Connection, ConnectionState
from dbt.adapters.postgres import PostgresAdapter, PostgresConnectionManager

SETTINGS = {
    "work_mem": "64MB", "maintenance_work_mem": "256MB", "jit": "off", "synchronous_commit": "off",
    "default_statistics_target": "10", "parallel_setup_cost": "100", "parallel_tuple_cost": "0.01",
}  # fmt: skip
"""Of a session that builds: sorts of whole tables and their keys fit in memory, and no plan is worth compiling.
No relation waits for the disk by itself: saying that a domain is built and publishing it do, with all before it.
Some thousand rows tell the next model how large a table is. What unpacks a million events is worth a second core,
though it hands on every row."""


class Staying(PostgresConnectionManager):
    """Each thread of a run keeps its connection; the run closes them at its end."""

    @classmethod
    def open(cls, connection: Connection) -> Any:
        """Open a connection and set it up."""
        if connection.state == ConnectionState.OPEN:
            return connection
        opened = super().open(connection)
        with opened.handle.cursor() as cursor:
            cursor.execute("; ".join(f"set {name} = '{value}'" for name, value in SETTINGS.items()))
        opened.handle.commit()
        return opened

    def release(self) -> None:
        """End what is open on this thread's connection; close it only when it is broken."""
        connection = self.get_if_exists()
        if connection is None or connection.state != ConnectionState.OPEN:
            super().release()
            return
        try:
            connection.handle.rollback()
            connection.transaction_open = False
        except Exception:
            self.clear_thread_connection()
            raise


def stay_open() -> None:
    """Let dbt, in this process, keep its connections."""
    PostgresAdapter.ConnectionManager = Staying
