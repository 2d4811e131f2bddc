"""The repository's own promises: import rules, documented settings, pinned dependencies, the compose file."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import yaml

from engine.settings import Settings
from tests.browser.gallery import shots
from tests.conftest import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_the_import_rules_hold():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_documents_every_setting():
    readme = (ROOT / "README.md").read_text()
    names = [field.validation_alias for field in Settings.model_fields.values()]
    assert [name for name in names if f"| `{name}` |" not in readme] == []


def test_the_readme_names_only_targets_and_files_that_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`?make ([a-z-]+)", readme))
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
    files = re.findall(r"(?:studies|docs|app)/[\w./-]+\.\w+", readme)
    assert files
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_dependency_is_pinned_without_addresses():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pins = (ROOT / "constraints.txt").read_text()
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(r"^([\w.-]+)==", pins, re.MULTILINE)}
    wanted = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;, ]", entry)[0]).lower() for entry in declared}
    assert wanted - pinned == set()
    assert "://" not in pins
    assert "duckdb-extension" not in pins


def test_only_the_dashboards_port_is_published_and_on_this_host():
    ports = {name: service.get("ports") for name, service in COMPOSE["services"].items() if service.get("ports")}
    assert ports == {"app": ["${BITFRONT_BIND:-127.0.0.1}:${BITFRONT_PORT:-8501}:8501"]}


def test_the_compose_file_has_every_service_with_its_health():
    services = COMPOSE["services"]
    assert set(services) == {"redis", "store", "dispatcher", "app", "worker", "worker-gpu"}
    assert [name for name, service in services.items() if "healthcheck" not in service] == []
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert "container_name" not in services["worker"], "a name of its own would forbid --scale"
    for name, service in services.items():
        used = {volume.split(":")[0] for volume in service["volumes"]}
        assert used <= set(COMPOSE["volumes"]), name


@pytest.mark.parametrize("service", ["store", "dispatcher", "worker", "worker-gpu"])
def test_a_services_command_line_is_understood(service: str):
    """The program knows each option that the compose file gives it."""
    command = COMPOSE["services"][service]["command"]
    assert command[0] == "python"
    done = subprocess.run([sys.executable, *command[1:], "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    options = [word for word in command if word.startswith("--")]
    assert [option for option in options if option not in done.stdout] == []


def test_the_image_holds_what_the_services_need():
    dockerfile, ignored = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text()
    for part in ("app", "engine", "store", "tasks", ".streamlit", "constraints.txt", "pyproject.toml", "README.md"):
        assert re.search(rf"^COPY .*{re.escape(part)}", dockerfile, re.MULTILINE), part
        assert f"!{part}\n" in ignored, part


def test_the_gallery_is_whole_and_small():
    pictures = sorted((ROOT / "docs" / "gallery").iterdir())
    assert [path.suffix for path in pictures] == [".webp"] * len(pictures)
    assert sum(path.stat().st_size for path in pictures) < 1.5e6
    named = set(re.findall(r"docs/gallery/([\w-]+\.webp)", (ROOT / "README.md").read_text()))
    assert named == {path.name for path in pictures}
    assert {f"{shot.name}-{look}.webp" for shot in shots([]) for look in ("light", "dark")} <= named
