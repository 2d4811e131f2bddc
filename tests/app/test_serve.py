"""The dashboard's server: what it refuses before it starts, and what it tells Streamlit."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from app.serve import PARTS, check, command, host_names, write_login
from engine.errors import InputError
from engine.settings import Settings

LOGIN = {
    "auth": "oidc",
    "runners": "ada@example.org",
    "oidc_metadata_url": "https://accounts.example.org/.well-known/openid-configuration",
    "oidc_client_id": "bitfront",
    "oidc_client_secret": 'a "quoted" \\ secret',
    "public_url": "https://bitfront.example.org/",
}


def login(settings: Settings, **changes: str | None) -> Settings:
    return settings.model_copy(update=LOGIN | changes)


def test_a_whole_login_may_listen_anywhere(settings: Settings) -> None:
    check(login(settings), "0.0.0.0")
    check(login(settings, public_url="http://localhost:8501"), "127.0.0.1")


@pytest.mark.parametrize(("name", "field"), PARTS.items())
def test_a_login_that_is_incomplete_is_refused_by_name(settings: Settings, name: str, field: str) -> None:
    with pytest.raises(InputError) as refusal:
        check(login(settings, **{field: None}), "127.0.0.1")
    assert str(refusal.value) == f"BITFRONT_AUTH=oidc needs {', '.join(PARTS)}: set {name}"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"public_url": "bitfront.example.org"},
            "BITFRONT_PUBLIC_URL = 'bitfront.example.org' is no address: give one such as https://bitfront.example.org",
        ),
        (
            {"public_url": "http://bitfront.example.org"},
            "BITFRONT_PUBLIC_URL = 'http://bitfront.example.org' is not allowed: "
            "a login crosses the network by https only",
        ),
        (
            {"oidc_metadata_url": "http://accounts.example.org/x"},
            "BITFRONT_OIDC_METADATA_URL = 'http://accounts.example.org/x' is not allowed: "
            "a login crosses the network by https only",
        ),
        (
            {"runners": " , "},
            "BITFRONT_AUTH=oidc lets nobody in: name people in BITFRONT_RUNNERS (launch, cancel, upload) or "
            "BITFRONT_VIEWERS (look and share), such as ada@example.org,*@lab.example.org",
        ),
    ],
)
def test_a_login_that_cannot_work_is_refused(settings: Settings, changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        check(login(settings, **changes), "127.0.0.1")
    assert str(refusal.value) == sentence


def test_streamlit_reads_the_login_from_a_private_file_whose_cookie_key_stays(settings: Settings) -> None:
    path = write_login(login(settings))
    assert path.stat().st_mode & 0o777 == 0o600
    first = tomllib.loads(path.read_text())["auth"]
    assert first["redirect_uri"] == "https://bitfront.example.org/oauth2callback"
    assert first["client_secret"] == LOGIN["oidc_client_secret"]
    assert len(first["cookie_secret"]) >= 64
    assert tomllib.loads(write_login(login(settings)).read_text())["auth"] == first


def test_a_showcase_takes_next_to_no_uploads(settings: Settings) -> None:
    assert "--server.maxUploadSize=1" in command(settings.model_copy(update={"auth": "readonly"}), "127.0.0.1", 1)
    assert not any("maxUploadSize" in part for part in command(settings, "127.0.0.1", 1))


def test_without_roles_the_dashboard_answers_to_names_of_loopback_only(settings: Settings) -> None:
    loopback = ["localhost", "127.0.0.1", "::1"]
    assert host_names(settings, "127.0.0.1") == loopback
    assert host_names(settings, "[::1]") == loopback
    assert host_names(settings, "127.0.0.5") == [*loopback, "127.0.0.5"]
    proxied = settings.model_copy(update={"public_url": "https://bitfront.example.org/here"})
    assert host_names(proxied, "127.0.0.1") == [*loopback, "bitfront.example.org"]
    assert host_names(settings.model_copy(update={"open_to_network": True}), "0.0.0.0") == ["*"]
    assert host_names(login(settings), "0.0.0.0") == ["*"]
    assert command(settings, "127.0.0.1", 1)[-3:] == [f"--server.allowedHosts={name}" for name in loopback]


@pytest.mark.parametrize(
    "line", [["-m", "app.serve"], ["-c", "from app.cli import main; main()", "up", "--workers", "0"]]
)
def test_an_open_address_is_refused_in_a_sentence(line: list[str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, *line, "--host", "0.0.0.0"],
        env=os.environ | {"BITFRONT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.strip().removeprefix("bitfront: ") == (
        "the address 0.0.0.0 is not allowed with BITFRONT_AUTH=off: whoever reaches it could do everything; "
        "set BITFRONT_AUTH to oidc or readonly, or BITFRONT_OPEN_TO_NETWORK=true to allow it"
    )
    assert not (tmp_path / "home" / "run" / "endpoints.json").exists()
