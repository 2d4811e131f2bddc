"""What a training step holds for its backward pass, found in the live autograd graph.

    held = held_in_step(trainer, batch)
    held.bytes, held.of_layer(0)

Two places hold tensors between the passes: autograd's saved tensors, and what an operation of ours puts on its
``ctx``. Both are followed when the forward pass has ended, so that what is no longer needed by then is not there.

Each storage counts once and in full (a view holds all of it), under the first operation that needs it, in the order
of the layers. What is there without the step is told apart (``Kept.constant``): parameters and buffers, the dataset's
features with what is derived from them once and kept, the structure of the graph and of sparse features (where their
entries lie, also those of a sum over neighbours), the targets. What a step derives anew from the features (a range that
moves, input dropout, a batch of graphs) is held.
"""

from __future__ import annotations

import contextlib
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.kernels.sparse import SparseOperand
from engine.kernels.sparse_aggregate import SparseSum

if TYPE_CHECKING:
    from engine.problem import Batch
    from engine.trainer import Trainer

Storage = tuple[int, int]
"""Address and size in bytes."""


@dataclass(frozen=True)
class Kept:
    """One storage that the backward pass needs."""

    layer: int | None
    """The module of ``model.layers`` within which, or on the way to which, it is needed; None: the loss."""
    operation: str
    """The autograd node that needs it, as torch names it: "_ProductBackward", "ReluBackward0"."""
    shape: tuple[int, ...]
    """Of the tensor that was found; its storage may be larger."""
    dtype: str
    bytes: int
    constant: bool
    """Whether it is there without the step."""


@dataclass(frozen=True)
class Held:
    """All that a step holds, in the order of the layers."""

    kept: tuple[Kept, ...]

    @property
    def bytes(self) -> int:
        """Bytes that are there for the backward pass alone."""
        return sum(each.bytes for each in self.kept if not each.constant)

    @property
    def of_layers(self) -> int:
        """The same without the loss's own: what the ledger's stash says."""
        return self.bytes - self.of_layer(None)

    @property
    def constant_bytes(self) -> int:
        """Bytes of parameters and constants that the backward pass reads too."""
        return sum(each.bytes for each in self.kept if each.constant)

    def of_layer(self, layer: int | None) -> int:
        """Bytes of one layer; None: of the loss."""
        return sum(each.bytes for each in self.kept if each.layer == layer and not each.constant)


def held_in_step(trainer: Trainer, batch: Batch) -> Held:
    """What the next training step of a run holds on this batch.

    The step is not completed: nothing is learned, while ranges and random draws have moved on as in any step. A phase
    that learns nothing holds nothing.
    """
    # What a step derives from a batch of its own (not the dataset's constant) belongs to the step.
    before = list(arrays_in(batch))
    layers = trainer.model.layers
    assert isinstance(layers, nn.ModuleList)
    with Inspection(layers) as inspection:
        _, objective = trainer.forward(batch)
        modules = (trainer.model, trainer.live)
        state = [part for module in modules for part in (*module.parameters(), *module.buffers())]
        return inspection.held(objective, [before, state, batch.topology, trainer.problem])


class _Saved:
    """A tensor that autograd has saved; it lives as long as the operation that needs it."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class Inspection:
    """Watches a forward pass: what is computed within it is followed by ``held``, before it is left.

    ``layers``: modules whose outputs part the graph. No number changes.
    """

    def __init__(self, layers: Iterable[nn.Module] = ()) -> None:
        self.layers = list(layers)

    def __enter__(self) -> Inspection:
        self._saved: weakref.WeakSet[_Saved] = weakref.WeakSet()
        self._unpacked: list[Tensor] = []
        self._ends: list[tuple[int, Any]] = []
        self._leave = contextlib.ExitStack()
        self._leave.enter_context(torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack))
        for index, layer in enumerate(self.layers):
            self._leave.callback(layer.register_forward_hook(self._ending(index)).remove)
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.close()
        self._ends, self._unpacked = [], []

    def _pack(self, tensor: Tensor) -> _Saved:
        saved = _Saved(tensor.detach())
        self._saved.add(saved)
        return saved

    def _unpack(self, saved: _Saved) -> Tensor:
        self._unpacked.append(saved.tensor)
        return saved.tensor

    def _ending(self, index: int) -> Any:
        def note(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.grad_fn is not None:
                self._ends.append((index, output.grad_fn))

        return note

    def held(self, root: Tensor, apart: Sequence[object] = ()) -> Held:
        """What the backward pass of ``root`` needs; ``apart``: what holds the constants."""
        constants = {_storage(array) for array in arrays_in(apart)}
        found: dict[Storage, Kept] = {}
        visited: set[Any] = set()

        def count(arrays: Iterable[Tensor | np.ndarray], layer: int | None, operation: str) -> None:
            for array in arrays:
                storage = _storage(array)
                if storage[1]:
                    kept = (tuple(array.shape), str(array.dtype).removeprefix("torch."), storage[1])
                    found.setdefault(storage, Kept(layer, operation, *kept, storage in constants))

        for layer, end in [*self._ends, (None, root.grad_fn)]:
            for node in _nodes(end, visited):
                count(self._saved_by(node), layer, node.name())
                beside = getattr(node, "__dict__", {})
                constants.update(_storage(array) for array in _places_in(beside))
                count(arrays_in(beside), layer, node.name())
        # Whatever torch shows no attribute for.
        count([saved.tensor for saved in self._saved], None, "other")
        return Held(tuple(found.values()))

    def _saved_by(self, node: Any) -> list[Tensor]:
        """The tensors that a node has saved: reading them unpacks them."""
        self._unpacked = []
        for name in _saved_names(type(node)):
            # Some are of no kind that Python has, others undefined.
            with contextlib.suppress(RuntimeError):
                getattr(node, name)
        return self._unpacked


@cache
def _saved_names(kind: type) -> tuple[str, ...]:
    return tuple(name for name in dir(kind) if name.startswith("_saved_") or name == "saved_tensors")


def _nodes(root: Any, visited: set[Any]) -> Iterator[Any]:
    """The nodes that ``root`` needs and that were not visited yet, itself first."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        yield node
        waiting += [before for before, _ in node.next_functions]


def arrays_in(*holders: object) -> Iterator[Tensor | np.ndarray]:
    """Every tensor and array that these hold: in containers, in objects of the engine and in functions' closures.

    Not in modules, whose parameters are not a step's.
    """
    return (found for found in _all_in(*holders) if isinstance(found, Tensor | np.ndarray))


def _places_in(holder: object) -> Iterator[Tensor | np.ndarray]:
    """Where the entries of sparse tensors lie that this holds."""
    for found in _all_in(holder):
        if isinstance(found, SparseOperand):
            yield from arrays_in({name: held for name, held in vars(found).items() if name not in ("values", "places")})
        elif isinstance(found, SparseSum):
            yield from arrays_in(vars(found))


def _all_in(*holders: object) -> Iterator[Any]:
    """These, and whatever they hold that is a container or the engine's."""
    seen: set[int] = set()
    waiting: list[Any] = list(holders)
    while waiting:
        holder = waiting.pop()
        if id(holder) in seen or isinstance(holder, nn.Module | type):
            continue
        seen.add(id(holder))
        yield holder
        if isinstance(holder, Mapping):
            waiting += [*holder.keys(), *holder.values()]
        elif isinstance(holder, list | tuple | set | frozenset):
            waiting += holder
        elif isinstance(holder, types.FunctionType):
            waiting += [cell.cell_contents for cell in holder.__closure__ or () if _filled(cell)]
        elif type(holder).__module__.partition(".")[0] == "engine":
            waiting += getattr(holder, "__dict__", {}).values()


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _storage(array: Tensor | np.ndarray) -> Storage:
    if isinstance(array, np.ndarray):
        while isinstance(array.base, np.ndarray):
            array = array.base
        if not isinstance(array.base, Tensor):
            return array.ctypes.data, array.nbytes
        array = array.base
    storage = array.untyped_storage()
    return storage.data_ptr(), storage.nbytes()
