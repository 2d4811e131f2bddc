"""Cost tables: what a multiply-accumulate and a byte cost, by format, as data.

A table is a TOML file: of this folder, or a user's own in ``BITFRONT_HOME/costs/``. Its name is the file's.

    title, source      for people; figures that were not read in their source say "recalled" there
    kind               "area", "energy" or "device"
    unit               of its values: what a user's chart says
    accumulator_bits   width of the accumulators
    byte               energy of a byte that is read or written
    peak, bandwidth    of a device: fp32 multiply-accumulates a second, bytes a second
    [mac.<family>]     bits an element = value; families: int, msfp (mx too), float
    [[pair]]           a, b (names of formats), value: where mixed operands do not cost what the wider one costs

A value of kind "area" is a density (how many fit where one of fp32 does), of kind "energy" what one costs. A table
without ``mac`` takes the published densities.
"""

from __future__ import annotations

import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from engine.catalogue import unknown
from engine.errors import InputError
from engine.formats.base import Density, Format, log_linear
from engine.settings import Settings

DEFAULT = "published"
KINDS = ("area", "energy", "device")
JOULES = {"fJ": 1e-15, "pJ": 1e-12, "nJ": 1e-9, "J": 1.0}
"""Units of energy, in joules."""
FAMILIES = ("int", "msfp", "float")

_HERE = Path(__file__).parent
_NUMBERS = ("accumulator_bits", "byte", "peak", "bandwidth")
_TEXTS = ("title", "source", "kind", "unit")


@dataclass(frozen=True)
class CostTable:
    """What work costs; ``density`` is relative to fp32, whatever the table's values are."""

    name: str
    title: str
    source: str
    kind: Literal["area", "energy", "device"]
    unit: str = ""
    mac: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    """Family → bits an element → value."""
    pairs: Mapping[frozenset[str], float] = field(default_factory=dict)
    """Values of mixed operands, by the formats' names."""
    byte: float | None = None
    """Energy of a byte read or written, in ``unit``."""
    peak: float | None = None
    """fp32 multiply-accumulates a second."""
    bandwidth: float | None = None
    """Bytes a second."""
    accumulator_bits: int | None = None

    @property
    def joules(self) -> float:
        """One of the table's units of energy, in joules."""
        return JOULES[self.unit]

    @property
    def recalled(self) -> bool:
        """Whether its figures were not read in their source."""
        return "recalled" in self.source

    def value(self, format: Format, partner: Format | None = None) -> Density | None:
        """The table's value of a multiply-accumulate of two operands; None where its family is not in the table.

        Mixed operands cost what the wider one costs, where the table has no value for the pair.
        """
        other = format if partner is None else partner
        paired = self.pairs.get(frozenset((format.name, other.name)))
        if paired is not None:
            return Density(paired, "published")
        wider = max(format, other, key=lambda each: each.bits)
        points = self.mac.get(wider.cost_family)
        if points is None:
            return None
        found = log_linear(wider.bits, points)
        return Density(found.value, wider.density_label(found.label))

    def density(self, format: Format, partner: Format | None = None) -> Density | None:
        """Multiply-accumulates for what one of fp32 costs; None where the table does not know the format."""
        found = self.value(format, partner)
        if found is None or self.kind != "energy":
            return found
        whole = self.mac["float"][32.0]
        return Density(whole / found.value, found.label)

    def energy(self, format: Format, partner: Format | None = None) -> float | None:
        """What a multiply-accumulate takes, in ``unit``; None where this is no table of energy, or lacks the format."""
        found = self.value(format, partner) if self.kind == "energy" else None
        return None if found is None else found.value


@cache
def default_table() -> CostTable:
    """The published densities."""
    return _read(_HERE / f"{DEFAULT}.toml")


def table_files(settings: Settings | None = None) -> dict[str, Path]:
    """Every table's file by its name: this folder's, then the user's own; a name of ours stays ours."""
    own = (settings or Settings()).costs
    mine = sorted(own.glob("*.toml")) if own.is_dir() else []
    return {path.stem: path for path in [*mine, *sorted(_HERE.glob("*.toml"))]}


def machine_file(settings: Settings) -> Path:
    """Where this host's own table is kept, once it was measured (engine.roofline_machine)."""
    host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname()).strip("-") or "host"
    return settings.costs / f"machine-{host}.toml"


def list_devices(settings: Settings) -> list[CostTable]:
    """The tables that name a device's peak and bandwidth, this machine first."""
    here = machine_file(settings).stem
    devices = [table for table in list_tables(settings)[0] if table.peak and table.bandwidth]
    return sorted(devices, key=lambda table: table.name != here)


def load_table(name: str = DEFAULT, settings: Settings | None = None) -> CostTable:
    """The cost table of this name. Raises InputError where there is none, or its file does not fit."""
    if name == DEFAULT:
        return default_table()
    files = table_files(settings)
    if name not in files:
        raise unknown("cost table", name, sorted(files))
    return _read(files[name])


def list_tables(settings: Settings | None = None) -> tuple[list[CostTable], list[str]]:
    """Every table, the default first, and a sentence for each file that does not fit."""
    tables: list[CostTable] = []
    faults: list[str] = []
    for name in table_files(settings):
        try:
            tables.append(load_table(name, settings))
        except InputError as error:
            faults.append(str(error))
    return sorted(tables, key=lambda table: (table.name != DEFAULT, KINDS.index(table.kind), table.name)), faults


def _read(path: Path) -> CostTable:
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the cost table {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the cost table {path} is not TOML: {error}") from error
    return make_table(path.stem, raw, f"the cost table {path}")


def make_table(name: str, raw: Mapping[str, Any], where: str) -> CostTable:
    """A table from its values; ``where`` begins each error. Raises InputError."""
    allowed = (*_TEXTS, *_NUMBERS, "mac", "pair")
    for key in raw:
        if key not in allowed:
            raise InputError(f"{where} has the unknown key {key!r}: allowed are {', '.join(allowed)}")
    texts = {key: raw.get(key, "") for key in _TEXTS}
    for key, value in texts.items():
        if not isinstance(value, str) or (key in ("title", "source") and not value.strip()):
            raise InputError(f"{where} needs a {key} as text" + (f", not {value!r}" if key in raw and value else ""))
    if texts["kind"] not in KINDS:
        raise InputError(f"{where}: kind is one of {', '.join(KINDS)}, not {texts['kind']!r}")
    if texts["kind"] == "energy" and texts["unit"] not in JOULES:
        raise InputError(f"{where}: the unit of energies is one of {', '.join(JOULES)}, not {texts['unit']!r}")
    numbers = {key: _positive(raw[key], f"{where}: {key}") for key in _NUMBERS if key in raw}
    kind = texts["kind"]
    if kind == "device" and not {"peak", "bandwidth"} <= numbers.keys():
        raise InputError(f"{where}: a device needs peak (fp32 multiply-accumulates a second) and bandwidth (bytes/s)")
    mac = _families(raw.get("mac", {}), where)
    if kind == "energy" and 32.0 not in mac.get("float", {}):
        raise InputError(f"{where}: energy is compared with fp32's, so [mac.float] needs 32 = …")
    if not mac and kind != "energy":
        mac = {family: dict(points) for family, points in default_table().mac.items()}
    # Densities are relative to fp32, which every ledger may hold.
    if kind != "energy" and mac.setdefault("float", {}).setdefault(32.0, 1.0) != 1.0:
        raise InputError(f"{where}: densities are relative to fp32, so 32 of [mac.float] is 1 where it is given")
    accumulator = numbers.get("accumulator_bits")
    return CostTable(
        name=name,
        title=texts["title"],
        source=texts["source"],
        kind=kind,
        unit=texts["unit"],
        mac=mac,
        pairs=_pairs(raw.get("pair", []), where),
        byte=numbers.get("byte"),
        peak=numbers.get("peak"),
        bandwidth=numbers.get("bandwidth"),
        accumulator_bits=None if accumulator is None else int(accumulator),
    )


def _positive(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InputError(f"{where} is a number above 0, not {value!r}")
    return float(value)


def _families(raw: Any, where: str) -> dict[str, dict[float, float]]:
    if not isinstance(raw, dict):
        raise InputError(f"{where}: mac is a table by family: [mac.int], [mac.msfp], [mac.float]")
    found: dict[str, dict[float, float]] = {}
    for family, points in raw.items():
        if family not in FAMILIES:
            raise InputError(f"{where} has the unknown family {family!r} in mac: allowed are {', '.join(FAMILIES)}")
        if not isinstance(points, dict) or not points:
            raise InputError(f"{where}: [mac.{family}] gives bits an element = value, at least once")
        found[family] = {
            _bits(bits, f"{where}: [mac.{family}]"): _positive(value, f"{where}: [mac.{family}] {bits}")
            for bits, value in points.items()
        }
    return found


def _bits(text: str, where: str) -> float:
    try:
        bits = float(text)
    except ValueError:
        bits = 0.0
    if not 0 < bits <= 64:
        raise InputError(f'{where}: bits an element are a number from 0 to 64, such as 8 or "5.5", not {text!r}')
    return bits


def _pairs(raw: Any, where: str) -> dict[frozenset[str], float]:
    from engine.formats import get_format

    found: dict[frozenset[str], float] = {}
    for entry in raw if isinstance(raw, list) else [raw]:
        if not isinstance(entry, dict) or set(entry) != {"a", "b", "value"}:
            raise InputError(f"{where}: each [[pair]] has a, b (names of formats) and value")
        try:
            names = frozenset(get_format(str(entry[key])).name for key in ("a", "b"))
        except InputError as error:
            raise InputError(f"{where}, in a [[pair]]: {error}") from None
        found[names] = _positive(entry["value"], f"{where}: the pair of {entry['a']} and {entry['b']}")
    return found
