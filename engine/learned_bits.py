"""Steps and bits that are learned, one pair a node: A²Q (Zhu et al., ICLR 2023; METHODS §6).

    b̂_i = max(1, round(|b_i|)),   q_max = 2^(b̂_i−1) − 1,   x̂_ij = sign(x_ij)·s_i·min(⌊|x_ij|/s_i + ½⌋, q_max)

One bit is all zeros. The gradient of x passes where |x| ≤ s·q_max. Steps and bits follow the *local*
gradient, that of mean_j |x̂_ij − x_ij|: most nodes of a semi-supervised graph get none from the task. With
e = sign(x̂ − x) the signs cancel, so that, with v = |x|/s and u = 2^(b̂−1)·ln 2·s,

    ∂/∂s_i = mean_j (|q − v| inside, −q_max outside)        ∂/∂b_i = mean_j (0 inside, −u outside)

and an element that is 0 adds nothing: a sparse input needs its entries only. Graph tasks, where every node
gets a gradient g, may take the task's own:

    ∂/∂s_i = Σ_j g·sign(x)·(q − v inside, q_max outside)    ∂/∂b_i = Σ_j g·sign(x)·(0 inside, u outside)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.parameter import is_lazy

from engine.errors import RunError
from engine.estimators import LEAST_STEP, encode_steps, learnable_codes, learned_step, straight_through
from engine.formats import Format, get_format
from engine.kernels.finite import NonFiniteError
from engine.kernels.sparse import SparseOperand
from engine.quantizer import check_steps

if TYPE_CHECKING:
    from engine.formats.encoded import Encoded
    from engine.schemes.a2q import Learning

MOST_BITS = 16
"""Where learned bits end: the widest symmetric integer."""


def effective_bits(bits: Tensor) -> Tensor:
    """max(1, round(|b|)), at most 16; the same shape and dtype, without gradient."""
    return bits.detach().abs().round_().clamp_(1, MOST_BITS)


def largest_code(bits: Tensor) -> Tensor:
    """q_max = 2^(b−1) − 1 of effective bits; 0 for one bit."""
    return torch.exp2(bits - 1) - 1


@dataclass(frozen=True)
class _Rounded:
    """x̂, and per element what its gradients need."""

    out: Tensor
    outside: Tensor
    off: Tensor
    """q − |x|/s inside, q_max outside: ∂|x̂|/∂s."""


def _round(x: Tensor, step: Tensor, last: Tensor) -> _Rounded:
    """``step``, ``last`` (q_max): of x's shape, or broadcasting over it."""
    v = x.abs().div_(step)
    outside = v > last
    q = torch.add(v, 0.5).floor_()
    q = torch.minimum(q, last, out=q)
    out = torch.copysign(q * step, x)
    return _Rounded(out, outside, torch.where(outside, q, q - v))


def bits_slope(step: Tensor, bits: Tensor) -> Tensor:
    """u = ∂(s·q_max)/∂b = 2^(b̂−1)·ln 2·s of effective bits."""
    return torch.exp2(bits - 1) * (math.log(2) * step)


class _NodeBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, bits: Tensor, pull: list[tuple[Tensor, Tensor]] | None) -> Tensor:
        s, b = step.detach().clamp(min=LEAST_STEP), effective_bits(bits)
        last = largest_code(b)
        rounded = _round(x, s.unsqueeze(1), last.unsqueeze(1))
        if pull is not None:
            width = max(x.shape[1], 1)
            share = rounded.outside.sum(1).to(s.dtype) / width
            off = rounded.off.masked_fill(rounded.outside, 0).abs_().sum(1) / width
            pull.append((off - share * last, -share * bits_slope(s, b)))
        ctx.learns = step.requires_grad or bits.requires_grad
        ctx.save_for_backward(
            rounded.outside,
            *((rounded.off.mul_(x.sign()), x.sign().masked_fill_(~rounded.outside, 0)) if ctx.learns else ()),
            *((bits_slope(s, b) * bits.detach().sign(),) if ctx.learns else ()),
        )
        return rounded.out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient,) = gradients
        outside, *rest = ctx.saved_tensors
        to_x = gradient.masked_fill(outside, 0) if ctx.needs_input_grad[0] else None
        if not rest:
            return to_x, None, None, None
        off, clipped, slope = rest
        return to_x, (gradient * off).sum(1), (gradient * clipped).sum(1) * slope, None


def quantize_nodes(x: Tensor, step: Tensor, bits: Tensor) -> Tensor:
    """x̂ of x [rows, width] with each row's step and bits [rows]; the task's gradient for all three (METHODS §6).

    A step below 2^-40 counts as that.
    """
    return _NodeBits.apply(x, step, bits, None)  # pyright: ignore[reportReturnType]


def quantize_nodes_locally(x: Tensor, step: Tensor, bits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x̂ as above, whose gradient goes to x alone, and the local gradients of step and bits [rows]."""
    pull: list[tuple[Tensor, Tensor]] = []
    out = _NodeBits.apply(x, step.detach(), bits.detach(), pull)
    ((to_step, to_bits),) = pull
    return out, to_step, to_bits * bits.detach().sign()  # pyright: ignore[reportReturnType]


def quantize_entries_locally(x: SparseOperand, step: Tensor, bits: Tensor) -> tuple[SparseOperand, Tensor, Tensor]:
    """The same for a sparse x, from its entries alone."""
    s, b = step.detach().clamp(min=LEAST_STEP), effective_bits(bits)
    last, rows = largest_code(b), x.entry_rows
    rounded = _round(x.values, s[rows], last[rows])
    zero = torch.zeros_like(s)
    share = zero.index_add(0, rows, rounded.outside.to(s.dtype)) / x.inputs
    off = zero.index_add(0, rows, rounded.off.masked_fill(rounded.outside, 0).abs_()) / x.inputs
    to_bits = -share * bits_slope(s, b) * bits.detach().sign()
    return x.with_values(rounded.out), off - share * last, to_bits


def nearest_group(most: Tensor, step: Tensor, bits: Tensor) -> Tensor:
    """The group of each row: the one whose reach s_k·q_max is nearest to the row's max_j |x_ij|, ``most`` [rows].

    step, bits [groups] → int64 [rows]. Of two that are equally near, the lower reach.
    """
    reach = step.detach().clamp(min=LEAST_STEP) * largest_code(effective_bits(bits))
    ascending, order = reach.sort(stable=True)
    middles = (ascending[1:] + ascending[:-1]) / 2
    return order[torch.searchsorted(middles, most.detach().contiguous())]


class NodeBits(nn.Module):
    """A site whose steps and bits are learned, a pair a node (``groups`` 0) or a pair a group.

    ``nodes``: how many rows the tensor has; ``bits``: what all start from. With groups, each row takes the nearest
    (for graphs that were not seen in training, and for mini-batches). The first tensor in training sets the steps:
    2·mean|x|/√q_max over the row's non-zero values (zeros are exact at any step); with groups, reaches that follow the
    quantiles of the rows' maxima. A constant's steps are learned in units (``unit``) of their first values, as its
    scale is known: A²Q's rates, which are for values around 1, would jump over the 0.05 of row-normalised features.

    The local gradient arrives with ``penalty()``, as a term of value 0; a constant (the dataset's features) takes
    it with either source, since no gradient of the task comes there. ``peers``: all modules that share one memory
    target, this one included; the first of them gives the memory's penalty.
    """

    unit: Tensor
    counts: Tensor

    def __init__(
        self,
        nodes: int,
        bits: float,
        *,
        site: str,
        learning: Learning,
        counted: bool = True,
        peers: list[NodeBits] | None = None,
    ) -> None:
        super().__init__()
        self.site, self.learning, self.counted = site, learning, counted
        self.format = node_format(round(bits))
        """What all start from."""
        rows = learning.groups or nodes
        self.factor = nn.Parameter(torch.ones(rows))
        self.bits = nn.Parameter(torch.full((rows,), float(bits)))
        self.register_buffer("unit", torch.ones(rows))
        self.register_buffer("counts", torch.zeros(MOST_BITS + 1, dtype=torch.int64))
        self.ready = False
        self._pull: list[tuple[Tensor, Tensor]] = []
        self._memory: tuple[int, Tensor | None] | None = None
        self._peers = [] if peers is None else peers
        self._peers.append(self)

    @property
    def step(self) -> Tensor:
        """The steps now: of each node, or of each group."""
        return self.unit * self.factor

    def forward(self, x: Tensor, *, axis: int = -1, protected: Tensor | None = None) -> Tensor:
        """x̂ of x [rows, width]; ``protected`` (bool [rows]) rows stay as they are and do not count.

        Raises NonFiniteError where x holds NaN or infinity, RunError for another number of rows than was learned.
        """
        self._check(len(x), x)
        most = x.detach().abs().amax(1) if x.shape[1] else x.new_zeros(len(x))
        if self.training and not self.ready:
            total, entries = x.detach().abs().sum(1), x.detach().count_nonzero(1)
            self._start(most, total / entries.clamp(min=1), constant=not torch.is_grad_enabled())
        step, bits, chosen = self._choose(most)
        self._count(bits, x.shape[1], chosen)
        if self.learning.source == "task" and torch.is_grad_enabled():
            out = quantize_nodes(x, step, bits)
        else:
            out, *pull = quantize_nodes_locally(x, step, bits)
            self._keep(pull, chosen, protected)
        return out if protected is None else torch.where(protected.unsqueeze(1), x, out)

    def quantize_sparse(self, x: SparseOperand, protected: Tensor | None = None) -> SparseOperand:
        """The same for a sparse constant, by its entries alone; with the local gradient."""
        rows, magnitudes = x.entry_rows, x.values.abs()
        self._check(x.shape[0], x.values)
        zero = x.values.new_zeros(x.shape[0])
        most = zero.scatter_reduce(0, rows, magnitudes, "amax")
        if self.training and not self.ready:
            entries = zero.index_add(0, rows, (magnitudes > 0).to(zero.dtype))
            self._start(most, zero.index_add(0, rows, magnitudes) / entries.clamp(min=1), constant=True)
        step, bits, chosen = self._choose(most)
        self._count(bits, x.inputs, chosen)
        out, *pull = quantize_entries_locally(x, step, bits)
        self._keep(pull, chosen, protected)
        if protected is None:
            return out
        return out.with_values(torch.where(protected[rows], x.values, out.values))

    def _check(self, rows: int, values: Tensor) -> None:
        if values.device.type == "cpu" and not bool(torch.isfinite(values.detach()).all()):
            raise NonFiniteError(values.detach(), self.site)
        if not self.learning.groups and rows != len(self.bits):
            raise RunError(
                f"{self.site} has {rows} rows, but A²Q has the bits of {len(self.bits)} nodes: "
                "give a2q(groups=1000) for batches and for graphs that were not seen in training"
            )

    @torch.no_grad()
    def _start(self, most: Tensor, mean: Tensor, *, constant: bool) -> None:
        last = largest_code(effective_bits(self.bits)).clamp(min=1)
        if self.learning.groups:
            groups = self.learning.groups
            at = (torch.arange(groups, dtype=most.dtype, device=most.device) + 0.5) / groups
            start = most.sort().values[(at * len(most)).long()] / last
        else:
            start = 2 * mean / last.sqrt()
        # A row of zeros is exact at any step: it takes the mean one, for when it is zero no longer.
        some = start > 0
        rest = start[some].mean() if bool(some.any()) else torch.ones((), device=start.device)
        (self.unit if constant else self.factor).copy_(torch.where(some, start, rest))
        self.ready = True

    def _choose(self, most: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        step = self.step
        if not self.learning.groups:
            return step, self.bits, None
        chosen = nearest_group(most, step, self.bits)
        return step[chosen], self.bits[chosen], chosen

    def _count(self, bits: Tensor, width: int, chosen: Tensor | None) -> None:
        if self.training:
            self._memory = (width, chosen)
        else:
            self.counts = torch.bincount(effective_bits(bits).long(), minlength=MOST_BITS + 1)

    def bits_in_use(self) -> Tensor:
        """The width of each row of the last training tensor, int64 [rows]."""
        chosen = None if self._memory is None else self._memory[1]
        return effective_bits(self.bits if chosen is None else self.bits[chosen]).long()

    def kilobytes(self) -> Tensor | None:
        """Σ_i |b_i|·width/(8·1024) of the last training tensor's rows, b unrounded; None before one."""
        if self._memory is None:
            return None
        width, chosen = self._memory
        bits = self.bits if chosen is None else self.bits[chosen]
        return bits.abs().sum() * (width / (8 * 1024))

    def _keep(self, pull: Sequence[Tensor], chosen: Tensor | None, protected: Tensor | None) -> None:
        if not self.training:
            return
        to_step, to_bits = (part if protected is None else part.masked_fill(protected, 0) for part in pull)
        if chosen is not None:
            zero = torch.zeros_like(self.unit)
            to_step, to_bits = zero.index_add(0, chosen, to_step), zero.index_add(0, chosen, to_bits)
        self._pull.append((to_step, to_bits))

    def penalty(self) -> Tensor | None:
        """What this site adds to the loss: its local gradients, and, of the first of its peers, the memory penalty."""
        terms: list[Tensor] = []
        for to_step, to_bits in self._pull:
            step = self.step
            terms += [(step - step.detach()) @ to_step, (self.bits - self.bits.detach()) @ to_bits]
        self._pull = []
        if self._peers[0] is self:
            sizes = [size for peer in self._peers if peer.counted and (size := peer.kilobytes()) is not None]
            if sizes:
                terms.append(memory_penalty(sizes, self.learning))
        return torch.stack(terms).sum() if terms else None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Steps and bits, each with its own learning rate, without weight decay."""
        return [
            {"params": [self.factor], "lr": self.learning.lr_step, "weight_decay": 0.0},
            {"params": [self.bits], "lr": self.learning.lr_bits, "weight_decay": 0.0},
        ]

    def spread(self) -> list[tuple[Format, Fraction]]:
        """The formats of the rows with their shares, as of the last evaluation (before one: of the pairs)."""
        counts = self.counts.tolist()
        if not any(counts):
            counts = torch.bincount(effective_bits(self.bits).long(), minlength=MOST_BITS + 1).tolist()
        return [(node_format(bits), Fraction(count, sum(counts))) for bits, count in enumerate(counts) if count]

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What ``forward`` makes of x [rows, width], as integers [rows, width], and each row's step [rows]."""
        most = x.detach().abs().amax(1) if x.shape[1] else x.new_zeros(len(x))
        step, bits, _ = self._choose(most)
        s, last = step.detach().clamp(min=LEAST_STEP), largest_code(effective_bits(bits))
        magnitude = (x.detach().abs() / s.unsqueeze(1)).add_(0.5).floor_().minimum(last.unsqueeze(1))
        return torch.copysign(magnitude, x).long(), s

    def inference_state(self) -> dict[str, Tensor]:
        """The steps, and the effective bits less one as uint8: what evaluation needs."""
        return {"step": self.step.detach(), "bits": (effective_bits(self.bits) - 1).to(torch.uint8)}

    def load_inference_state(self, state: dict[str, Tensor], format: Format) -> None:
        """The inverse of ``inference_state``; ``format``: what all started from.

        Raises ValueError where the state is another kind of quantizer's.
        """
        if state.keys() != {"step", "bits"}:
            raise ValueError(f"it holds {', '.join(sorted(state)) or 'nothing'}")
        rows = tuple(self.bits.shape)
        check_steps(state["step"], rows)
        bits = state["bits"]
        if tuple(bits.shape) != rows or bits.dtype != torch.uint8 or (bits.numel() and int(bits.max()) >= MOST_BITS):
            raise ValueError(f"the bits are not {rows[0]} numbers up to {MOST_BITS}")
        with torch.no_grad():
            self.unit.copy_(state["step"])
            self.factor.fill_(1.0)
            self.bits.copy_(state["bits"].to(self.bits.dtype) + 1)
        self.ready = True

    def get_extra_state(self) -> dict[str, Any]:
        return {"ready": self.ready}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.ready = bool(state["ready"])

    def extra_repr(self) -> str:
        groups = self.learning.groups
        rows = f"groups={groups}" if groups else f"nodes={len(self.bits)}"
        return f"site={self.site!r}, {rows}, source={self.learning.source!r}"


class LearnedSteps(nn.Module):
    """Fixed bits with a learned step for each line of a matrix along ``axis`` (LSQ, engine.estimators).

    How many lines there are shows with the first tensor. A tensor of another shape at the same site (an
    attention vector beside the weight) is quantized with its own least and largest value.
    """

    def __init__(self, format: Format, *, site: str, axis: int, lr: float) -> None:
        super().__init__()
        self.format, self.site, self.axis, self.lr = format, site, axis, lr
        # The optimizer holds it before the first tensor comes.
        self.step: nn.Parameter = cast(nn.Parameter, nn.UninitializedParameter())
        self.estimator = "lsq"

    def forward(self, x: Tensor, *, axis: int = -1, protected: Tensor | None = None) -> Tensor:
        """x̂ of x's shape; ``protected`` (bool [rows]) rows stay as they are.

        Raises NonFiniteError where x holds NaN or infinity.
        """
        shape = list(x.shape)
        shape[self.axis] = 1
        try:
            if is_lazy(self.step):
                self._start(x, shape)
            if list(self.step.shape) == shape:
                out = learned_step(x, self.step, self.format, self.axis)
            else:
                out = straight_through(x, self.format.fake_quantize)
        except NonFiniteError as error:
            raise error.at(self.site) from None
        return out if protected is None else torch.where(protected.view(-1, *[1] * (x.dim() - 1)), x, out)

    def encode(self, x: Tensor, axis: int = -1, *, again: bool = False) -> Encoded:
        """The packed form of what ``forward`` gives for x, again and again the same."""
        shape = list(x.shape)
        shape[self.axis] = 1
        if is_lazy(self.step) or list(self.step.shape) != shape:
            return self.format.encode(x)
        return encode_steps(x, self.step, self.format, self.axis)

    def inference_state(self) -> dict[str, Tensor]:
        """The steps, where a tensor has set them."""
        return {} if is_lazy(self.step) else {"step": self.step.detach()}

    def load_inference_state(self, state: dict[str, Tensor], format: Format) -> None:
        """The inverse of ``inference_state``. Raises ValueError where the state is another kind of quantizer's."""
        if state.keys() - {"step"}:
            raise ValueError(f"it holds {', '.join(sorted(state))}")
        if "step" in state:
            lines = list(state["step"].shape)
            lines[self.axis] = 1
            check_steps(state["step"], tuple(lines))
            self.step = nn.Parameter(state["step"])

    @torch.no_grad()
    def _start(self, x: Tensor, shape: Sequence[int]) -> None:
        """2·mean|x|/√q_max of each line (LSQ)."""
        mean = x.detach().abs().mean(self.axis, keepdim=True)
        cast(nn.UninitializedParameter, self.step).materialize(tuple(shape), device=x.device, dtype=x.dtype)
        self.step.copy_(torch.where(mean > 0, 2 * mean / math.sqrt(learnable_codes(self.format)[1]), 1.0))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The steps, with their own learning rate, without weight decay."""
        return [{"params": [self.step], "lr": self.lr, "weight_decay": 0.0}]

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if not is_lazy(self.step):
            super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        saved = state_dict.get(prefix + "step")
        if is_lazy(self.step):
            if saved is None:
                return  # saved before the first tensor
            cast(nn.UninitializedParameter, self.step).materialize(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        return f"{self.format.name}, site={self.site!r}, axis={self.axis}"


def memory_penalty(kilobytes: Sequence[Tensor], learning: Learning) -> Tensor:
    """λ·(Σ kilobytes − target)², or λ·relu(·)² one-sided, as in A²Q's code; kilobytes: Σ_i |b_i|·width/(8·1024)."""
    over = torch.stack(list(kilobytes)).sum() - learning.target
    return learning.weight * (over.relu() if learning.one_sided else over) ** 2


def node_format(bits: int) -> Format:
    """The format of a row with these bits; one bit, all zeros, is charged as one bit."""
    return get_format(f"int{bits}-symmetric" if bits > 1 else "int1")
