"""What a newcomer sees when Santral is ready: where everything is, who may sign in, and the first figures."""

from datetime import datetime

from rich.console import Console
from rich.table import Table

from cli import processes
from crm import clock
from crm.settings import Settings


def show(config: Settings, *, since: datetime, with_figures: bool) -> None:
    """Print addresses and the demo's logins; with figures also the headline KPIs."""
    console = Console()
    console.print(_addresses(config))
    console.print(f"ready after {(clock.utc_now() - since).total_seconds():.0f} s")


def _addresses(config: Settings) -> Table:
    at = processes.addresses(config)
    table = Table("what", "address", title="Santral is ready")
    table.add_row("Dashboards", at["dashboards"])
    table.add_row("API and its documentation", f"{at['api']}/docs")
    table.add_row("Pipeline (Dagster)", at["dagster"])
    table.add_row("Metrics (Prometheus)", f"{at['api']}/metrics")
    return table
