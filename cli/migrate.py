"""`santral migrate`: what a deployment runs once before its processes start."""

import typer

from cli import postgres

app = typer.Typer()


@app.command()
def migrate() -> None:
    """Create roles, databases and tables that are missing, upgrade what is old, and exit."""
    with postgres.ensure_database():
        print("the database is up to date")
