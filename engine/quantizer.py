"""A quantizer: the one object at a site that fake-quantizes. Format, granularity, range, rounding, gradient estimator.

Its range's state and the number of its draws are in its state dict, so that a resumed run equals an
uninterrupted one bit for bit.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine import estimators
from engine.errors import InputError, RunError
from engine.formats import Format, get_format
from engine.formats.base import Granularity, RoundingMode, check_granularity, normalize_axis
from engine.formats.block import BlockFormat
from engine.formats.grid import GridFormat
from engine.kernels.coded import Decoded, encode_in_place, is_plain, pair_in_place, takes_codes
from engine.kernels.dense import DenseOperand
from engine.kernels.finite import NonFiniteError
from engine.kernels.packed_rows import PackedRows, pack_rows
from engine.kernels.rounding import MODES, make_rounding
from engine.randomness import Key, make_key, stream_id
from engine.ranges import make_range
from engine.ranges.learned import Learned
from engine.scheme import ESTIMATORS

if TYPE_CHECKING:
    from engine.formats.encoded import Encoded
    from engine.layers.operand import Constant


class Quantizer(nn.Module):
    """Fake-quantizes what comes to one site.

    ``site`` is the name in errors, ``stream`` that of the random stream (default: the site's); ``range`` a name of
    engine.ranges.RANGES with ``range_options``; ``rounding`` None is the format's own; ``estimator`` one of
    engine.scheme.ESTIMATORS (a learned range needs, and implies, "lsq"); ``axis`` the dot product's.

    Raises InputError for an unknown word, NonFiniteError (which names the site) where a tensor on the CPU holds
    NaN or infinity. On CUDA nothing waits for the device: ``check_finite`` asks afterwards.
    """

    bad: Tensor
    granularity: Granularity
    rounding: RoundingMode | None

    def __init__(
        self,
        format: Format | str,
        *,
        site: str = "the tensor to quantize",
        stream: str = "",
        range: str = "min-max",
        range_options: dict[str, Any] | None = None,
        granularity: Granularity = "tensor",
        rounding: RoundingMode | None = None,
        estimator: str = "ste",
        axis: int = -1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if estimator not in ESTIMATORS:
            raise InputError(f"unknown gradient estimator {estimator!r}: allowed are {', '.join(ESTIMATORS)}")
        if rounding is not None and rounding not in MODES:
            raise InputError(f"unknown rounding {rounding!r}: allowed are {', '.join(MODES)}")
        check_granularity(granularity)
        if (estimator == "lsq") != (range == "learned"):
            raise InputError("the learned range and the estimator lsq belong together: give both or neither")
        self._format = get_format(format) if isinstance(format, str) else format
        self._ranged = self._format if self._format.ranged else None
        self.site, self.granularity, self.rounding, self.estimator = site, granularity, rounding, estimator
        self.stream = stream or site
        self.axis, self.seed, self.draws = axis, seed, 0
        self.range_name = range
        self.range = make_range(range, **(range_options or {}))
        self.register_buffer("bad", torch.tensor(False), persistent=False)
        if range == "learned":
            estimators.learnable_codes(self._format)

    @property
    def format(self) -> Format:
        return self._format

    def switch(self, format: Format | str) -> None:
        """Change the format in mid-training. The range keeps what does not depend on the bits.

        Raises InputError where the step is learned and the format has none.
        """
        new = get_format(format) if isinstance(format, str) else format
        if new == self._format:
            return
        if new.ranged:
            if self.estimator == "lsq":
                estimators.learnable_codes(new)
            # Formats without a range may lie between: the range still is of the last one that had it.
            if self._ranged is not None and new != self._ranged:
                self.range.switch(self._ranged, new)
            self._ranged = new
        self._format = new

    @property
    def stochastic(self) -> bool:
        return (self.rounding or self._format.rounding) == "stochastic"

    @property
    def repeats(self) -> bool:
        """Whether the same tensor gives the same values in every step."""
        return self.range_name == "min-max" and not self.stochastic

    @property
    def spares_zeros(self) -> bool:
        """Whether zeros stay zeros and need not be seen one by one, so that a sparse tensor's entries are enough."""
        format = self._format
        if format.blocked or not format.keeps_zero or self.stochastic:
            return False
        return not format.ranged or (self.granularity == "tensor" and self.range.counts_zeros)

    def forward(self, x: Tensor, *, axis: int | None = None, protected: Tensor | None = None, zeros: int = 0) -> Tensor:
        """x̂ of x's shape; ``protected`` (bool [rows]) rows stay as they are and do not count for the range.

        ``zeros``: how many zeros the tensor has beside x's elements (x: the entries of a sparse one).
        """
        format = self._format
        if format.name == "fp32":
            return x
        axis = self.axis if axis is None else axis
        try:
            out = self._quantize(x, axis, protected, zeros)
        except NonFiniteError as error:
            raise error.at(self.site) from None
        except RunError as error:
            raise RunError(f"{self.site}: {error}") from None
        return out

    def _quantize(self, x: Tensor, axis: int, protected: Tensor | None, zeros: int) -> Tensor:
        format = self._format
        rounding: RoundingMode = self.rounding if self.rounding is not None else format.rounding
        generator = self._draw() if rounding == "stochastic" else None
        if self.estimator == "lsq":
            assert isinstance(self.range, Learned)
            along = self._along(x, axis)
            step = self.range.prepare(x, format, along)
            out = estimators.learned_step(x, step, format, axis, rounding=rounding, generator=generator)
            if protected is not None:
                out = torch.where(protected.view(-1, *[1] * (x.dim() - 1)), x, out)
            return self._watch(out)
        settings: dict[str, Any] = {"rounding": rounding, "generator": generator}
        if format.ranged:
            settings["granularity"] = self.granularity
            if x.numel() and (self.range_name != "min-max" or protected is not None or zeros):
                kept = ~protected if protected is not None else None
                more = {"zeros": zeros} if zeros else {}
                settings["range"] = self.range(x, format, self._along(x, axis), kept, **more)
        if self.estimator == "ste":
            out = estimators.straight_through(x, lambda x: format.fake_quantize(x, axis, **settings), protected)
        else:
            inclusive = self.estimator == "clipped-inclusive"
            out = estimators.clipped(x, format, axis, inclusive=inclusive, protected=protected, **settings)
        return self._watch(out)

    def hold(self, x: Constant, *, paired: bool) -> tuple[Decoded, ...]:
        """A constant's values as ``forward`` gives them, in its own memory, or, where others read that, in a copy.

        [along the columns], or ``paired``: [along the columns, along the rows], of a format with boxes. Nothing, where
        that cannot be.
        """
        if not self.holds(x, paired=paired):
            return ()
        format, source = self._format, x.source
        operand = x.operand if source is None else source
        assert isinstance(operand, DenseOperand)
        values = operand.values

        def room() -> Tensor:
            if source is None:
                return values.clone()
            x.surrender()
            return values

        try:
            if isinstance(format, GridFormat):
                grid, _ = format.grid(values)
                return (encode_in_place(room(), grid, shared=source is None),) if takes_codes(values, grid) else ()
            if isinstance(format, BlockFormat):
                along = [partial(format.fake_quantize, axis=axis, rounding="nearest") for axis in (-1, 0)]
                return pair_in_place(room(), along[0], along[1], format.box) or ()
        except NonFiniteError as error:
            raise error.at(self.site) from None
        return ()

    def holds(self, x: Constant, *, paired: bool) -> bool:
        """Whether ``hold`` may give something."""
        format = self._format
        operand = x.operand if x.source is None else x.source
        plain = isinstance(operand, DenseOperand) and is_plain(operand.values)
        if not (plain and self.repeats and (self.rounding or format.rounding) == "nearest"):
            return False
        by_tensor = self.granularity == "tensor" and self.estimator != "lsq"
        return (isinstance(format, GridFormat) and by_tensor) or (isinstance(format, BlockFormat) and paired)

    def pack(self, x: Tensor) -> PackedRows | Tensor:
        """What ``forward`` gives for x [rows, width] without a gradient, packed where each row has its own range of at
        most 8 bits."""
        format = self._format
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.dim() == 2 and x.numel() > 0
        own = self.range_name == "min-max" and self.granularity == "row" and self.estimator != "lsq"
        if not (plain and own and isinstance(format, GridFormat) and format.width <= 8):
            return self(x, axis=-1)
        mode = self.rounding if self.rounding is not None else format.rounding
        draws = self.draws
        try:
            packed = pack_rows(x, format, make_rounding(mode, self._draw() if mode == "stochastic" else None))
        except NonFiniteError as error:
            raise error.at(self.site) from None
        if packed is None:
            self.draws = draws
            return self(x, axis=-1)
        return packed

    def encode(self, x: Tensor, axis: int | None = None, *, again: bool = False) -> Encoded:
        """The packed form of what ``forward`` would give for x in evaluation; ``decode`` gives it bit for bit.

        Where rounding is stochastic: by what the next call would draw, or ``again`` by what the last one did.
        """
        format = self._format
        axis = self.axis if axis is None else axis
        settings: dict[str, Any] = {"rounding": self.rounding}
        if self.stochastic:
            settings["generator"] = make_key(self.seed, stream_id(f"rounding/{self.stream}"), self.draws - again)
        if self.estimator == "lsq":
            assert isinstance(self.range, Learned)
            return estimators.encode_steps(x, self.range.step, format, axis, **settings)
        if format.ranged:
            settings["granularity"] = self.granularity
            if x.numel() and self.range_name != "min-max":
                settings["range"] = self.range(x, format, self._along(x, axis), None)
        return format.encode(x, axis, **settings)

    def inference_state(self) -> dict[str, Tensor]:
        """What evaluation needs of the state: a range's ends, a learned step, the count of draws."""
        found: dict[str, Tensor] = {}
        if self.estimator == "lsq":
            assert isinstance(self.range, Learned)
            found["step"] = self.range.step.detach()
        elif self._format.ranged and (ends := self.range.ends(self._format)) is not None:
            found["low"], found["high"] = ends
        if self.stochastic:
            found["draws"] = torch.tensor(self.draws)
        return found

    def load_inference_state(self, state: dict[str, Tensor], format: Format) -> None:
        """The inverse of ``inference_state``, with the format that the quantizer then had.

        Raises ValueError where the state is another kind of quantizer's.
        """
        self._check_state(state, format)
        self._format = format
        self._ranged = format if format.ranged else None
        if "step" in state:
            assert isinstance(self.range, Learned)
            self.range.step = nn.Parameter(state["step"])
            self.range.ready = True
        if "low" in state:
            self.range = self.range.fix(state["low"], state["high"])
        if "draws" in state:
            self.draws = int(state["draws"])

    def _check_state(self, state: dict[str, Tensor], format: Format) -> None:
        stochastic = (self.rounding or format.rounding) == "stochastic"
        names = {"step"} if self.estimator == "lsq" else set[str]()
        names |= {"low", "high"} if not names and format.ranged and self.range.keeps else set()
        if state.keys() != names | ({"draws"} if stochastic else set()):
            raise ValueError(f"it holds {', '.join(sorted(state)) or 'nothing'}")
        if "draws" in state and not (state["draws"].dtype == torch.int64 and int(state["draws"]) >= 0):
            raise ValueError("the number of draws is no count")
        if "low" in state:
            low, high = state["low"], state["high"]
            whole = self.granularity == "tensor"
            if low.shape != high.shape or (low.dim() == 0) != whole or bool((low > high).any() | low.isinf().any()):
                raise ValueError("low and high are no range")
            if bool((low.isnan() != high.isnan()).any() | high.isinf().any()):
                raise ValueError("low and high are no range")
        if "step" in state and isinstance(self.range, Learned):
            check_steps(state["step"], tuple(self.range.step.shape))

    def _along(self, x: Tensor, axis: int) -> int | None:
        return None if self.granularity == "tensor" else normalize_axis(axis, x.dim())

    def _draw(self) -> Key:
        self.draws += 1
        return make_key(self.seed, stream_id(f"rounding/{self.stream}"), self.draws - 1)

    def _watch(self, out: Tensor) -> Tensor:
        """On an accelerator, note on the device whether NaN came out: a bad element always makes one."""
        if out.device.type != "cpu" and out.numel():
            self.bad = self.bad.to(out.device) | torch.aminmax(out.detach()).min.isnan()
        return out

    def get_extra_state(self) -> dict[str, Any]:
        ranged = None if self._ranged is None else self._ranged.name
        return {"draws": self.draws, "format": self._format.name, "ranged": ranged}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.draws = int(state["draws"])
        if "format" in state:
            self._format = get_format(state["format"])
            self._ranged = get_format(state["ranged"]) if state["ranged"] else None

    def extra_repr(self) -> str:
        parts = [self._format.name, f"site={self.site!r}"]
        if self._format.ranged:
            parts += [f"range={self.range_name!r}", f"granularity={self.granularity!r}"]
        return ", ".join(
            [*parts, f"rounding={self.rounding or self._format.rounding!r}", f"estimator={self.estimator!r}"]
        )


def check_steps(step: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError where learned steps have another shape, or one is no finite number."""
    if tuple(step.shape) != shape or not step.is_floating_point() or not bool(torch.isfinite(step).all()):
        raise ValueError(f"the steps are not finite numbers of shape {list(shape)}")


def check_finite(module: nn.Module) -> None:
    """Raise RunError that names the first site in ``module`` to which NaN or infinity came.

    Waits for the device: once an epoch, not once a step. On the CPU the forward pass has raised already.
    """
    quantizers = [part for part in module.modules() if isinstance(part, Quantizer)]
    if not quantizers:
        return
    devices = {part.bad.device for part in quantizers}
    device = next((device for device in devices if device.type != "cpu"), torch.device("cpu"))
    flags = torch.stack([part.bad.to(device, non_blocking=True) for part in quantizers]).tolist()
    for quantizer, bad in zip(quantizers, flags, strict=True):
        if bad:
            raise RunError(f"{quantizer.site} holds NaN or infinity: lower the learning rate, or use a wider format")
