"""Tables of the command line on a narrow terminal."""

from __future__ import annotations

import pytest

from app.cli.sweep_table import print_groups

GROUP = {
    "dataset": "cora", "model": "gcn", "scheme": "msfp13", "synthetic": False, "n": 10, "failed": 0,
    "metric": "accuracy", "unit": "%", "test_mean": 81.5, "test_std": 0.4, "test_ci95": 0.3, "last_mean": 81.2,
    "last_std": 0.5, "average_bits": 5.5, "memory_density": 5.8, "arithmetic_density": 18.3,
    "density_scope": "training", "density_coverage": "quantized part", "group_id": "g1",
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["msfp13", "sdq[msfp12,msfp12,msfp13,msfp15]"])
def test_headings_and_cells_are_whole_on_eighty_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scheme: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_groups([GROUP | {"scheme": scheme}])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    words = ("dataset", "model", "scheme", "accuracy", "95 %", "last", "bits", "memory", "arithmetic", "densities of")
    cells = ("81.50 ± 0.40", "± 0.30", "81.20 ± 0.50", "5.50", "5.80×", "18.30×", "training,", "quantized")
    assert [text for text in (*words, *cells) if text not in printed] == []
    assert printed.count("cora") == 2, "each part says of what"


def test_a_table_that_fits_has_one_part(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    print_groups([GROUP])
    assert capsys.readouterr().out.count("cora") == 1
