"""Quantization of a PyG model that we have never seen: ``quantize(model, scheme)`` and ``unquantize(model)``.

    model = engine.quantize(torch_geometric.nn.GAT(1433, 8, 2, 7, heads=8), "dq-int8")
    ...                                       # the usual training loop
    engine.unquantize(model)

Linear layers are replaced by ones that hold the same parameters and quantize each of their three products;
messages, aggregates, attention and updates are reached by the public hooks of PyG's MessagePassing. The
live scheme becomes the model's submodule ``quantization``: ranges, counters and learned steps are in its state
dict (a plain state dict loads as well), and follow train(), eval(), to(), deepcopy and pickle.

What the hooks do not reach is listed by name (``report``), and refused where the scheme asks for it by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch_geometric.nn import Linear as PygLinear
from torch_geometric.nn import MessagePassing
from torch_geometric.nn import Sequential as PygSequential
from torch_geometric.utils import is_sparse

from engine.errors import InputError
from engine.layers.linear import linear
from engine.live import LiveScheme, Sites
from engine.scheme import Scheme, parse_scheme
from engine.topology import Topology

CHILD = "quantization"
"""Name of the live scheme among the model's submodules."""
LINEARS = (nn.Linear, PygLinear)
CONV_SITES = ("feature", "message", "aggregate", "update", "attention", "gradient")
LINEAR_SITES = ("input", "weight", "gradient", "stash")


class NotReachedWarning(UserWarning):
    """Some of the scheme's sites exist in the model where no public hook reaches them."""


@dataclass(frozen=True)
class Reach:
    """One module and one site, or parameter: whether it is quantized, and if not, why."""

    module: str
    """Name and class, "convs.0 (GATConv)"."""
    what: str
    """A site ("message"), or a parameter ("att_src")."""
    reached: bool
    why: str = ""


class InstrumentedScheme(LiveScheme):
    """The live scheme of an instrumented model: finds the graph in what the model is called with."""

    def __init__(self, scheme: Scheme, seed: int) -> None:
        super().__init__(scheme, seed=seed)
        self.passes = 0
        """Training passes so far: the step of the random streams."""
        self.handles: list[Any] = []
        self.reaches: tuple[Reach, ...] = ()
        self._graph: tuple[Tensor, int, Tensor | None, int, Topology] | None = None
        self._begun = False
        self.register_load_state_dict_pre_hook(_keep_own_state)

    def start(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A forward pass of the whole model begins."""
        if self.training:
            self.passes += 1
        self._begun = False
        self.begin(None, step=self.passes)
        self.see(args, kwargs)

    def see(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take the graph from a module's arguments, if it is not known yet in this pass."""
        found = None if self._begun else _find_graph(args, kwargs)
        if found is None:
            return
        edge_index, nodes, graph = found
        kept = self._graph
        version = edge_index._version
        if kept is None or kept[0] is not edge_index or kept[1] != nodes or kept[2] is not graph or kept[3] != version:
            kept = self._graph = (edge_index, nodes, graph, version, Topology(edge_index, nodes, graph))
        self.begin(kept[4], step=self.passes)
        self._begun = True

    def rows_of(self, x: Tensor) -> str | None:
        """ "nodes" where x has as many rows as the graph has nodes."""
        return "nodes" if self.topology is not None and x.shape[0] == self.topology.nodes else None

    def get_extra_state(self) -> dict[str, int]:
        return {"passes": self.passes}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.passes = int(state["passes"])


def _keep_own_state(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """A state dict from before the model was quantized has nothing for the scheme: it keeps its own."""
    if not any(key.startswith(prefix) for key in state):
        state.update(module.state_dict(prefix=prefix))


class QuantizedLinear(nn.Module):
    """A linear layer over the same parameters, with its three quantized products: [..., inputs] → [..., outputs]."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.weight = cast(nn.Parameter, original.weight)
        bias = original.bias
        self.bias: nn.Parameter | None
        self.register_parameter("bias", cast("nn.Parameter | None", bias))
        self.in_features, self.out_features = self.weight.shape[1], self.weight.shape[0]
        self.in_channels, self.out_channels = self.in_features, self.out_features
        self.sites = Sites(*LINEAR_SITES)
        self.conv: tuple[MessagePassing, ...] = ()
        """The convolution that it belongs to (in a tuple, so that it is no submodule)."""
        self.original = (original,)

    def reset_parameters(self) -> None:
        self.original[0].reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor) -> Tensor:
        live = cast(InstrumentedScheme, self.sites.live)
        flat = x.reshape(-1, x.shape[-1])
        rows = live.rows_of(x) if x.dim() == 2 else None
        out = linear(flat, self.weight, self.sites, rows=rows).view(*x.shape[:-1], -1)
        if self.bias is not None:
            out = out + self.bias
        if self.conv:
            hooks = hooks_of(self.conv[0])
            if hooks.stage == "before":
                out = hooks.sites(out, "feature", "aggregate", rows=live.rows_of(out))
        return out

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class ConvHooks:
    """The hooks of one convolution; bound methods, so that they are copied and pickled with it."""

    def __init__(self, name: str, layer: int, conv: MessagePassing) -> None:
        self.name, self.layer = name, layer
        self.kind = type(conv).__name__
        self.sites = Sites(*CONV_SITES)
        self.stage = "before"
        """Of a forward pass: "before", "within" and "after" its messages."""
        self.source: Tensor | None = None

    @property
    def live(self) -> InstrumentedScheme:
        return cast(InstrumentedScheme, self.sites.live)

    def attach(self, conv: MessagePassing) -> list[Any]:
        """Register all hooks; gives their handles."""
        return [
            conv.register_forward_pre_hook(self.begin, with_kwargs=True),
            conv.register_propagate_forward_pre_hook(self.before_messages),
            conv.register_message_forward_hook(self.message),
            conv.register_aggregate_forward_hook(self.aggregate),
            conv.register_propagate_forward_hook(self.after_messages),
            conv.register_edge_update_forward_hook(self.edge_update),
            conv.register_forward_hook(self.update),
        ]

    def begin(self, conv: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.stage = "before"
        self.live.see(args, kwargs)

    def before_messages(self, conv: MessagePassing, inputs: tuple[Any, ...]) -> None:
        edge_index = inputs[0]
        self.stage = "within"
        if is_sparse(edge_index) and conv.fuse:
            raise InputError(
                f"{self.name} ({self.kind}) is given a sparse adjacency, whose fused product has no message to "
                "quantize: give edge_index as a [2, E] tensor, or set the layer's fuse = False"
            )
        self.source = None
        if isinstance(edge_index, Tensor) and not is_sparse(edge_index):
            self.source = edge_index[0 if conv.flow == "source_to_target" else 1]

    def _of_edges(self, x: Tensor) -> Tensor | None:
        """The source of each row, where rows are edges between the nodes of this pass' graph."""
        source, topology = self.source, self.live.topology
        if source is None or topology is None or x.dim() < 2 or x.shape[0] != source.numel():
            return None
        return source

    def message(self, conv: MessagePassing, inputs: Any, out: Any) -> Any:
        if not isinstance(out, Tensor) or not out.is_floating_point():
            return None
        return self.sites(out, "message", "aggregate", rows=self._of_edges(out))

    def aggregate(self, conv: MessagePassing, inputs: Any, out: Any) -> Any:
        if not isinstance(out, Tensor):
            return None
        rows = self.live.rows_of(out)
        return self.sites(self.sites.gradient(out), "aggregate", "aggregate", rows=rows)

    def after_messages(self, conv: MessagePassing, inputs: Any, out: Any) -> None:
        self.stage, self.source = "after", None

    def edge_update(self, conv: MessagePassing, inputs: Any, out: Any) -> Any:
        if not isinstance(out, Tensor) or not out.is_floating_point():
            return None
        edge_index = inputs[0]
        if isinstance(edge_index, Tensor) and not is_sparse(edge_index):
            self.source = edge_index[0 if conv.flow == "source_to_target" else 1]
        return self.sites(out, "attention", "aggregate", rows=self._of_edges(out))

    def update(self, conv: nn.Module, args: Any, out: Any) -> Any:
        if isinstance(out, tuple) and out and isinstance(out[0], Tensor):
            return (self.sites(out[0], "update", "forward", rows=self.live.rows_of(out[0])), *out[1:])
        if not isinstance(out, Tensor):
            return None
        return self.sites(out, "update", "forward", rows=self.live.rows_of(out))


class _ModelHook:
    """The hook of the whole model; an object, so that it can be pickled."""

    def __call__(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        cast(InstrumentedScheme, getattr(model, CHILD)).start(args, kwargs)


def hooks_of(conv: nn.Module) -> ConvHooks:
    return cast(ConvHooks, conv.__dict__["_quantization_hooks"])


def quantize(model: nn.Module, scheme: str | Scheme, *, seed: int = 0) -> nn.Module:
    """Instrument a model in place, and give it back.

    ``scheme``: a text ("dq-int8") or a value; a rule's layer is the number of the convolution in the order of
    registration (a linear layer outside belongs to the next one); ``seed``: of protection and stochastic rounding.
    Optimizers that hold the model's parameters stay valid. The scheme's own contributions are
    ``model.quantization.parameter_groups()`` and ``.penalty()``.

    Raises InputError where the model is quantized already, has nothing to quantize, uses what cannot be
    instrumented, or lacks a site that the scheme names; warns (NotReachedWarning) of what is not reached.
    """
    value = parse_scheme(scheme) if isinstance(scheme, str) else scheme
    _refuse(model)
    modules = [(name, module) for name, module in model.named_modules() if not _inside_linear(name, model)]
    convs = [(name, module) for name, module in modules if isinstance(module, MessagePassing)]
    linears = [(name, module) for name, module in modules if isinstance(module, LINEARS)]
    if not convs and not linears:
        raise InputError(
            f"{type(model).__name__} has neither message passing nor linear layers: there is nothing to quantize"
        )
    if value.layers not in (0, len(convs)):
        raise InputError(
            f"the scheme {value.text!r} gives bits for {value.layers} layers, but this {type(model).__name__} has "
            f"{len(convs)} convolutions: give {len(convs)}"
        )
    for name, conv in convs:
        if conv.decomposed_layers > 1:
            raise InputError(
                f"{_name(name, conv)} decomposes its layers, so that no hook sees whole messages: "
                "set decomposed_layers = 1"
            )
    for name, module in linears:
        if any(is_lazy(parameter) for parameter in module.parameters(recurse=False)):
            raise InputError(
                f"{name} has no size yet: run the model once, or give its number of inputs, then quantize it"
            )
    reaches = tuple(_reaches(model, value, convs, linears))
    for site in value.required or value.sites:
        if not any(reach.reached and reach.what == site for reach in reaches):
            if not value.required and any(reach.reached for reach in reaches):
                continue
            known = sorted({reach.what for reach in reaches if reach.reached}) or ["none"]
            raise InputError(
                f"the scheme {value.text!r} quantizes the site {site!r}, which is reached nowhere in this "
                f"{type(model).__name__}; reached are: {', '.join(known)}"
            )
    live = InstrumentedScheme(value, seed)
    live.reaches = reaches
    order = {name: index for index, (name, _) in enumerate(convs)}
    for name, conv in convs:
        hooks = ConvHooks(name or "the model", order[name], conv)
        conv.__dict__["_quantization_hooks"] = hooks
        hooks.sites.attach(live, order[name], name)
        live.handles += hooks.attach(conv)
    positions = {name: position for position, (name, _) in enumerate(modules)}
    for name, module in linears:
        owner = next((conv for conv in reversed(convs) if name.startswith(conv[0] + ".") or conv[0] == ""), None)
        layer = order[owner[0]] if owner else _next_conv(positions[name], convs, positions)
        replacement = QuantizedLinear(module)
        replacement.training = module.training
        replacement.sites.attach(live, layer, name)
        if owner is not None:
            replacement.conv = (owner[1],)
        _put(model, name, replacement)
    model.add_module(CHILD, live)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    live.to(device).train(model.training)
    live.handles.append(model.register_forward_pre_hook(_ModelHook(), with_kwargs=True, prepend=True))
    missed = [reach for reach in reaches if not reach.reached]
    if missed:
        lines = "; ".join(f"{reach.module}: {reach.what} ({reach.why})" for reach in missed)
        warnings.warn(f"{value.text} leaves in full precision: {lines}", NotReachedWarning, stacklevel=2)
    return model


def live_scheme(model: nn.Module) -> InstrumentedScheme:
    """The live scheme of an instrumented model. Raises InputError where it was not quantized."""
    live = getattr(model, CHILD, None)
    if not isinstance(live, InstrumentedScheme):
        raise InputError(f"this {type(model).__name__} was not quantized by engine.quantize")
    return live


def unquantize(model: nn.Module) -> nn.Module:
    """Undo ``quantize``: the model's own layers, with the parameters as they are now, and no hook left.

    Raises InputError where the model was not quantized.
    """
    live = live_scheme(model)
    for handle in live.handles:
        handle.remove()
    for name, module in list(model.named_modules()):
        if isinstance(module, QuantizedLinear):
            original = module.original[0]
            # to() and load_state_dict() may have put other parameters into the replacement.
            original.weight = module.weight
            original.register_parameter("bias", module.bias)
            original.train(module.training)
            _put(model, name, original)
        module.__dict__.pop("_quantization_hooks", None)
    delattr(model, CHILD)
    return model


def report(model: nn.Module) -> tuple[Reach, ...]:
    """What the scheme reaches in an instrumented model, and what it does not, each with its reason."""
    return live_scheme(model).reaches


def _refuse(model: nn.Module) -> None:
    kind = type(model).__name__
    if isinstance(getattr(model, CHILD, None), InstrumentedScheme):
        raise InputError(f"this {kind} is quantized already: call engine.unquantize(model) first")
    if hasattr(model, CHILD):
        raise InputError(
            f"this {kind} has an attribute {CHILD!r} of its own, which is where the scheme would go: rename it"
        )
    if isinstance(model, LINEARS):
        raise InputError(f"a single {kind} cannot be replaced in itself: put it into a module")
    if isinstance(model, nn.Sequential | nn.ModuleList | nn.ModuleDict | PygSequential):
        raise InputError(
            f"a {kind} calls each of its children, so that it cannot hold the scheme: put it into a module"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError("a scripted model runs no hooks: quantize it before torch.jit.script")


def _inside_linear(name: str, model: nn.Module) -> bool:
    """Whether a module lies inside a linear layer (a parametrization)."""
    parents = name.split(".")[:-1]
    return any(isinstance(model.get_submodule(".".join(parents[: k + 1])), LINEARS) for k in range(len(parents)))


def _reaches(
    model: nn.Module, scheme: Scheme, convs: list[tuple[str, MessagePassing]], linears: Sequence[tuple[str, nn.Module]]
) -> Iterator[Reach]:
    wanted = set(scheme.sites)
    if any(rule.products is not None and "grad_layer" in rule.products for rule in scheme.rules):
        why = "no public hook sees the gradient between layers"
        yield Reach(type(model).__name__, "gradient between layers", False, why)
    for name, module in linears:
        for site in LINEAR_SITES:
            if site in wanted:
                yield Reach(_name(name, module), site, True)
    for name, conv in convs:
        where = _name(name, conv)
        within = [child for child, _ in linears if child.startswith(f"{name}." if name else "")]
        updates_edges = conv.inspector.implements("edge_update")
        attends = hasattr(conv, "heads") or hasattr(conv, "att") or hasattr(conv, "beta")
        for site in ("feature", "message", "aggregate", "update"):
            if site in wanted and (site != "feature" or within):
                yield Reach(where, site, True)
        if "attention" in wanted and (updates_edges or attends):
            why = "" if updates_edges else "computed inside message(), where no public hook reaches"
            yield Reach(where, "attention", updates_edges, why)
        if "score" in wanted and attends:
            yield Reach(where, "score", False, "no public hook reaches what enters the softmax")
    if "weight" in wanted:
        held = {id(p) for _, module in linears for p in module.parameters()}
        for name, module in model.named_modules():
            for own, parameter in module.named_parameters(recurse=False):
                if (
                    id(parameter) not in held
                    and own != "bias"
                    and not isinstance(module, nn.modules.batchnorm._NormBase)
                ):
                    yield Reach(_name(name, module), own, False, "a parameter that no linear layer holds")


def _name(name: str, module: nn.Module) -> str:
    return f"{name or 'the model'} ({type(module).__name__})"


def _next_conv(position: int, convs: list[tuple[str, MessagePassing]], positions: dict[str, int]) -> int:
    """The number of the first convolution registered after a place, the last one's after all of them."""
    after = [index for index, (name, _) in enumerate(convs) if positions[name] > position]
    return after[0] if after else max(len(convs) - 1, 0)


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent) if parent else model, child, module)


def _find_graph(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, int, Tensor | None] | None:
    """(edge_index, nodes, batch) among a module's arguments; a Data object counts; None where there is none."""
    for value in (*args, *kwargs.values()):
        edge_index = getattr(value, "edge_index", None)
        if isinstance(edge_index, Tensor) and not isinstance(value, Tensor):
            batch = getattr(value, "batch", None)
            return edge_index, int(value.num_nodes), batch if isinstance(batch, Tensor) else None
    edges = nodes = None
    for value in (*args, *kwargs.values()):
        first = value[0] if isinstance(value, tuple) and value else value
        if not isinstance(first, Tensor):
            continue
        if edges is None and first.dim() == 2 and first.shape[0] == 2 and first.dtype == torch.int64:
            edges = first
        elif nodes is None and first.dim() >= 1 and first.is_floating_point() and not is_sparse(first):
            nodes = first.shape[0]
    if edges is None or nodes is None:
        return None
    batch = kwargs.get("batch")
    return edges, nodes, batch if isinstance(batch, Tensor) and batch.shape == (nodes,) else None
