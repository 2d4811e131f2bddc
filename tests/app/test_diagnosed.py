"""Names of diagnosed tensors."""

from __future__ import annotations

import pytest

from app.diagnosed import degrees, place


@pytest.mark.parametrize(
    ("part", "product", "name"),
    [
        ("", "forward", "weight"),
        ("", "aggregate", "weight"),
        ("mlp.0", "forward", "mlp.0.weight"),
        ("mlp.0", "grad_input", "mlp.0.weight (grad_input)"),
    ],
)
def test_a_place_names_module_and_backward_product(part: str, product: str, name: str) -> None:
    assert place({"part": part, "site": "weight", "product": product}) == name


@pytest.mark.parametrize(
    ("bucket", "least", "most", "text"), [(None, None, None, "all"), (0, 7, 7, "7"), (1, 0, 3, "0–3")]
)
def test_a_bucket_is_named_by_its_in_degrees(
    bucket: int | None, least: int | None, most: int | None, text: str
) -> None:
    assert degrees({"bucket": bucket, "least_degree": least, "most_degree": most}) == text
