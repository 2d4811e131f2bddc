"""Names of diagnosed tensors: where in a layer one lies, which in-degrees a bucket has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def place(row: Mapping[str, Any]) -> str:
    """Where in a layer a tensor lies: its site, the module in front where there is one, the product where backward."""
    name = f"{row['part']}.{row['site']}" if row["part"] else row["site"]
    return name if row["product"] in ("forward", "aggregate") else f"{name} ({row['product']})"


def degrees(row: Mapping[str, Any]) -> str:
    """A bucket's in-degrees: "0–3", "7"; "all" for a row of the whole tensor."""
    if row["bucket"] is None:
        return "all"
    least, most = row["least_degree"], row["most_degree"]
    return f"{least}" if least == most else f"{least}–{most}"
