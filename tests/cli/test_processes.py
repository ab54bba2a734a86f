"""How the processes of a running Santral are started."""

from cli import processes
from crm.settings import Settings
from tests.conftest import NOW


def test_dagster_is_for_this_machine_alone_wherever_the_others_listen() -> None:
    everywhere = Settings(host="0.0.0.0")

    listening = {
        part.name: part.command for part in processes.parts(everywhere, 4000, since=NOW, live=False) if part.check
    }

    dagster = listening["dagster"]
    assert dagster[dagster.index("-h") + 1] == "127.0.0.1"
    assert "--server.address=0.0.0.0" in listening["dashboards"]
