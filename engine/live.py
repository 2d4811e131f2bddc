"""The live scheme: what a scheme's value becomes once it is bound to a model.

The training loop knows its three contributions (``parameter_groups``, ``penalty``, ``phases``) and
no scheme; the layers ask it for the format of each operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from engine.formats import Format
from engine.kernels.finite import NonFiniteError
from engine.scheme import FP32, Scheme


@dataclass(frozen=True)
class Phase:
    """A stretch of training with its own name ("train", "calibrate", "fine-tune")."""

    name: str
    epochs: int


class LiveScheme(nn.Module):
    """A scheme bound to a model: owns whatever state its quantizers have."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.scheme = scheme

    def format(self, site: str, product: str, layer: int) -> Format:
        """The format of an operand now."""
        return self.scheme.format(site, product, layer)

    def parameter_groups(self) -> Sequence[dict[str, Any]]:
        """Optimizer groups for what the scheme itself learns (none for fixed formats)."""
        return []

    def penalty(self) -> Tensor | None:
        """A term that is added to the task's loss (none for fixed formats)."""
        return None

    def phases(self, epochs: int) -> Sequence[Phase]:
        """How the epochs are spent; one phase of plain training unless a scheme asks for more."""
        return [Phase("train", epochs)]


class Sites:
    """A layer's view of the live scheme: fake-quantizes its tensors at the sites that it names."""

    def __init__(self, live: LiveScheme | None = None, layer: int = 0) -> None:
        self.live = live
        self.layer = layer

    def format(self, site: str, product: str) -> Format:
        """The format of this layer's operand now; fp32 while no scheme is bound."""
        return self.live.format(site, product, self.layer) if self.live is not None else FP32

    def quantize(self, x: Tensor, site: str, product: str, axis: int) -> Tensor:
        """Fake-quantized values of x, without gradient; x itself in fp32.

        Raises NonFiniteError, which names the site and the layer, where x holds NaN or infinity.
        """
        format = self.format(site, product)
        if format == FP32:
            return x
        try:
            return format.fake_quantize(x, axis=axis)
        except NonFiniteError as error:
            raise error.at(f"the {site} of layer {self.layer + 1} ({product})") from None


def bind(scheme: Scheme, model: nn.Module) -> LiveScheme:
    """Bind a scheme to a model: each of ``model.layers`` gets its view, by its index."""
    live = LiveScheme(scheme)
    layers = model.layers
    assert isinstance(layers, nn.ModuleList)
    for index, layer in enumerate(layers):
        setattr(layer, "sites", Sites(live, index))  # noqa: B010 - a plain attribute, no submodule
    return live
