"""compose.yaml and Dockerfile contain no secret, and open nothing that can stay closed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
TEXT = (REPOSITORY / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_there_is_no_secret_nor_a_default_one() -> None:
    """Secrets come from files that git ignores: no variable and no address contains one."""
    ignored = (REPOSITORY / ".gitignore").read_text().splitlines()
    assert {"/secrets/", "/.env"} <= set(ignored)
    assert COMPOSE["secrets"]
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": "./secrets/" + name}
    variables = set(re.findall(r"\$\{(\w+)", TEXT))
    assert variables == {"HYPERHIVE_USER", "HYPERHIVE_BIND", "HYPERHIVE_STUDY"}
    assert re.search(r"://[^/\s]*@", TEXT) is None


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_given_its_secrets_as_files(name: str) -> None:
    """A variable names a mounted file; a container has only its own login."""
    service = SERVICES[name]
    environment = service.get("environment", {})
    for variable, value in environment.items():
        if variable.endswith("_FILE"):
            assert value.rpartition("/")[2] in service["secrets"]
        else:
            assert (variable, value) in (
                ("MONGO_INITDB_ROOT_USERNAME", "admin"),
                ("HYPERHIVE_HOST", "${HYPERHIVE_BIND:-127.0.0.1}:27017"),
            )
    own = {"init": {"admin.uri", "coordinator.uri", "worker.uri", "viewer.uri"}}
    own.update(admin={"admin.uri"})
    own.update(coordinator={"coordinator.uri"}, worker={"worker.uri"}, dashboard={"viewer.uri"})
    own.update(mongo={"admin.password", "mongo.pem"})
    assert set(service["secrets"]) == own[name] | {"ca.pem"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_few_rights(name: str) -> None:
    """It runs as the owner of the secrets, without capabilities, and is published locally only."""
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    for published in service.get("ports", []):
        assert published.startswith("${HYPERHIVE_BIND:-127.0.0.1}:")
    if name != "mongo":  # its image becomes the user mongodb
        assert service["user"] == "${HYPERHIVE_USER:?run `make secrets certs` first}"
        assert "cap_add" not in service


def test_a_service_that_prints_logins_has_no_log() -> None:
    """An engine keeps a container's output, for as long as its log driver does."""
    assert SERVICES["admin"]["logging"] == {"driver": "none"}
    assert SERVICES["admin"]["profiles"]  # `up` does not start it


def test_versions_are_those_that_were_tested() -> None:
    """The image's PyTorch is constraints.txt's; mongod is a patch of 8.0 without CVE-2025-14847."""
    torch = re.search(r"^torch==([\d.]+)", (REPOSITORY / "constraints.txt").read_text(), re.M)
    assert torch is not None
    assert f"ARG TORCH_VERSION={torch[1]}\n" in (REPOSITORY / "Dockerfile").read_text()
    patch = re.fullmatch(r"mongo:8\.0\.(\d+)", SERVICES["mongo"]["image"])
    assert patch is not None
    assert int(patch[1]) >= 17


def test_the_images_get_every_package_and_no_secret() -> None:
    """The build's context has the packages that pyproject.toml lists, and no secrets."""
    allowed = (REPOSITORY / ".dockerignore").read_text().splitlines()
    setuptools = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = setuptools["package-dir"].values()
    assert "*" in allowed
    assert {"!" + folder for folder in folders} <= set(allowed)
    assert not {"!secrets", "!.env"} & set(allowed)
