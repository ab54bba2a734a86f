"""The `santral` command. A sub-command's module is imported when it is called, so that help is quick."""

import errno
import importlib
import importlib.util
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli import home
from crm import errors

COMMANDS = {
    "up": (
        "cli.up",
        "Start everything: database, API, worker, pipeline, dashboards, demo.",
    ),
    "api": ("cli.api", "Serve the API."),
    "worker": ("cli.worker", "Work on jobs and follow the event log."),
    "dialer": ("cli.dialer", "Carry calls between the product and the telephone exchange."),
    "import": ("cli.imports", "Read leads from a CSV or Excel file."),
    "inbox": ("cli.inbox", "See what arrived from lead sources, work it off or ask for it again."),
    "demo": ("cli.demo", "Fill the demo tenant, or keep it alive."),
    "pipeline": ("cli.pipeline", "Run the pipeline to the published marts."),
    "quarantine": ("cli.quarantine", "See what the gates hold back from the numbers, and let it in."),
    "rates": ("cli.rates", "Bring in rates of exchange from central banks, or from a file."),
    "kpi": ("cli.kpi", "Ask for metrics."),
    "bi": ("cli.bi", "Give BI tools logins that read the numbers."),
    "docs": ("cli.docs", "Write what every number is made of to a page: models, columns, lineage."),
    "twin": ("cli.twin", "Simulate a dialling campaign before it is run."),
    "routing": ("cli.routing", "Replay how leads were given out, by other rules."),
    "migrate": ("cli.migrate", "Bring the database up to date and exit."),
}
"""Each sub-command's module, which has a Typer named `app`, and what it does in a sentence."""


class Deferred(TyperCommand):
    """A sub-command known by name and sentence; its module is imported when it is called."""

    def __init__(self, name: str, module: str, sentence: str) -> None:
        super().__init__(name, help=sentence)
        self.module = module

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Hand the command line over to the real command."""
        application: typer.Typer = importlib.import_module(self.module).app
        application._add_completion = False  # completion is no business of a sub-command
        return typer.main.get_command(application).make_context(info_name, args, parent, **extra)


def commands() -> TyperGroup:
    """Return the whole command with the sub-commands whose module is there."""
    present = [
        Deferred(name, module, sentence)
        for name, (module, sentence) in COMMANDS.items()
        if importlib.util.find_spec(module)
    ]
    sentence = "CRM and contact centre, a data platform at heart. Every command has its own --help."
    return TyperGroup(name="santral", commands=present, help=sentence, no_args_is_help=True)


def main() -> None:
    """Run the command of the command line. Expected trouble is one sentence on standard error and exit code 1."""
    try:
        home.settle()
        commands().main(prog_name="santral")
    except errors.CrmError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _fail("the disk is full: free some, or set SANTRAL_HOME to a folder on another one")


def _fail(sentence: str) -> None:
    print(f"santral: {sentence}", file=sys.stderr)
    sys.exit(1)
