"""Every run of the store as a row for comparing, with its spec in short words."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from app.comparison.frames import Frame
from app.describe import spec_texts
from app.run_table import dataset_label
from app.theme import scheme_family

Ask = Callable[..., pa.Table]
"""Asks the store: the name of a query and its parameters."""

MOST_RUNS = 100_000


@dataclass
class KnownSpecs:
    """What groups share, by group id: asked for once, since a group's id is a hash of it."""

    texts: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """(dataset and task, architecture, other settings) as ``app.describe.spec_texts`` says them."""
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Every field of the spec by its dotted name."""
    values: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The values that occur, by the field's dotted name."""
    specs: dict[str, str] = field(default_factory=dict)
    """The spec's JSON text."""

    def learn(self, ask: Ask, groups: Iterable[str]) -> None:
        """Ask for the groups that are not known yet."""
        missing = [group for group in dict.fromkeys(groups) if group not in self.texts]
        if not missing:
            return
        for row in ask("group_specs", groups=missing).to_pylist():
            group, text = row["group_id"], row["spec"]
            self.specs[group], self.fields[group] = text, flattened(json.loads(text))
            for name, value in self.fields[group].items():
                self.values[name].add(str(value))
            self.texts[group] = spec_texts(text)  # last: whoever finds it here finds the rest too

    def varying(self) -> list[str]:
        """The dotted fields, the names of catalogues aside, that differ between groups."""
        told = {"dataset.name", "model.name", "task.name"}
        return sorted(
            name for name, values in self.values.items() if len(values) > 1 and "." in name and name not in told
        )


def flattened(spec: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A spec's fields by dotted names: ``training.lr``. Lists stay whole."""
    found: dict[str, Any] = {}
    for name, value in spec.items():
        if isinstance(value, Mapping):
            found |= flattened(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def load_results(ask: Ask, known: KnownSpecs, scope: str, coverage: str, *, candidates: bool = False) -> Frame:
    """The store's ``results`` in this scope and coverage, newest first, described.

    Added or put into words: ``dataset`` (with task and options; generated data says so), ``model`` with its options,
    ``settings`` (what else differs from the defaults), ``family`` of the scheme. The bare names are ``dataset_name``
    and ``model_name``. ``candidates``: with the runs that a search fine-tuned for a few epochs only. Raises
    StoreUnavailable.
    """
    shown = "shown" if candidates else "hidden"
    frame = ask("results", scope=scope, coverage=coverage, candidates=shown, limit=MOST_RUNS).to_pandas()
    groups = frame["group_id"]
    known.learn(ask, groups.unique())
    frame = frame.rename(columns={"dataset": "dataset_name", "model": "model_name"})
    texts = known.texts
    generated = set(groups[frame["synthetic"].astype(bool)])
    words = {
        group: (dataset_label(texts[group][0], group in generated), *texts[group][1:]) for group in groups.unique()
    }
    for place, name in enumerate(("dataset", "model", "settings")):
        frame[name] = groups.map({group: each[place] for group, each in words.items()})
    frame["family"] = frame["scheme"].map({scheme: scheme_family(scheme) for scheme in frame["scheme"].unique()})
    return frame


def is_field(known: KnownSpecs, name: str) -> bool:
    """Whether this is a spec's field by its dotted name: no other name can be that of a column of the results."""
    return "." in name and name in known.values


def with_fields(frame: Frame, known: KnownSpecs, fields: Sequence[str]) -> Frame:
    """The results with fields of their specs, by dotted names, as columns of text."""
    groups = frame["group_id"]
    unique = groups.unique()
    return frame.assign(
        **{name: groups.map({group: _said(known.fields[group].get(name)) for group in unique}) for name in fields}
    )


def _said(value: Any) -> str:
    return "–" if value is None else str(value)
