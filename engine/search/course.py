"""The course of a search: fp32, batches of candidates, finalists, the winner's confirmation (engine.search.file)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from engine.costs import default_table
from engine.datasets import GraphSize
from engine.errors import InputError
from engine.ledger.figures import FIGURES, Ledger
from engine.ledger.runs import run_ledger
from engine.objectives import OBJECTIVES
from engine.scheme import FP32
from engine.search.algorithms import ALGORITHMS, Algorithm, Measured, Proposal
from engine.search.cost import Costs
from engine.search.file import SearchFile, fp32_of, space_of
from engine.search.goal import Goal
from engine.search.space import Point, Space
from engine.spec import RunSpec
from engine.sweep import with_settings

ROUNDS = 3
"""So many groups of finalists are tried before a search says that none holds."""

Stage = Literal["reference", "baseline", "few", "measure", "final", "confirm"]
STAGES: Mapping[Stage, str] = {
    "reference": "the fp32 model that candidates are fine-tuned from",
    "baseline": "the same model fine-tuned on in fp32, as candidates are, which they are compared with",
    "few": "candidates, few epochs",
    "measure": "candidates, all epochs of fine-tuning",
    "final": "finalists and fp32, full training on fresh seeds",
    "confirm": "the winner and fp32, full training on still more seeds",
}


@dataclass(frozen=True)
class Trial:
    """One run of a search: why it is made, and what it is."""

    number: int
    """From 0, in the order in which they were asked for."""
    stage: Stage
    spec: RunSpec
    batch: int = 0
    point: Point | None = None
    """None: fp32."""
    cost: float | None = None
    predicted: float | None = None
    """What the cost model expected of its validation metric."""


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: a validation metric, never a test metric. ``value`` None: it failed."""

    value: float | None = None
    content: str = ""
    """Of the reference: its model's, for ``training.start_from``."""
    reason: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class Result:
    """How a search ended. ``scheme`` empty: without a winner, for the reason given."""

    scheme: str = ""
    reason: str = ""
    cost: float | None = None
    cost_fp32: float | None = None
    predicted: float | None = None
    measured: int = 0
    """Configurations that were measured."""
    few_runs: int = 0
    full_fine_tunings: int = 0
    full_trainings: int = 0
    failed: int = 0
    model_seconds: float | None = None
    """The longest choice of a batch."""
    figures: dict[str, float | None] = field(default_factory=dict)
    """The winner's, of features and bits."""

    @property
    def saving(self) -> float | None:
        """fp32's cost over the winner's."""
        return None if not self.cost or self.cost_fp32 is None else self.cost_fp32 / self.cost

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "saving": self.saving}


Wave = list[Trial]
Outcomes = dict[int, Outcome]
Course = Generator[Wave, Outcomes, Result]

SHOWN_FIGURES = (
    "feature_memory",
    "feature_saving",
    "node_memory",
    "node_saving",
    "average_bits_sgquant",
    "attention_memory",
    "weight_memory",
)


class Search:
    """The course of a search: ``ask`` for the runs that it wants now, ``tell`` each one's outcome, until ``result``.

    ``size``: what the runs train on, asked for once the reference has trained. The same outcomes lead to the same
    trials, however often it is begun anew.
    """

    def __init__(self, file: SearchFile, size: Callable[[], GraphSize]) -> None:
        self.file, self._size = file, size
        self.spec = fp32_of(file)
        self.trials: list[Trial] = []
        self.result: Result | None = None
        self._outcomes: dict[int, Outcome] = {}
        self._course = self._run()
        self._wave: list[Trial] = next(self._course)
        self._asked = False

    @cached_property
    def objective(self) -> Any:
        return OBJECTIVES[self.spec.task.name]

    def ask(self) -> list[Trial]:
        """The next runs to make, each once; empty while it waits for the last ones, and at its end."""
        if self._asked or self.result is not None:
            return []
        self._asked = True
        self.trials += self._wave
        return list(self._wave)

    def tell(self, number: int, outcome: Outcome) -> None:
        """What came of a trial that was asked for; told again, it changes nothing."""
        if not self._asked or all(trial.number != number for trial in self._wave):
            return
        self._outcomes.setdefault(number, outcome)
        if any(trial.number not in self._outcomes for trial in self._wave):
            return
        try:
            self._wave = self._course.send({trial.number: self._outcomes[trial.number] for trial in self._wave})
            self._asked = False
        except StopIteration as end:
            self.result = end.value

    def _trial(self, stage: Stage, at: int, scheme: str = FP32.name, **more: Any) -> Trial:
        return Trial(len(self.trials) + at, stage, self._spec(scheme, **more.pop("training", {})), **more)

    def _spec(self, scheme: str, seed: int | None = None, **training: Any) -> RunSpec:
        data: dict[str, Any] = {**self.file.spec, "scheme": scheme}
        if seed is not None:
            data["seed"] = seed
        return RunSpec.parse(with_settings(data, {f"training.{key}": value for key, value in training.items()}))

    def _run(self) -> Course:
        outcomes = yield [self._trial("reference", 0)]
        (reference,) = outcomes.values()
        if reference.value is None or not reference.content:
            return Result(reason=f"the fp32 model could not be trained: {reference.reason or 'it left no model'}")
        size, space = self._size(), space_of(self.file)
        costs = Costs(space, lambda scheme: self._price(scheme, size))
        # The best of a whole training's epochs is a luckier draw than the best of a fine-tuning's: like with like.
        alike = self._spec(FP32.name, epochs=self.file.epochs, start_from=reference.content)
        outcomes = yield [Trial(len(self.trials), "baseline", alike)]
        (baseline,) = outcomes.values()
        within = reference.value if baseline.value is None else baseline.value
        fp32 = self._price(FP32.name, size)
        budget = fp32 / self.file.saving if self.file.saving else self.file.budget
        goal = Goal(within, self.file.epsilon, budget, higher_is_better=self.objective.higher_is_better)
        least = costs.least()
        if goal.budget is not None and least is not None and least > goal.budget:
            return Result(
                cost_fp32=fp32,
                reason=f"no configuration of the space costs at most {goal.budget:g} ({fp32 / goal.budget:.4g}× less "
                f"than fp32): the least costs {least:g} ({fp32 / least:.4g}×); allow more, or let the space have "
                "narrower formats",
            )

        def allowed(point: Point) -> bool:
            try:
                self._candidate(space, point, reference.content, self.file.epochs)
            except InputError:
                return False
            return True

        algorithm = ALGORITHMS[self.file.algorithm](space, costs, goal, self.file.sizes, self.file.seed, allowed)
        measured = yield from self._measure(algorithm, reference.content)
        spent = Result(
            cost_fp32=fp32,
            measured=len(algorithm.told),
            few_runs=sum(trial.stage == "few" for trial in self.trials),
            full_fine_tunings=sum(trial.stage == "measure" for trial in self.trials),
            failed=sum(each.value is None for each in algorithm.told),
            model_seconds=max(algorithm.model_seconds, default=None),
        )
        return (yield from self._settle(space, goal, measured, spent, size))

    def _measure(self, algorithm: Algorithm, content: str) -> Generator[Wave, Outcomes, list[Measured]]:
        """The batches; gives the points that were trained in full."""
        few, in_full = self.file.few, list[Measured]()
        while batch := algorithm.ask():
            costs = {each.point: algorithm.costs.of(each.point) for each in batch}
            values: dict[Point, float | None] = {}
            chosen = batch
            if few is not None:
                values |= yield from self._candidates("few", algorithm, batch, content, few.epochs)
                chosen = [each for each in batch if values[each.point] is not None]
                chosen.sort(key=lambda each: algorithm.goal.key(values[each.point], costs[each.point]))
                chosen = chosen[: max(1, round(few.keep * len(batch)))]
            if chosen:
                found = yield from self._candidates("measure", algorithm, chosen, content, self.file.epochs)
                in_full += [Measured(point, value, costs[point]) for point, value in found.items()]
                values |= found
            algorithm.tell(Measured(each.point, values[each.point], costs[each.point]) for each in batch)
        return in_full

    def _candidates(
        self, stage: Stage, algorithm: Algorithm, batch: Sequence[Proposal], content: str, epochs: int
    ) -> Generator[Wave, Outcomes, dict[Point, float | None]]:
        """Fine-tune points from fp32; gives the validation metric of each."""
        wave = [
            Trial(
                len(self.trials) + place,
                stage,
                self._candidate(algorithm.space, each.point, content, epochs),
                algorithm.batch,
                each.point,
                algorithm.costs.of(each.point),
                each.predicted,
            )
            for place, each in enumerate(batch)
        ]
        outcomes = yield wave
        return {each.point: outcomes[trial.number].value for each, trial in zip(batch, wave, strict=True)}

    def _settle(self, space: Space, goal: Goal, measured: list[Measured], spent: Result, size: GraphSize) -> Course:
        """Finalists, then the winner's confirmation."""
        unit, metric = self.objective.unit, self.objective.metric
        ranked = sorted(measured, key=lambda each: goal.key(each.value, each.cost))
        met = [each for each in ranked if goal.is_met(each.value, each.cost)]
        if not met:
            return replace(spent, reason=_none_met(space, goal, ranked, metric, unit))
        first = self.spec.seed + 1
        chosen, seeds = met[0], range(first, first + self.file.final_seeds)
        if seeds:
            found = None
            plain: dict[int, Outcome] = {}
            nearest: float | None = None
            for start in range(0, min(len(met), ROUNDS * self.file.finalists), self.file.finalists):
                some = met[start : start + self.file.finalists]
                found, lost = yield from self._finals(space, goal, some, list(seeds), plain)
                nearest = lost if nearest is None or (lost is not None and lost < nearest) else nearest
                if found is not None:
                    break
            if found is None:
                lost_text = "none could be trained" if nearest is None else f"the nearest loses {nearest:.2f} {unit}"
                return replace(
                    spent,
                    full_trainings=self._full_trainings,
                    reason=f"no finalist keeps the goal in full training on {len(seeds)} fresh seeds ({lost_text}): "
                    "allow a larger drop, measure more, or let the space have wider formats",
                )
            chosen = found
        begin = first + self.file.final_seeds
        yield from self._in_full("confirm", space, [chosen], range(begin, begin + self.file.confirm), {})
        scheme = space.scheme(chosen.point)
        ledger = Ledger(run_ledger(self._tuned(scheme), size), default_table())
        return replace(
            spent,
            scheme=scheme,
            cost=chosen.cost,
            full_trainings=self._full_trainings,
            figures={name: FIGURES[name].compute(ledger) for name in SHOWN_FIGURES},
        )

    @property
    def _full_trainings(self) -> int:
        return sum(trial.stage in ("reference", "final", "confirm") for trial in self.trials)

    def _finals(
        self, space: Space, goal: Goal, some: list[Measured], seeds: list[int], plain: dict[int, Outcome]
    ) -> Generator[Wave, Outcomes, tuple[Measured | None, float | None]]:
        """The best of some finalists by the mean over the seeds, if one meets the goal, and the least that one loses.

        ``plain``: what fp32 has given by seed.
        """
        values = yield from self._in_full("final", space, some, seeds, plain)
        found: list[tuple[Measured, float]] = []
        for each in some:
            pairs = [(plain[seed].value, value) for seed, value in values[each.point].items()]
            drops = [
                goal.drop(value) - goal.drop(base) for base, value in pairs if base is not None and value is not None
            ]
            if len(drops) == len(seeds):
                found.append((each, statistics.fmean(drops)))
        sign = -1 if goal.higher_is_better else 1
        judged = [(each, goal.reference + sign * drop, drop) for each, drop in found]
        met = [row for row in judged if goal.is_met(row[1], row[0].cost)]
        met.sort(key=lambda row: goal.key(row[1], row[0].cost))
        return (met[0][0] if met else None), min((drop for *_, drop in judged), default=None)

    def _in_full(
        self, stage: Stage, space: Space, some: Sequence[Measured], seeds: Sequence[int], plain: dict[int, Outcome]
    ) -> Generator[Wave, Outcomes, dict[Point, dict[int, float | None]]]:
        """Train points from the beginning: fp32 with each seed, then each point from that seed's own fp32 model for as
        many epochs again; gives their validation metrics by seed, of the seeds whose fp32 was trained.

        ``plain``: what fp32 has given by seed; what is missing is added.
        """
        missing = [seed for seed in seeds if seed not in plain]
        if missing:
            wave = [self._trial(stage, place, training={"seed": seed}) for place, seed in enumerate(missing)]
            outcomes = yield wave
            plain |= {trial.spec.seed: outcomes[trial.number] for trial in wave}
        pairs = [(seed, each) for seed in seeds for each in some if plain[seed].content]
        found: dict[Point, dict[int, float | None]] = {each.point: {} for each in some}
        if pairs:
            wave = [
                self._trial(
                    stage,
                    place,
                    space.scheme(each.point),
                    training={"seed": seed, "start_from": plain[seed].content},
                    point=each.point,
                    cost=each.cost,
                )
                for place, (seed, each) in enumerate(pairs)
            ]
            outcomes = yield wave
            for (seed, each), trial in zip(pairs, wave, strict=True):
                found[each.point][seed] = outcomes[trial.number].value
        return found

    def _candidate(self, space: Space, point: Point, content: str, epochs: int) -> RunSpec:
        return self._spec(space.scheme(point), epochs=epochs, start_from=content)

    def _tuned(self, scheme: str) -> RunSpec:
        """A candidate's spec with no model in particular, for its ledger: no epoch of it only prepares."""
        return self._spec(scheme, epochs=self.file.epochs, start_from="0" * 64)

    def _price(self, scheme: str, size: GraphSize) -> float:
        figure = FIGURES[self.file.figure]
        value = figure.compute(Ledger(run_ledger(self._tuned(scheme), size), default_table()))
        if value is None:
            raise InputError(f"{figure.title} does not apply to {self.spec.model.name}: name another figure")
        return value


def _none_met(space: Space, goal: Goal, ranked: Sequence[Measured], metric: str, unit: str) -> str:
    if goal.budget is not None:
        return (
            f"no configuration of the {len(ranked)} measured costs at most {goal.budget:g}: allow more, or measure more"
        )
    trained = [each for each in ranked if each.value is not None]
    if not trained:
        return f"none of the {len(ranked)} configurations could be trained: look at why its runs failed"
    nearest = trained[0]
    assert nearest.value is not None
    return (
        f"no configuration of the {len(ranked)} measured is within epsilon = {goal.epsilon:g} of fp32's validation "
        f"{metric} {goal.reference:.4g} {unit}: the nearest, {space.scheme(nearest.point)}, loses "
        f"{goal.drop(nearest.value):.4g}; allow a larger drop, or let the space have wider formats"
    )
