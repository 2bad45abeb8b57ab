"""docker-compose.yml, Dockerfile and their neighbours agree with the program and keep our rules.

Docker is not needed: the file is checked against the parts of the compose specification we use.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from roadcall.cli import app
from roadcall.kafka_log import MAX_MESSAGE_BYTES
from roadcall.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
SCRIPT = (ROOT / "scripts" / "apache-kafka").read_text("utf-8")
OURS = {"migrate", "ingest", "worker", "dispatcher", "console"}
REQUIRED = re.compile(r"^\$\{[A-Z_]+:\?.+\}$")
VARIABLE = re.compile(r"\$\{([A-Z_]+)(:[?-])")

Duration = Annotated[str, StringConstraints(pattern=r"^\d+(s|m|h)$")]
Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9./-]+:\d+\.\d+\.\d+[a-z0-9.-]*$")]
LoopbackPort = Annotated[str, StringConstraints(pattern=r"^127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+$")]
Mount = Annotated[str, StringConstraints(pattern=r"^[a-z]+:/[a-z/]+$")]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Healthcheck(Part):
    test: Annotated[list[str], Field(min_length=2)]
    interval: Duration
    timeout: Duration
    retries: int
    start_period: Duration


class Dependency(Part):
    condition: Literal["service_healthy", "service_completed_successfully"]


class Limits(Part):
    cpus: str
    memory: Annotated[str, StringConstraints(pattern=r"^\d+[mg]$")]


class Resources(Part):
    limits: Limits


class Deploy(Part):
    resources: Resources
    replicas: int = 1


class Service(Part):
    image: Image
    build: Literal["."] | None = None
    restart: Literal["unless-stopped", "no"]
    command: list[str] = []
    environment: dict[str, str | None]
    networks: list[str]
    depends_on: dict[str, Dependency] = {}
    healthcheck: Healthcheck | None = None
    deploy: Deploy
    ports: list[LoopbackPort] = []
    volumes: list[Mount] = []
    tmpfs: list[str] = []
    read_only: bool = False
    cap_drop: list[str] = []
    security_opt: Annotated[list[Literal["no-new-privileges:true"]], Field(min_length=1)]
    stop_grace_period: Duration
    shm_size: str | None = None


class Network(Part):
    internal: bool = False


Empty = Annotated[dict[str, str], BeforeValidator(lambda v: v or {}), Field(max_length=0)]


class Compose(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    services: dict[str, Service]
    networks: dict[str, Network]
    volumes: dict[str, Empty]


@pytest.fixture(scope="module")
def compose() -> Compose:
    return Compose.model_validate(yaml.safe_load(COMPOSE))


def test_names_that_are_used_exist(compose: Compose) -> None:
    assert set(compose.services) == OURS | {"kafka", "timescaledb"}
    for service in compose.services.values():
        assert set(service.networks) <= set(compose.networks)
        assert {mount.split(":")[0] for mount in service.volumes} <= set(compose.volumes)
        for name, dependency in service.depends_on.items():
            target = compose.services[name]
            if dependency.condition == "service_healthy":
                assert target.healthcheck is not None, name
            else:
                assert target.restart == "no", name


def test_no_secret_has_a_default(compose: Compose) -> None:
    for service in compose.services.values():
        for name, value in service.environment.items():
            if re.search("PASSWORD|TOKEN|SECRET", name):
                assert value is None or REQUIRED.match(value), name
    example = (ROOT / ".env.example").read_text("utf-8")
    for name in re.findall(r"^#?(\w*(?:PASSWORD|TOKEN|SECRET)\w*)=", example, re.MULTILINE):
        assert re.search(rf"^#?{name}=$", example, re.MULTILINE), name


def test_every_variable_is_explained_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    for name, kind in VARIABLE.findall(COMPOSE):
        line = re.search(rf"^(#?){name}=", example, re.MULTILINE)
        assert line, name
        assert (line[1] == "") == (kind == ":?"), name


def test_broker_and_database_are_not_published_and_have_a_place_for_their_records(
    compose: Compose,
) -> None:
    for name in ("kafka", "timescaledb"):
        service = compose.services[name]
        assert service.ports == []
        assert service.networks == ["backend"]
        assert len(service.volumes) == 1
    assert compose.networks["backend"].internal
    assert compose.services["timescaledb"].volumes == ["timescaledb:/var/lib/postgresql"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_processes_run_real_commands_with_settings_the_program_knows(
    compose: Compose, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = compose.services[name]
    commands = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    assert service.command == [name]
    assert name in commands
    assert service.read_only
    assert service.cap_drop == ["ALL"]
    for key, value in service.environment.items():
        if key.startswith("ROADCALL_"):
            assert key.removeprefix("ROADCALL_").lower() in Settings.model_fields, key
            if value is not None:
                monkeypatch.setenv(key, "secret" if REQUIRED.match(value) else value)
    settings = Settings()
    assert settings.kafka == "kafka:9092"
    assert settings.timescale is True
    if service.ports:
        assert service.ports[0].endswith(f":{settings.port}")


def test_kafka_is_one_version_and_takes_our_largest_record(compose: Compose) -> None:
    version = re.search(r'^KAFKA = "(.+)"$', SCRIPT, re.MULTILINE)
    size = re.search(r"^MAX_MESSAGE_BYTES = ([\d_]+)$", SCRIPT, re.MULTILINE)
    assert version
    assert size
    kafka = compose.services["kafka"]
    assert kafka.image == f"apache/kafka:{version[1]}"
    assert int(size[1]) == MAX_MESSAGE_BYTES
    assert kafka.environment["KAFKA_MESSAGE_MAX_BYTES"] == str(MAX_MESSAGE_BYTES)


def test_the_image_holds_the_packages_and_runs_without_privileges() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = {name.split(".")[0] for name in project["tool"]["setuptools"]["packages"]}
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignore[1] == "*"
    assert {line[1:-1] for line in ignore if re.match(r"^!\w+/$", line)} == packages
    recipe = (ROOT / "Dockerfile").read_text("utf-8")
    last = recipe[recipe.rindex("FROM ") :]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE)
    assert 'ENTRYPOINT ["roadcall"]' in last
    assert "--require-hashes" in recipe
    assert "--no-index" in recipe
