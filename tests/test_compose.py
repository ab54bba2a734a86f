"""docker-compose.yml and the Dockerfile say what the code says: commands, options, ports, names of settings."""

import importlib.util
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

import bootstrap
from cli import cluster, dagster_home
from cli.main import COMMANDS
from crm.settings import Settings

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "santral:local"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


def is_known(name: str) -> bool:
    """Whether an environment variable is one that our code or Dagster's settings file reads."""
    pipeline = yaml.safe_load(dagster_home.SETTINGS.read_text())["storage"]["postgres"]["postgres_url"]["env"]
    return name in ("DATABASE_URL", pipeline) or name.removeprefix("SANTRAL_").lower() in Settings.model_fields


def value_of(command: list[str], flag: str) -> str | None:
    """The value after a flag (`-p 3000`, `--server.port=8501`)."""
    for place, word in enumerate(command):
        if word == flag:
            return command[place + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def container_port(service: dict[str, Any]) -> int:
    return int(service["ports"][0].split(":")[-1])


def test_has_every_process_of_the_product_and_the_optional_servers():
    always = {"migrate", "api", "worker", "pipeline", "dagster", "schedules", "dashboards"}
    assert set(OURS) == always | {"dialer", "exchange"}
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {*always, "postgres"}
    assert SERVICES["dialer"]["profiles"] == ["telephony", "rehearsal"]
    assert SERVICES["exchange"]["profiles"] == ["rehearsal"]
    assert SERVICES["asterisk"]["profiles"] == ["telephony"]
    assert SERVICES["rabbitmq"]["profiles"] == ["stream"]
    assert SERVICES["s3"]["profiles"] == ["s3"]


def test_orders_texts_as_the_embedded_server_does():
    assert SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split() == list(cluster.ORDER)


@pytest.mark.parametrize("name", OURS)
def test_runs_a_command_that_exists(name):
    program, *words = OURS[name]["command"]

    if program == "santral":
        module, _ = COMMANDS[words[0]]
        assert importlib.util.find_spec(module), f"{module} is missing"
    elif program == "python":
        assert words[0] == "-m"
        found = importlib.util.find_spec(words[1])
        assert found
        assert not found.submodule_search_locations or importlib.util.find_spec(f"{words[1]}.__main__")
    else:
        assert program in {script.name for script in entry_points(group="console_scripts")}


@pytest.mark.parametrize("name", ["pipeline", "dagster", "schedules", "dashboards"])
def test_uses_options_that_exist(name):
    program, *words = OURS[name]["command"]
    verbs = [words.pop(0), words.pop(0)] if words[0] == "-m" else []
    while words and not words[0].startswith("-") and "/" not in words[0]:
        verbs.append(words.pop(0))

    done = subprocess.run([BIN / program, *verbs, "--help"], capture_output=True, text=True, check=True)

    flags = [word.partition("=")[0] for word in words if word.startswith("-")]
    assert flags
    assert [flag for flag in flags if not re.search(rf"(?<![\w-]){re.escape(flag)}\b", done.stdout)] == []


def test_loads_code_and_screens_that_exist():
    module = value_of(OURS["pipeline"]["command"], "-m")
    assert module
    assert importlib.util.find_spec(module)
    assert (ROOT / OURS["dashboards"]["command"][2]).is_file()


def test_publishes_the_ports_the_processes_listen_on_and_on_loopback_only():
    assert container_port(SERVICES["api"]) == DEFAULTS["api_port"]
    assert container_port(SERVICES["dagster"]) == DEFAULTS["dagster_port"]
    assert container_port(SERVICES["dashboards"]) == DEFAULTS["dashboard_port"]
    assert value_of(SERVICES["dagster"]["command"], "-p") == str(DEFAULTS["dagster_port"])
    assert value_of(SERVICES["dashboards"]["command"], "--server.port") == str(DEFAULTS["dashboard_port"])
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_dagster_reaches_its_code_where_that_listens():
    port = value_of(SERVICES["pipeline"]["command"], "-p")
    for name in ("dagster", "schedules"):
        assert value_of(SERVICES[name]["command"], "--grpc-host") == "pipeline"
        assert value_of(SERVICES[name]["command"], "--grpc-port") == port


@pytest.mark.parametrize("name", OURS)
def test_sets_only_what_is_read(name):
    environment = OURS[name]["environment"]

    assert [variable for variable in environment if not is_known(variable)] == []
    Settings.model_validate(
        {variable.removeprefix("SANTRAL_").lower(): value for variable, value in environment.items()}
    )


def test_probes_addresses_that_exist():
    for name, path in {"api": "/readyz", "dashboards": "/_stcore/health"}.items():
        probe = OURS[name]["healthcheck"]["test"]
        assert f"http://127.0.0.1:{container_port(OURS[name])}{path}" in probe[-1]
        compile(probe[-1], name, "exec")


def test_depends_on_services_that_exist_and_pins_what_it_pulls():
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        assert ":" in service["image"], f"{name} runs whatever is newest"
        assert not service["image"].endswith(":latest")


def test_has_no_secret_of_its_own():
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable or "SECRET" in variable:
                assert re.fullmatch(r"\$\{\w+:(\?.*|-)\}", value), f"{variable} of {name} has a default"


def test_keeps_its_data_in_volumes_that_are_declared():
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_builds_one_image_from_the_lock_that_does_not_run_as_root():
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.M)
    commands = re.findall(r"uv sync (.*?)(?:\\|$)", DOCKERFILE, re.M)

    assert f"uv=={bootstrap.UV}" in DOCKERFILE
    assert users == ["santral"]
    assert commands
    assert all("--frozen --no-dev" in command for command in commands)
    for variable in re.findall(r"(SANTRAL_\w+)=", DOCKERFILE):
        assert is_known(variable)
    for source in re.findall(r"cp (\S+) ", DOCKERFILE):
        assert (ROOT / source).is_file()
    exposed = set(map(int, re.search(r"^EXPOSE (.*)$", DOCKERFILE, re.M)[1].split()))
    assert exposed == {DEFAULTS["api_port"], DEFAULTS["dashboard_port"], DEFAULTS["dagster_port"]}
