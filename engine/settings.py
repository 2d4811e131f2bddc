"""Where things are on this machine: one typed place for every environment variable.

The engine uses the three paths; the addresses are read by the packages that talk over them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def platform_home() -> Path:
    """The platform's folder for a user's application data."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "bitfront"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "bitfront"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "bitfront"


def read_secret(path: Path) -> str | None:
    """What a file of one secret holds; None where it is absent, empty or may not be read."""
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def write_secret(path: Path, text: str) -> Path:
    """Write a file that only this user reads, whole or not at all; gives its path. Raises OSError."""
    part = path.with_name(f"{path.name}.{os.getpid()}.{time.monotonic_ns()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
    return path


class Settings(BaseSettings):
    """Every environment variable that Bitfront reads."""

    # The prefix keeps the fields' own names (`home`, `data`) from being read as HOME and DATA.
    model_config = SettingsConfigDict(populate_by_name=True, env_ignore_empty=True, env_prefix="BITFRONT_")

    home: Path = Field(default_factory=platform_home, validation_alias="BITFRONT_HOME")
    """State: the database, run records, artifacts, logs."""
    data: Path | None = Field(default=None, validation_alias="BITFRONT_DATA")
    """Dataset root in PyG's layout; default: `data` inside the home."""
    mirror: str | None = Field(default=None, validation_alias="BITFRONT_MIRROR")
    """Folder or URL of dataset archives with an index.json, tried before the public download."""
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    """Redis or Valkey server; unset: the one that `bitfront up` starts."""
    store_url: str | None = Field(default=None, validation_alias="BITFRONT_STORE_URL")
    """Address of the store service; unset: the one that `bitfront up` starts."""
    store_token: str | None = Field(default=None, validation_alias="BITFRONT_STORE_TOKEN", repr=False)
    """Token that writing to the store needs; unset: the one kept in the home."""
    viewer_token: str | None = Field(default=None, validation_alias="BITFRONT_STORE_VIEWER_TOKEN", repr=False)
    """Token that may only read the store, where reading needs one; unset: the one kept in the home."""
    threads: Annotated[int, Field(ge=1)] = Field(default=1, validation_alias="BITFRONT_THREADS")
    """Processor threads of a run; part of what makes its numbers repeat. Raise it for large graphs."""
    compiled: bool = Field(default=True, validation_alias="BITFRONT_COMPILED")
    """Whether epochs run compiled where they can (engine.compiled); their numbers differ by the order of sums."""

    checkpoint_seconds: Annotated[float, Field(ge=0)] = Field(
        default=20, validation_alias="BITFRONT_CHECKPOINT_SECONDS"
    )
    """How often a worker keeps how far a run came, so that another can go on from there."""
    run_seconds: Annotated[float, Field(gt=0)] | None = Field(default=None, validation_alias="BITFRONT_RUN_SECONDS")
    """A run that trains for longer on a worker fails with that reason; unset: as long as it takes."""
    run_memory_gb: Annotated[float, Field(gt=0)] | None = Field(default=None, validation_alias="BITFRONT_RUN_MEMORY_GB")
    """Resident memory of a worker's training process, 10^9 bytes, above which its run fails with that reason."""
    attempts: Annotated[int, Field(ge=1)] = Field(default=3, validation_alias="BITFRONT_ATTEMPTS")
    """How many workers a run may lose before it fails: it would take every worker down."""
    spool_mb: Annotated[float, Field(gt=0)] = Field(default=64, validation_alias="BITFRONT_SPOOL_MB")
    """What a worker keeps of a run's events, 10^6 bytes, while Redis does not take them."""

    auth: Literal["off", "oidc", "readonly"] = Field(default="off", validation_alias="BITFRONT_AUTH")
    """Who may use the dashboard and the store: off, whoever reaches this machine's loopback address; oidc, who signs
    in and is on a list; readonly, everybody, who may look only."""
    runners: str = Field(default="", validation_alias="BITFRONT_RUNNERS")
    """With oidc: e-mail addresses that may launch, cancel and upload, set apart by commas; ``*@example.org``: all of
    a domain. Read when a service starts."""
    viewers: str = Field(default="", validation_alias="BITFRONT_VIEWERS")
    """With oidc: addresses that may look and share."""
    oidc_metadata_url: str | None = Field(default=None, validation_alias="BITFRONT_OIDC_METADATA_URL")
    """The identity provider's ``…/.well-known/openid-configuration``."""
    oidc_client_id: str | None = Field(default=None, validation_alias="BITFRONT_OIDC_CLIENT_ID")
    oidc_client_secret: str | None = Field(default=None, validation_alias="BITFRONT_OIDC_CLIENT_SECRET", repr=False)
    public_url: str | None = Field(default=None, validation_alias="BITFRONT_PUBLIC_URL")
    """The dashboard's address as browsers know it; the provider sends people back to ``<it>/oauth2callback``."""
    open_to_network: bool = Field(default=False, validation_alias="BITFRONT_OPEN_TO_NETWORK")
    """Let ``auth = off`` listen on an address that other machines reach: anyone there may do everything."""
    published: str | None = Field(default=None, validation_alias="BITFRONT_PUBLISHED")
    """In a container: the host's address at which the port is published. It decides whether other machines reach
    it, instead of the address inside."""
    most_queued: Annotated[int, Field(ge=1)] = Field(default=20_000, validation_alias="BITFRONT_MOST_QUEUED")
    """A launch that would make more runs wait than this is refused."""

    @property
    def artifacts(self) -> Path:
        """Files of runs (checkpoints), and uploads."""
        return self.home.expanduser() / "artifacts"

    @property
    def models(self) -> Path:
        """Trained models that runs start from, named by their content."""
        return self.home.expanduser() / "models"

    @property
    def costs(self) -> Path:
        """A user's own cost tables (engine.costs), TOML files."""
        return self.home.expanduser() / "costs"

    @property
    def data_root(self) -> Path:
        return (self.data or self.home / "data").expanduser()

    @property
    def outbox(self) -> Path:
        """Events of runs trained without a store, ingested at its next start."""
        return self.home / "outbox"

    @property
    def spool(self) -> Path:
        """Events that workers keep for a Redis that does not answer."""
        return self.home.expanduser() / "spool"

    @property
    def records(self) -> Path:
        """One JSON file a finished run, from which the database can be rebuilt."""
        return self.home / "runs"

    @property
    def saved_views(self) -> Path:
        """One JSON file a saved view, as the records are of runs."""
        return self.home / "views"

    @property
    def sweep_records(self) -> Path:
        """One JSON file a sweep: which run stands for which of its cells."""
        return self.home / "sweeps"

    @property
    def search_records(self) -> Path:
        """One JSON file a search: what it asked for and found."""
        return self.home / "searches"

    @property
    def database(self) -> Path:
        return self.home / "bitfront.duckdb"

    @property
    def endpoints(self) -> Path:
        """Addresses of the services that `bitfront up` runs, as JSON, present while they run."""
        return self.home / "run" / "endpoints.json"

    @property
    def store_token_file(self) -> Path:
        """Where the home keeps the store's token, readable by its owner only."""
        return self.home.expanduser() / "store.token"

    def read_store_token(self) -> str | None:
        """The store's token: these settings', else the home's; None where there is none (or it may not be read)."""
        return self.store_token or read_secret(self.store_token_file)

    def read_endpoints(self) -> dict[str, str]:
        """The addresses in ``endpoints`` ({"store": …, "redis": …, "dashboard": …}); empty where none run."""
        try:
            found = json.loads(self.endpoints.read_text())
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in found.items()}
