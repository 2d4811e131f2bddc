"""What a run is: one frozen, strict value, from text, TOML, JSON, the form or Python.

Each component owns its part: a dataset's entry brings the class of its options, a model's entry
that of its own, so a new dataset or model adds its fields without touching this file.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from engine import grammar
from engine.catalogue import unknown
from engine.datasets import DATASETS, DatasetSpec
from engine.defaults import NONE, fill
from engine.errors import InputError
from engine.form_marks import BASIC
from engine.models import MODELS, ModelSpec
from engine.objectives import OBJECTIVES, TaskSpec
from engine.sampling import BATCHINGS, BatchingSpec
from engine.scheme import Phase, Scheme, parse_scheme


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class TrainingSpec(_Part):
    """How long and with which optimizer; the defaults are the thesis' Planetoid setting (METHODS §10)."""

    epochs: Annotated[int, Field(ge=1, le=100_000, json_schema_extra=BASIC)] = 150
    """Passes over the training data."""
    lr: Annotated[float, Field(gt=0, le=1e30, json_schema_extra=BASIC)] = 0.01
    """Adam's learning rate."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5e-4
    """L2 penalty on every weight, added to its gradient."""
    batch_size: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Graphs a batch, where the data is a set of graphs; 0: all in one."""
    lr_step: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Epochs after which the learning rate is multiplied by lr_factor, again and again; 0: it stays."""
    lr_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """What the learning rate is multiplied by every lr_step epochs."""
    start_from: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    """A trained model to go on from, by the SHA-256 of its packed parameters (``packed_sha256`` in its manifest);
    empty: from the beginning. Phases that only prepare (fp32 before fine-tuning) are left out, and what learns lasts
    for ``epochs``."""
    batching: str = "full"
    """How one graph's nodes are batched: full, clusters(parts=50,per_batch=5), neighbours(fanout=10)."""

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Specs that start from the beginning keep the text, and so the hash, that they had before they could not."""
        table = write(self)
        if not table.get("start_from"):
            table.pop("start_from", None)
        return table

    @field_validator("batching")
    @classmethod
    def _batching(cls, value: str) -> str:
        return _component_text(_component(value, BATCHINGS))

    @property
    def parsed_batching(self) -> BatchingSpec:
        """The batching's value (the spec itself keeps its text)."""
        return _component(self.batching, BATCHINGS)


def component_table(text: str, kind: str) -> dict[str, Any]:
    """The table of a component given as text: ``gcn(layers=3)`` → {"name": "gcn", "layers": 3}."""
    part = grammar.parse_part(text, kind)
    if part.steps:
        raise InputError(f"cannot read the {kind} {text!r}: a list in brackets is not allowed here")
    return {"name": part.name, **dict(part.options)}


def _table(value: Any, key: str) -> dict[str, Any] | None:
    """A component's table as far as it is told, empty where nothing is; None where it cannot be read."""
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            value = component_table(value, key)
        except InputError:
            return None
    if isinstance(value, BaseModel):
        named = {"name": value.name} if hasattr(value, "name") else {}  # pyright: ignore[reportAttributeAccessIssue]
        value = named | value.model_dump(exclude_unset=True)
    return dict(value) if isinstance(value, Mapping) else None


def _component(value: Any, catalogue: Any) -> Any:
    """Turn a name, ``name(option=value)`` or a mapping with a name into the entry's own spec."""
    if isinstance(value, str):
        value = component_table(value, catalogue.kind)
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise InputError(f"a {catalogue.kind} is a name or a table with a name, not {value!r}")
    try:
        return catalogue[value["name"]].spec.model_validate(dict(value))
    except ValidationError as error:
        raise InputError(explain(error, catalogue[value["name"]].spec, f"{catalogue.kind}.")) from None


def _component_text(spec: BaseModel) -> str:
    """A component as the grammar writes it, defaults left out: ``clusters(parts=20)``."""
    values = spec.model_dump(exclude_defaults=True) | {"name": spec.name}  # pyright: ignore[reportAttributeAccessIssue]
    return str(grammar.Part(str(values.pop("name")), options=tuple(values.items())))


class RunSpec(_Part):
    """One run: dataset, task, architecture, scheme, training, seed, device.

    Strings are shorthand: ``RunSpec(dataset="cora", model="gcn", scheme="int8", seed=0)``.
    Raises pydantic's ValidationError; ``RunSpec.parse`` turns it into one clear sentence.
    """

    dataset: SerializeAsAny[DatasetSpec]
    # Always filled in before it is checked: the default is there for type checkers only.
    task: SerializeAsAny[TaskSpec] = cast(TaskSpec, None)
    """What is learned of the dataset; left out: the dataset's first task."""
    model: SerializeAsAny[ModelSpec]
    scheme: str = "fp32"
    training: TrainingSpec = TrainingSpec()
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: whichever worker has room, CUDA first."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        """Fill in what is left out: the task's and the dataset's defaults."""
        if not isinstance(data, Mapping):
            return data
        tables = {key: _table(data.get(key), key) for key in ("dataset", "task", "model", "training")}
        dataset = DATASETS.get((tables["dataset"] or {}).get("name"))
        if dataset is None:
            # The dataset's fault is said alone: which task there is follows from it.
            return {"task": next(iter(OBJECTIVES)), **data}
        task = tables["task"]
        default = dataset.task_for(tables["dataset"] or {})
        objective = None if task is None else OBJECTIVES.get(task.setdefault("name", default))
        if task is None or objective is None:
            return data
        own = dataset.defaults.get(objective.name, NONE)
        filled = {**data, "task": fill(task, objective.defaults.task, own.task)}
        if (training := tables["training"]) is not None:
            filled["training"] = fill(training, objective.defaults.training, own.training)
        model = MODELS.get((tables["model"] or {}).get("name"))
        if model is not None:
            layers = (found.model(model.name, model.spec) for found in (objective.defaults, own))
            filled["model"] = fill(tables["model"] or {}, *layers)
        return filled

    @field_validator("task", mode="before")
    @classmethod
    def _task(cls, value: Any) -> Any:
        return _component(value, OBJECTIVES)

    @field_validator("dataset", mode="before")
    @classmethod
    def _dataset(cls, value: Any) -> Any:
        return _component(value, DATASETS)

    @field_validator("model", mode="before")
    @classmethod
    def _model(cls, value: Any) -> Any:
        return _component(value, MODELS)

    @field_validator("scheme")
    @classmethod
    def _scheme(cls, value: str) -> str:
        return str(parse_scheme(value))

    @model_validator(mode="after")
    def _fits(self) -> RunSpec:
        MODELS[self.model.name].check(self.model, self.parsed_scheme)
        objective = OBJECTIVES[self.task.name]
        allowed = DATASETS[self.dataset.name].tasks
        if self.task.name not in allowed:
            raise InputError(
                f"{self.dataset.name} cannot be trained for {self.task.name}: its tasks are {', '.join(allowed)}"
            )
        readout = getattr(self.model, "readout", "none")
        if objective.pools and readout == "none":
            raise InputError(
                f"{self.task.name} has an output a graph, so model.readout = 'none' is not allowed: "
                "use mean, sum or max"
            )
        if not objective.pools and readout != "none":
            raise InputError(
                f"{self.task.name} has an output a node, so model.readout = {readout!r} is not allowed: use none"
            )
        batching = self.training.parsed_batching
        entry = BATCHINGS[batching.name]
        if entry.make is not None:
            if not objective.samples:
                raise InputError(
                    f"training.batching = {self.training.batching!r} is not allowed: {self.task.name} does not train "
                    "on batches of one graph's nodes; use full"
                )
            if DATASETS[self.dataset.name].size(self.dataset).graphs > 1:
                raise InputError(
                    f"training.batching = {self.training.batching!r} is not allowed: {self.dataset.name} is a set of "
                    "graphs; use full, and training.batch_size for the graphs a batch"
                )
            entry.check(batching, MODELS[self.model.name].layers(self.model))
        return self

    @property
    def parsed_scheme(self) -> Scheme:
        """The scheme's value (the spec itself keeps its text)."""
        return parse_scheme(self.scheme)

    @property
    def phases(self) -> list[Phase]:
        """How the run is spent, with the epochs of each phase."""
        return self.parsed_scheme.spent(self.training.epochs, started=bool(self.training.start_from))

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> RunSpec:
        """Read a mapping (from TOML, JSON, a form). Raises InputError, one sentence a fault."""
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise InputError(explain(error)) from None

    @classmethod
    def from_toml(cls, text: str) -> RunSpec:
        return cls.parse(read_toml(text, "the run"))

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"the run is not valid JSON: {error}") from None
        except (RecursionError, ValueError) as error:  # nested without end; a number of thousands of digits
            raise InputError(f"the run is no JSON that can be read: {error}") from None
        if not isinstance(data, dict):
            raise InputError("the run must be a JSON object")
        return cls.parse(data)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, every default written out."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def to_toml(self) -> str:
        """TOML that ``from_toml`` reads back to an equal spec."""
        data = self.model_dump(mode="json")
        tables = {key: value for key, value in data.items() if isinstance(value, dict)}
        lines = [f"{key} = {json.dumps(value)}" for key, value in data.items() if key not in tables]
        for key, table in tables.items():
            lines += ["", f"[{key}]"] + [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        return "\n".join(lines) + "\n"

    @property
    def hash(self) -> str:
        """Content hash of the whole spec (16 hex digits): equal specs, equal hashes."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def group(self) -> str:
        """Content hash without the seed and the fold (16 hex digits): runs that differ in these only share it."""
        return group_of(self.model_dump(mode="json"))

    @property
    def plateau_ratio(self) -> float:
        """θ of ADQ for this task and dataset: the ratio of training losses above which they have stopped falling."""
        own = DATASETS[self.dataset.name].defaults.get(self.task.name, NONE).plateau_ratio
        return OBJECTIVES[self.task.name].plateau_ratio if own is None else own

    @property
    def fold(self) -> int | None:
        """The part of a cross-validation that this run tests on, from 0; None where there are no folds."""
        return getattr(self.task, "fold", None) if getattr(self.task, "folds", 0) else None


def group_of(spec: Mapping[str, Any]) -> str:
    """``RunSpec.group`` of a spec's JSON, for specs whose dataset or recipe may not be installed here."""
    data = {key: value for key, value in spec.items() if key != "seed"}
    if isinstance(task := data.get("task"), Mapping):
        data["task"] = {key: value for key, value in task.items() if key != "fold"}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_toml(text: str, what: str) -> dict[str, Any]:
    """Parse TOML; ``what`` names it in the error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{what} is not valid TOML: {error}") from None


def read_toml_file(path: Path) -> dict[str, Any]:
    """Read a TOML file; InputError if it is absent, unreadable or broken."""
    return read_toml(read_text_file(path), str(path))


def read_text_file(path: Path) -> str:
    """What a person's file holds; InputError if it is absent or unreadable."""
    try:
        return path.read_text()
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def explain(error: ValidationError, owner: type[BaseModel] = RunSpec, prefix: str = "") -> str:
    """One sentence for all the faults of a ValidationError of ``owner``, with the allowed values named."""
    return "; ".join(_fault(fault, owner, prefix) for fault in error.errors())


def _fault(fault: Any, owner: type[BaseModel], prefix: str) -> str:
    where = prefix + ".".join(str(part) for part in fault["loc"])
    raised = fault.get("ctx", {}).get("error")
    if isinstance(raised, InputError):
        return str(raised)
    if fault["type"] == "extra_forbidden":
        return str(unknown("setting", where, _settings_beside(fault["loc"], owner, prefix)))
    if fault["type"] == "missing":
        return f"{where} is missing"
    message = fault["msg"][0].lower() + fault["msg"][1:]
    return f"{where} = {fault['input']!r} is not allowed: {message.replace('input should', 'it should')}"


def _settings_beside(loc: tuple[Any, ...], owner: type[BaseModel], prefix: str) -> list[str]:
    """The dotted names that are allowed where an unknown one was found."""
    for part in loc[:-1]:
        prefix += f"{part}."
        if isinstance(part, int):
            continue  # an element of a list, whose class is known already
        annotation = owner.model_fields[part].annotation
        element = get_args(annotation)[0] if get_origin(annotation) is list else annotation
        assert isinstance(element, type)
        assert issubclass(element, BaseModel)
        owner = element
    return [prefix + name for name in owner.model_fields]
