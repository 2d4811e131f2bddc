"""What a sweep's tables say beside its runs: a paper's figures, what is compared, what is concluded.

``provenance`` has one value throughout: a figure that was only recalled is a yardstick while working and is not shown.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.axes import values_of
from engine.catalogue import unknown
from engine.errors import InputError
from engine.events import MeasuredQuantity
from engine.ledger.figures import FIGURES
from engine.scheme import parse_scheme

CurveQuantity = Literal[
    "train_loss", "val_loss", "test_loss", "train_metric", "val_metric", "test_metric", "average_bits"
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Published(_Part):
    """A figure of a paper for one cell of the sweep, with where it stands.

    Of the task's metric, unless one of ``metric``, ``also`` and ``figure`` names what else it is of.
    """

    dataset: str
    model: str
    scheme: str
    value: float
    std: float | None = None
    source: str
    metric: MeasuredQuantity | None = None
    """A measured quantity; ``value`` is then in bytes or seconds."""
    also: str | None = None
    """Another test metric at best validation, by its name: "accuracy at ½ (%)"."""
    figure: str | None = None
    """What follows from the cost ledger, by the name of its definition: "feature_saving"."""
    selection: Literal["best validation", "last", "best test"] = "best validation"
    """The epoch that the paper reports: it is shown beside our value of the same selection."""
    provenance: Literal["given"]

    @field_validator("scheme")
    @classmethod
    def _scheme(cls, value: str) -> str:
        return str(parse_scheme(value))

    @field_validator("figure")
    @classmethod
    def _figure(cls, value: str | None) -> str | None:
        if value is not None and value not in FIGURES:
            raise unknown("figure", value, list(FIGURES))
        return value

    @model_validator(mode="after")
    def _one(self) -> Published:
        given = [name for name in ("metric", "also", "figure") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"a published figure is of one thing, not of {' and '.join(given)}: leave all but one out")
        if given and self.selection != "best validation":
            raise InputError(
                f"selection = {self.selection!r} goes with the task's metric alone: leave it or {given[0]} out"
            )
        return self


class Comparison(_Part):
    """Scheme ``a`` minus scheme ``b``, seed by seed."""

    a: str
    b: str


class Family(_Part):
    """Schemes of which the densest is sought, and the densities that a paper concludes with."""

    name: str
    schemes: Any = None
    """A list, or a range in a text (engine.axes)."""
    starts: list[str] = []
    """Instead: what a scheme's text begins with."""
    memory: float | None = None
    arithmetic: float | None = None
    source: str | None = None
    provenance: Literal["given"] | None = None

    @model_validator(mode="after")
    def _told(self) -> Family:
        if (self.schemes is None) == (not self.starts):
            raise InputError(f"the family {self.name!r} is told by schemes or by starts: give one of them")
        if (self.memory is not None or self.arithmetic is not None) and not (self.source and self.provenance):
            raise InputError(f"the family {self.name!r} has published densities: give their source and provenance")
        self.listed()
        return self

    def listed(self) -> frozenset[str]:
        """The schemes that it names, as they are printed. Raises InputError."""
        if self.schemes is None:
            return frozenset()
        return frozenset(str(parse_scheme(text)) for text in values_of(self.schemes, "conclusion.families.schemes"))

    def holds(self, scheme: str) -> bool:
        """Whether a scheme, as it is printed, belongs to it."""
        return scheme in self.listed() or any(scheme.startswith(text) for text in self.starts)


class Conclusion(_Part):
    """Of each family the scheme of the highest arithmetic density that stays near the baseline."""

    within: Annotated[float, Field(ge=0)]
    """How much worse than the baseline the mean may be, in the metric's unit (points of a percentage)."""
    families: Annotated[list[Family], Field(min_length=1)]
