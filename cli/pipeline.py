"""`santral pipeline`: bring the published marts up to date."""

import json
import os
import sys
from datetime import datetime
from typing import Annotated

import typer

from cli import dagster_home, home, postgres
from crm import clock, errors
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


@app.command("as-of")
def as_of(
    instant: Annotated[datetime, typer.Argument(formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"])],
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Make the numbers as they were known at an instant (2026-03-15T12:00:00+00:00), for questions with `as_of`."""
    home.settle()
    with postgres.ensure_database():
        from orchestration import as_of as past

        try:
            schema = past.make(instant, now=clock.utc_now())
        except errors.CrmError as error:
            raise typer.BadParameter(str(error)) from error
    print(json.dumps({"instant": instant.isoformat(), "schema": schema}) if as_json else f"made in schema {schema}")
