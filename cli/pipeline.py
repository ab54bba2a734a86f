"""`santral pipeline`: bring the published marts up to date."""

import json
import os
import sys
from typing import Annotated

import typer

from cli import dagster_home, home, postgres
from crm.settings import settings

app = typer.Typer(no_args_is_help=True)


@app.callback()
def pipeline() -> None:
    """Bring the published marts up to date."""


@app.command()
def run(as_json: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False) -> None:
    """Make everything once, from what landed and what happened to the published marts; wait for a build under way."""
    place = home.settle()
    with postgres.ensure_database():
        os.environ.update(dagster_home.prepare(place, settings()))
        # Imported here: Dagster takes seconds, and `--help` should not.
        from orchestration import run as runs

        print("building the marts", file=sys.stderr, flush=True)
        outcome = runs.everything()
    if as_json:
        print(json.dumps(outcome.as_dict(), ensure_ascii=False))
    else:
        state = "published" if outcome.ok else "not all published"
        print(f"{state}: {outcome.made} tables and views, {outcome.checks} checks passed, {outcome.seconds} s")
        for problem in outcome.problems:
            print(f"  {problem}")
    if not outcome.ok:
        raise typer.Exit(1)
