"""What is raised where a tensor to quantize holds NaN or infinity.

On the CPU the passes that quantize see it on their way, so the check costs nothing. On CUDA nothing
waits for the host: bad elements come out as NaN, and a Quantizer keeps a flag on the device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.errors import RunError

INFINITE = 0x7F800000
"""float32 bits of infinity; NaN's are above, every finite magnitude's below."""


class NonFiniteError(RunError):
    """NaN or infinity came to a site that quantizes; ``at(site)`` names it."""

    def __init__(self, x: Tensor, site: str = "the tensor to quantize") -> None:
        bad = (~torch.isfinite(x)).nonzero()
        where = tuple(bad[0].tolist()) if len(bad) else ()
        super().__init__(
            f"{site} holds NaN or infinity in {len(bad)} of {x.numel()} elements, the first at {where}: "
            "lower the learning rate, or use a wider format"
        )
        self.x = x

    def at(self, site: str) -> NonFiniteError:
        """The same error with the site's name."""
        return NonFiniteError(self.x, site)


def check_bits(worst: int, x: Tensor) -> None:
    """Raise NonFiniteError if ``worst``, the bits of x's largest magnitude, are no finite number's."""
    if worst >= INFINITE:
        raise NonFiniteError(x)
