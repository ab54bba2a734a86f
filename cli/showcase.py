"""What a newcomer sees when Santral is ready: where everything is, who may sign in, and the first figures."""

from datetime import datetime

from rich.console import Console
from rich.table import Table

from cli import processes
from crm import clock
from crm.settings import Settings


def show(config: Settings, *, since: datetime, with_figures: bool) -> None:
    """Print addresses and the demo's logins; with figures also the headline KPIs of the published marts."""
    console = Console()
    console.print(_addresses(config))
    if config.environment == "demo":
        console.print(_logins())
    if with_figures:
        console.print(_figures(demo=config.environment == "demo"))
    console.print(f"Ready after {(clock.utc_now() - since).total_seconds():.0f} s.")


def _addresses(config: Settings) -> Table:
    at = processes.addresses(config)
    table = Table("What", "Address", title="Santral is ready", title_justify="left")
    table.add_row("Dashboards", at["dashboards"])
    table.add_row("API and its documentation", f"{at['api']}/docs")
    table.add_row("What figures are made of", f"{at['api']}/docs/data")
    table.add_row("Pipeline (Dagster)", at["dagster"])
    table.add_row("Metrics (Prometheus)", f"{at['api']}/metrics")
    return table


def _logins() -> Table:
    from cli.demo import LOGINS, password

    table = Table("Role", "Sign in with", "Password", "Name", title="Logins of the demo", title_justify="left")
    for login in LOGINS:
        table.add_row(str(login.role), login.email, password(), login.name)
    return table


def _figures(*, demo: bool) -> Table:
    from cli import kpi
    from cli.demo.staff import SLUG

    table = Table("Figure", "Value", title="Headline figures", title_justify="left")
    for label, value in kpi.headline(SLUG if demo else None) or [("nothing is published yet", "–")]:
        table.add_row(label, value)
    return table
