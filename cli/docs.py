"""`santral docs`: what every number is made of, as one page to open in a browser: models, columns, lineage, metrics."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli import postgres
from crm import errors
from crm.settings import settings
from kpis import project

app = typer.Typer()

PAGE = "data.html"


class NoPage(errors.Unavailable):
    """The page could not be made."""

    code = "docs.failed"


@app.command()
def docs(
    out: Annotated[Path | None, typer.Option(help="The folder to write to; by default `docs` of the home.")] = None,
) -> None:
    """Write the documentation of the data to one file that needs no server. It holds definitions and no data."""
    with postgres.ensure_database():
        page = make(out or settings().home.resolve() / "docs")
    print(page)


def make(folder: Path) -> Path:
    """Write the page into a folder and return it.

    :raises NoPage: when dbt could not make it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as making:
        shutil.copyfile(project.target() / "manifest.json", Path(making) / "manifest.json")
        # Without the catalogue: it would tell sizes of tables, and ask the database for them.
        done = subprocess.run(
            [project.executable(), "docs", "generate", "--static", "--empty-catalog", "--no-compile", "--quiet",
             "--target-path", making, "--log-path", making],
            cwd=project.FOLDER, env={**os.environ, **project.environment()},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        made = Path(making) / "static_index.html"
        if done.returncode or not made.exists():
            raise NoPage(f"dbt did not write the page: {(done.stdout + done.stderr).strip()[-500:]}")
        page = folder / PAGE
        page.write_bytes(made.read_bytes())
    return page
