"""Dynamic precision as a value: a ladder of formats, and the controller that climbs it.

A controller = signal × threshold × ladder (METHODS §8). It decides after each epoch, from that epoch's signals
alone and what it remembers, which step of the ladder the next epoch trains at. Nothing here needs torch: a
schedule can be previewed, and replayed on the signals of a finished run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from engine.errors import InputError
from engine.formats import Format

if TYPE_CHECKING:
    from engine.scheme import Rule

CLOCK = "epoch clock"
LOSS = "loss plateau"
DIVERSITY = "gradient diversity"
VALIDATION = "validation plateau"
START = "start"
"""What a change of precision is due to: one of the four signals, or the run's start."""

PLATEAU = 5
"""Epochs in each of the two windows of the loss ratio."""
WINDOW = 3
"""Epochs in a window of the gradient diversity, where the controller asks for no other number."""


@dataclass(frozen=True)
class Signals:
    """What is known after an epoch; None: not yet, or not finite."""

    epoch: int
    """Counted from 1; 0: before the first."""
    train_loss: float | None = None
    val_loss: float | None = None
    loss_ratio: float | None = None
    """Mean of the last 5 training losses over the mean of the 5 before, from epoch 10 on."""
    gradient_diversity: float | None = None
    """MuPPET's Δ of the window that ends with this epoch; None within a window."""
    validation_stall: float | None = None
    """Epochs since the least validation loss."""

    COLUMNS: ClassVar[tuple[str, ...]] = (
        "train_loss",
        "val_loss",
        "loss_ratio",
        "gradient_diversity",
        "validation_stall",
    )
    """Columns of a run's per-epoch table that hold them."""


@dataclass(frozen=True)
class Assignment:
    """A format for what these sites have in these products (none named: all)."""

    format: Format
    sites: tuple[str, ...] = ()
    products: tuple[str, ...] = ()

    def covers(self, rule: Rule) -> bool:
        in_products = not self.products or (rule.products is not None and set(rule.products) <= set(self.products))
        return in_products and (not self.sites or rule.site in self.sites)


@dataclass(frozen=True)
class Step:
    """A step of a ladder: which rules get which format; the first assignment that covers a rule counts."""

    label: str
    assignments: tuple[Assignment, ...]

    @classmethod
    def of(cls, format: Format) -> Step:
        """The short form: one format for all."""
        return cls(format.name, (Assignment(format),))

    def format(self, rule: Rule) -> Format | None:
        """The rule's format at this step; None: the rule keeps its own."""
        return next((each.format for each in self.assignments if each.covers(rule)), None)


@dataclass(frozen=True)
class Decision:
    """From the next epoch on, the ladder's step ``step`` holds; why, in numbers and in words."""

    step: int
    signal: str
    reason: str
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Parameter:
    """A number of a controller that a person may turn."""

    name: str
    default: float
    least: float
    most: float
    step: float
    meaning: str


@dataclass(frozen=True)
class Controller(ABC):
    """A rule of decision; its fields are its parameters."""

    signal: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    @property
    def clocked(self) -> bool:
        """Whether all decisions are known before the run."""
        return self.signal == CLOCK

    @property
    def window(self) -> int:
        """Epochs in a window of the gradient diversity."""
        return WINDOW

    def first(self, steps: int) -> int:
        """The step that the first epoch trains at."""
        return 0

    def may_decide(self, course: Course, epoch: int) -> bool:
        """Whether something may follow from this epoch, whatever its signals are; asked ahead of it."""
        return not self.clocked or self.decide(course, Signals(epoch)) is not None

    @abstractmethod
    def decide(self, course: Course, signals: Signals) -> Decision | None:
        """What follows from an epoch; None: the next one trains at the same step."""


@dataclass(frozen=True)
class Schedule:
    """A ladder (at least one step) and the controller that moves on it."""

    ladder: tuple[Step, ...]
    controller: Controller

    def within(self, sites: Iterable[str]) -> Schedule:
        """The same for these sites only: what other parts of a scheme quantize keeps its formats."""
        own = tuple(sorted(sites))
        ladder = [
            replace(
                step, assignments=tuple(each if each.sites else replace(each, sites=own) for each in step.assignments)
            )
            for step in self.ladder
        ]
        return replace(self, ladder=tuple(ladder))

    @property
    def first(self) -> Step:
        """The step that the first epoch trains at."""
        return self.ladder[self.controller.first(len(self.ladder))]

    def begin(self, epochs: int, plateau_ratio: float) -> Course:
        """The course of a run of so many epochs. ``plateau_ratio``: the task's threshold of the loss ratio."""
        return Course(self, epochs, plateau_ratio, self.controller.first(len(self.ladder)))


@dataclass
class Course:
    """Where a run stands on its ladder, with all that the controller remembers."""

    schedule: Schedule
    epochs: int
    plateau_ratio: float
    step: int = 0
    since: int = 1
    """The first epoch at this step."""
    memory: dict[str, Any] = field(default_factory=dict)
    """Numbers, and lists of numbers, by the controller's own names."""

    def after(self, signals: Signals) -> Decision | None:
        """Hear an epoch's signals. A decision has taken effect on ``step`` when it is returned."""
        if signals.epoch >= self.epochs:
            return None
        decision = self.schedule.controller.decide(self, signals)
        if decision is None:
            return None
        self.step, self.since = decision.step, signals.epoch + 1
        return decision

    def may_decide(self, epoch: int) -> bool:
        """Whether a decision may follow from this epoch, as long as none is taken before it."""
        return epoch < self.epochs and self.schedule.controller.may_decide(self, epoch)

    @property
    def steps(self) -> int:
        return len(self.schedule.ladder)

    @property
    def at_top(self) -> bool:
        return self.step + 1 >= self.steps

    @property
    def label(self) -> str:
        return self.schedule.ladder[self.step].label

    @property
    def next_label(self) -> str:
        return self.schedule.ladder[min(self.step + 1, self.steps - 1)].label

    def state(self) -> dict[str, Any]:
        """All that changes in a run, as JSON."""
        memory = {name: list(value) if isinstance(value, list) else value for name, value in self.memory.items()}
        return {"step": self.step, "since": self.since, "memory": memory}

    def restore(self, state: dict[str, Any]) -> None:
        self.step, self.since, self.memory = state["step"], state["since"], dict(state["memory"])


def read_ladder(elements: Sequence[str], text: str, *, least: int = 1) -> list[Format]:
    """The formats of a list. Raises InputError where it is too short or names an unknown format."""
    from engine.formats import get_format

    if len(elements) < least:
        given = "no format" if not elements else "only " + ", ".join(elements)
        raise InputError(f"the scheme {text!r} names {given}: its list needs at least {least}")
    return [get_format(element) for element in elements]


def check_rising(formats: Iterable[Format], text: str) -> None:
    """Raise InputError where a format is not wider than the one before it."""
    for low, high in pairwise(formats):
        if high.bits <= low.bits:
            raise InputError(
                f"the scheme {text!r}: a ladder goes up, and {high.name} is not wider than {low.name}: "
                "name the formats from the narrowest to the widest, each once"
            )


def widths_between(low: Format, high: Format, text: str) -> list[Format]:
    """Every format of one family from ``low`` to ``high``, both included.

    Raises InputError where they are of two families, or ``high`` is the narrower.
    """
    family = formats_like(low)
    names = [format.name for format in family]
    if high.name not in names:
        raise InputError(
            f"the scheme {text!r}: {low.name} and {high.name} are not widths of one family, so there is nothing "
            f"to count from one to the other: write out the ladder, such as [{low.name} -> … -> {high.name}]"
        )
    if high.bits < low.bits:
        raise InputError(f"the scheme {text!r} starts at {low.name}, above its end {high.name}: swap them")
    return family[names.index(low.name) : names.index(high.name) + 1]


def formats_like(format: Format) -> list[Format]:
    """The formats that differ from this one in their number only (int8: int1 … int16), narrowest first."""
    import re

    from engine.formats import list_formats

    def shape(name: str) -> str:
        return re.sub(r"\d+", "#", name, count=1)

    return sorted((each for each in list_formats() if shape(each.name) == shape(format.name)), key=lambda f: f.bits)


def check_unbroken(formats: Sequence[Format], text: str) -> None:
    """Raise InputError where two neighbours of one family leave a width between them out."""
    for low, high in pairwise(formats):
        family = [each.name for each in formats_like(low)]
        if high.name not in family:
            continue
        skipped = family[family.index(low.name) + 1 : family.index(high.name)]
        if skipped:
            raise InputError(
                f"the scheme {text!r} skips {', '.join(skipped)} between {low.name} and {high.name}: its controller "
                "raises by one width at a time, so name every one"
            )
