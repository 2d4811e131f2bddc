"""The roofline of a run's cost card: this machine's or another device's, the run's products and where fp32 has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import streamlit as st

from app.charts.costs import roofline_chart
from app.charts.layout import CONFIG
from app.connection import settings
from app.phrases import literal
from engine.costs import CostTable, list_devices
from engine.errors import InputError
from engine.events import LedgerRow
from engine.formats import get_format
from engine.ledger import ledger_in_fp32, trained_size
from engine.ledger.certainty import of_work
from engine.ledger.densities import Scope
from engine.ledger.figures import Ledger
from engine.ledger.roofline import Point, roofline
from engine.spec import RunSpec


@dataclass(frozen=True)
class Roofs:
    """A run on a device's roofline."""

    device: CostTable
    scope: Scope
    points: list[Point]
    in_fp32: list[Point]
    """The products of the same run in fp32; none where it did not say what it trained on."""
    densities: dict[str, float]
    """Arithmetic density of each point's format, by the card's cost table."""
    certainty: str | None
    """How the least certain of the densities is known (engine.ledger.certainty)."""

    @property
    def peak(self) -> float:
        """fp32 multiply-accumulates a second."""
        assert self.device.peak is not None, "a device has a peak"
        return self.device.peak

    @property
    def bandwidth(self) -> float:
        """Bytes a second."""
        assert self.device.bandwidth is not None, "a device has a bandwidth"
        return self.device.bandwidth


def find_roofs(row: Mapping[str, Any], ledger: Ledger, scope: Scope, device: CostTable) -> Roofs:
    """Where a run (a row of the query ``run``) stands. Raises InputError where the cost table lacks a format of it."""
    assert device.peak is not None, "a device has a peak"
    assert device.bandwidth is not None, "a device has a bandwidth"
    attain = partial(roofline, scope=scope, peak=device.peak, bandwidth=device.bandwidth)
    points = attain(ledger.rows, table=ledger.table, epoch=ledger.epoch)
    densities = {point.format: _density_of(point.format, ledger.table) for point in points}
    known = of_work(ledger.in_scope(scope), ledger.table)
    return Roofs(device, scope, points, attain(rows_in_fp32(row)), densities, known)


def rows_in_fp32(row: Mapping[str, Any]) -> list[LedgerRow]:
    """The ledger of the same run in fp32; none where a run of before did not say what it trained on."""
    size = trained_size(json.loads(row["provenance"] or "{}"))
    # Without its scheme, whose recipe may be a file that is not here.
    spec = json.loads(row["spec"]) | {"scheme": "fp32"}
    return [] if size is None else ledger_in_fp32(RunSpec.parse(spec), size)


def _density_of(format: str, table: CostTable) -> float:
    found = table.density(get_format(format))
    assert found is not None, "a point on the roofline has a density"
    return found.value


def chosen_device() -> CostTable | None:
    """The device that the link names, else this machine, else the first; None where no table names one."""
    devices = list_devices(settings())
    asked = st.session_state.get("roof") or st.query_params.get("roof")  # a name, or a title in the link
    return next((each for each in devices if asked in (each.name, each.title)), devices[0] if devices else None)


def show_roofline(row: Mapping[str, Any], ledger: Ledger, scope: Scope) -> None:
    """Draw the section of a run (a row of the query ``run``)."""
    names = {device.name: device for device in list_devices(settings())}
    if not names:
        st.caption("No cost table names a device's peak and bandwidth.")
        return
    st.selectbox(
        "Device", list(names), format_func=lambda name: names[name].title, key="roof", bind="query-params", width=280
    )
    device = chosen_device()
    assert device is not None
    try:
        found = find_roofs(row, ledger, scope, device)
    except InputError as error:
        st.info(literal(error), icon=":material/info:")
        return
    st.plotly_chart(
        roofline_chart(
            [asdict(point) for point in found.points],
            [asdict(point) for point in found.in_fp32],
            peak=found.peak,
            bandwidth=found.bandwidth,
            densities=found.densities,
        ),
        key=f"cost-roofline-{row['run']}-{scope}",
        config=CONFIG,
        alt=f"Attainable work against operational intensity, {scope}, this run and fp32",
    )
    st.caption(literal(roofs_text(found)))


def roofs_text(found: Roofs) -> str:
    """What a roofline is of, in words."""
    bound = sum(point.bound == "traffic" for point in found.points)
    known = "" if found.certainty in ("published", None) else f" Roofs of the formats: {found.certainty}."
    return (
        f"{found.device.title}: {found.peak / 1e9:,.0f} GMAC/s in fp32, {found.bandwidth / 1e9:,.0f} GB/s "
        f"({found.device.source}). {bound} of {len(found.points)} products are bound by memory traffic.{known}"
        + ("" if found.in_fp32 else " Where fp32 has them is not known: the run did not yet say what it trained on.")
    )
