"""Dagster's home below SANTRAL_HOME: its settings, and where its web server finds the pipeline's code."""

import shutil
from pathlib import Path

import yaml

from crm.settings import Settings

SETTINGS = Path(__file__).with_name("dagster.yaml")


def prepare(home: Path, config: Settings) -> dict[str, str]:
    """Make Dagster's home and return the environment its processes need (and `santral pipeline run`)."""
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SETTINGS, folder / "dagster.yaml")
    url = config.owner_url(config.dagster_database, driver="psycopg2")
    return {
        "DAGSTER_HOME": str(folder),
        "DAGSTER_DATABASE_URL": url.render_as_string(hide_password=False),
    }


def workspace(home: Path) -> Path:
    """Return the file that says where the code server listens."""
    return home / "dagster" / "workspace.yaml"


def write_workspace(home: Path, host: str, port: int) -> None:
    """Write where the code server listens."""
    server = {"grpc_server": {"host": host, "port": port, "location_name": "santral"}}
    workspace(home).write_text(yaml.safe_dump({"load_from": [server]}))
