"""`santral docs`: what every number is made of, as one page to open in a browser."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from cli import postgres
from crm.settings import settings
from kpis import documentation

app = typer.Typer()

PAGE = "data.html"


@app.command()
def docs(
    out: Annotated[Path | None, typer.Option(help="The folder to write to; by default `docs` of the home.")] = None,
) -> None:
    """Write the documentation of the data to one file that needs no server; the API has it under `/docs/data`."""
    folder = out or settings().home.resolve() / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    with postgres.ensure_database():
        print(shutil.copyfile(documentation.page(), folder / PAGE))
