"""A launch in three other languages: the command line, Python, a sweep's file."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from app.describe import changed, class_defaults, component_text, standard
from app.launching.plan import Checked, seeds_text
from engine.datasets import DATASETS
from engine.grammar import print_value
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.spec import RunSpec, TrainingSpec

MOST_LINES = 12
"""Command lines that are shown; of more runs, the one that launches the file."""


def said(spec: RunSpec, *, every_fold: bool = False) -> dict[str, str]:
    """Dataset, task and architecture in the grammar, as short as can be; no task where it is the usual one."""
    data, usual = spec.model_dump(mode="json"), _usual(spec)
    task = {key: value for key, value in data["task"].items() if key not in ("folds", "fold") or not every_fold}
    texts = {"dataset": component_text(data["dataset"], DATASETS)}
    text = component_text(task, OBJECTIVES, usual.get("task"))
    if text != DATASETS[spec.dataset.name].task_for(data["dataset"]):
        texts["task"] = text
    return {**texts, "model": component_text(data["model"], MODELS, usual.get("model"))}


def _usual(spec: RunSpec) -> Mapping[str, Any]:
    return standard(spec.dataset.name, spec.task.name, spec.model.name)


def settings_of(spec: RunSpec) -> dict[str, Any]:
    """What else differs from the usual, dotted: {"training.lr": 0.005, "device": "cpu"}."""
    data = spec.model_dump(mode="json")
    usual = class_defaults(TrainingSpec) | dict(_usual(spec).get("training") or {})
    found = {f"training.{key}": value for key, value in changed(data["training"], usual).items()}
    parts = {"dataset", "task", "model", "scheme", "training", "seed"}
    rest = {key: value for key, value in data.items() if key not in parts}
    return found | changed(rest, class_defaults(RunSpec))


def command_line(spec: RunSpec, seeds: Sequence[int], folds: int = 1) -> str:
    """The `bitfront run` of one group."""
    words = [word for key, text in said(spec, every_fold=folds > 1).items() for word in (f"--{key}", shlex.quote(text))]
    words += ["--scheme", shlex.quote(spec.scheme), "--seeds", seeds_text(seeds).replace(" ", "")]
    if folds > 1:
        words += ["--folds", str(folds)]
    settings = settings_of(spec)
    if "training.epochs" in settings:
        words += ["--epochs", str(settings.pop("training.epochs"))]
    for key, value in settings.items():
        words += ["--set", f"{key}={print_value(value)}"]
    return " ".join(["bitfront run", *words])


def command_lines(launch: Checked) -> str:
    """One ``bitfront run`` for each group; of many groups, the launch of their file."""
    if len(launch.cells) > MOST_LINES:
        return f"# save the sweep file as {_file_name(launch)}, then\nbitfront sweep {_file_name(launch)} --wait"
    return "\n".join(command_line(spec, launch.seeds, launch.folds) for spec in launch.cells)


def _file_name(launch: Checked) -> str:
    return shlex.quote(re.sub(r"[^\w.+-]+", "-", str(launch.table.get("name", "sweep"))) + ".toml")


def python_text(launch: Checked) -> str:
    """The same runs in a notebook: loops over schemes and seeds, or the sweep's table where there is more to it."""
    if len({spec.model_copy(update={"scheme": ""}).group for spec in launch.cells}) > 1:
        return (
            "import engine\nfrom engine.sweep import expand\n\n"
            f"sweep = expand({_literal(launch.table)})\n"
            "for spec in sweep.runs:\n    print(spec, engine.run(spec))\n"
        )
    first = launch.cells[0]
    arguments = {key: repr(text) for key, text in said(first, every_fold=launch.folds > 1).items()}
    arguments |= {"scheme": "scheme", "seed": "seed"}
    loops = [f"for scheme in {[spec.scheme for spec in launch.cells]!r}:", f"for seed in {_seeds(launch.seeds)}:"]
    if launch.folds > 1:
        loops.append(f"for fold in range({launch.folds}):")
        task = first.task.model_dump(mode="json", exclude={"fold"})
        kept = {"name": first.task.name, **changed(task, _usual(first).get("task") or {}), "folds": launch.folds}
        arguments["task"] = "{" + ", ".join(f"{key!r}: {value!r}" for key, value in kept.items()) + ", 'fold': fold}"
    settings = settings_of(first)
    training = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith("training.")}
    arguments |= {"training": repr(training)} if training else {}
    arguments |= {key: repr(value) for key, value in settings.items() if "." not in key}
    body = [
        f"spec = engine.RunSpec({', '.join(f'{key}={text}' for key, text in arguments.items())})",
        "print(scheme, seed, engine.run(spec))",
    ]
    insets = [*range(len(loops)), *[len(loops)] * len(body)]
    lines = [f"{'    ' * inset}{line}\n" for inset, line in zip(insets, [*loops, *body], strict=True)]
    return "import engine\n\n" + "".join(lines)


def _seeds(seeds: Sequence[int]) -> str:
    return f"range({len(seeds)})" if list(seeds) == list(range(len(seeds))) else repr(list(seeds))


def _literal(table: Mapping[str, Any]) -> str:
    """A table as Python, an entry a line."""
    return "{\n" + "".join(f"    {key!r}: {value!r},\n" for key, value in table.items()) + "}"


def toml_text(table: Mapping[str, Any]) -> str:
    """A sweep's table as a file for ``bitfront sweep``: plain entries first, then tables, then lists of tables."""
    return "\n".join(_lines(table, "")).strip() + "\n"


def _lines(table: Mapping[str, Any], path: str) -> list[str]:
    plain = {key: value for key, value in table.items() if not _is_part(value) and not _are_tables(value)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items() if value is not None]
    for key, value in table.items():
        name = f"{path}{_key(key)}"
        if _is_part(value):
            lines += ["", f"[{name}]", *_lines(value, f"{name}.")]
    for key, value in table.items():
        for each in value if _are_tables(value) else []:
            lines += ["", f"[[{path}{_key(key)}]]", *_lines(each, f"{path}{_key(key)}.")]
    return lines


def _is_part(value: Any) -> bool:
    """A table of its own; ranges and texts with blanks stay on their line."""
    return isinstance(value, Mapping) and not {"from", "text"} & set(value)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_part(each) for each in value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
