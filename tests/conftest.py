"""What every test shares: an empty home, the mirror of real graphs, and CI's rule on skipped tests."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hypothesis
import pytest

from engine import recipe_files
from engine.settings import Settings

ROOT = Path(__file__).parent.parent
COMPILED = Path(tempfile.gettempdir()) / f"bitfront-tests-{os.getuid()}" / "numba"
"""Compiled kernels that all tests share, those in other processes too: compiling them in each new home would take most
of the time."""
os.environ.setdefault("NUMBA_CACHE_DIR", str(COMPILED))

# Fixed examples, and no deadline: kernels compile in the first one, and the machines are noisy.
hypothesis.settings.register_profile("bitfront", deadline=None, derandomize=True)
hypothesis.settings.load_profile("bitfront")


def find_mirror() -> Path | None:
    """The folder of real graphs: BITFRONT_MIRROR, or shared/data beside the repository."""
    for place in (os.environ.get("BITFRONT_MIRROR"), str(ROOT.parent / "shared" / "data")):
        if place and (Path(place) / "index.json").is_file():
            return Path(place).resolve()
    return None


@pytest.fixture(scope="session")
def mirror() -> Path:
    found = find_mirror()
    if found is None:
        pytest.skip("the real graphs are absent: set BITFRONT_MIRROR to the folder of their archives")
    return found


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dataset root for the whole session, its parallel processes too, so that each archive is unpacked once."""
    session = tmp_path_factory.getbasetemp()
    root = (session.parent if os.environ.get("PYTEST_XDIST_WORKER") else session) / "data"
    root.mkdir(exist_ok=True)
    return root


@pytest.fixture
def settings(tmp_path: Path, data_root: Path) -> Settings:
    """An empty home; real graphs come from the mirror where it is present."""
    found = find_mirror()
    return Settings(home=tmp_path / "home", data=data_root, mirror=str(found) if found else None)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the state or the servers of the person who runs it."""
    for name in ("REDIS_URL", "BITFRONT_STORE_URL", "BITFRONT_STORE_TOKEN", "BITFRONT_DATA", "BITFRONT_AUTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BITFRONT_HOME", str(tmp_path_factory.getbasetemp() / "unused-home"))


@pytest.fixture(autouse=True)
def _files_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard's pages, run inside a test, forbid files by path for the rest of their process."""
    monkeypatch.setattr(recipe_files, "allowed", True)


LONGEST_FIRST = ("system", "tasks", "browser", "app", "store")
"""Folders whose files take longest: begun last, one of them would keep one process busy while the other waits."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first; the order within a file, and within a folder, stays."""

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=rank)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test fails the job, unless it names CUDA."""
    if not os.environ.get("BITFRONT_CI") or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None
    skipped = [report for report in reporter.stats.get("skipped", []) if "cuda" not in report.nodeid.lower()]
    if skipped:
        reporter.write_line(f"in CI no test may be skipped: {', '.join(report.nodeid for report in skipped)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
