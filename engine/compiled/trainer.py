"""A trainer whose epochs run compiled where there is a way (engine.compiled.plan), several at a time.

The training loop sees no difference but that several epochs are done at once: each with its own numbers, none of them
past what the loop allows (a controller's next decision, an epoch to look into), and together in no more than 0.2 s, so
that a run can be cancelled and kept between them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.compiled import tables
from engine.compiled.gcn import Diversity, train_epochs
from engine.compiled.plan import Compiled, compile_plan, why_plain
from engine.datasets.progress import tell
from engine.events import EpochFinished
from engine.problem import SPLITS
from engine.scheme import Phase
from engine.signals import GradientDiversity
from engine.trained import BestModel
from engine.trainer import Trained, Trainer

CHUNK_SECONDS = 0.1
"""What the epochs of one call take together, by the pace of the call before: half of what is promised."""
COMPILING = "compiling the epochs, once after installing (about half a minute)"


class CompiledTrainer(Trainer):
    """``Trainer``, faster. State, checkpoints and results are of the same kind and on the same tensors."""

    _compiled: tuple[Any, Compiled] | None = None
    _pace: float | None = None
    """Seconds an epoch, of the last call."""

    def train(
        self, first: int, last: int, best: BestModel, diversity: GradientDiversity, *, record: bool = False
    ) -> list[Trained]:
        if record or self.partial is not None or self.why_plain is not None:
            return super().train(first, last, best, diversity, record=record)
        done = self._train(first, last, best, diversity)
        # Something was not finite in the first of them: the plain path says what.
        return done or super().train(first, last, best, diversity)

    @property
    def why_plain(self) -> str | None:
        return why_plain(self)

    def enter(self, phase: Phase, first: int = 1) -> None:
        super().enter(phase, first)
        self._compiled = None

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._compiled = None

    def _plan(self) -> Compiled:
        """The tables; anew where a controller has changed formats (or a phase, or a restored state, the tensors)."""
        made_of = tuple(self.live.formats())
        if self._compiled is None or self._compiled[0] != made_of:
            self._compiled = (made_of, compile_plan(self))
        return self._compiled[1]

    def _train(self, first: int, last: int, best: BestModel, diversity: GradientDiversity) -> list[Trained]:
        plan = self._plan()
        most = 1 if self._pace is None else max(1, int(CHUNK_SECONDS / self._pace))
        epochs = range(first, min(last, first + most - 1) + 1)
        said = np.empty((len(epochs), tables.SAID))
        window = _open(diversity, plan)
        plan.take_draws()
        before = plan.quantizers.draws.copy()
        state = self.optimizer.state
        count = int(next(iter(state.values()))["step"])
        kept = np.nan if best.value is None else best.value
        if not _is_compiled():
            tell(COMPILING)
        began = time.perf_counter()
        done, place = train_epochs(
            first,
            self.steps,
            count,
            kept,
            self.phase.counts,
            diversity.window,
            np.array([self.rate(epoch) for epoch in epochs]),
            float(self.spec.training.weight_decay),
            said,
            *plan.arguments,
            window,
            plan.room,
        )
        seconds = time.perf_counter() - began
        if not done:
            return []
        self._pace = seconds / done
        self.steps += done
        for moments in state.values():
            moments["step"] += done
        self.set_rate(first + done - 1)
        self.empty = frozenset(split for split in SPLITS if not self._sizes(plan)[split])
        drawn = (plan.quantizers.draws - before) // done
        rows = [
            self._row(epoch, plan, values, seconds / done) for epoch, values in zip(epochs, said[:done], strict=False)
        ]
        if place >= 0:
            self._tell(best, rows[place], plan, before + drawn * (place + 1))
        plan.give_draws()
        plan.attach_gradients(self)
        _close(diversity, plan, window)
        spread = [None if np.isnan(value) else float(value) for value in said[:done, tables.DIVERSITY]]
        return [Trained(row, None, each) for row, each in zip(rows, spread, strict=True)]

    def _sizes(self, plan: Compiled) -> dict[str, int]:
        labels = plan.labels
        return {"train": labels.train.size, "val": labels.val.size, "test": labels.test.size}

    def _row(self, epoch: int, plan: Compiled, values: np.ndarray, seconds: float) -> EpochFinished:
        sizes = self._sizes(plan)
        hits = zip(SPLITS, values[[tables.TRAIN_HITS, tables.VAL_HITS, tables.TEST_HITS]].tolist(), strict=True)
        scores = {split: count / sizes[split] * 100 if sizes[split] else None for split, count in hits}
        return EpochFinished(
            epoch=epoch,
            train_loss=float(values[tables.TRAIN_LOSS]),
            val_loss=float(values[tables.VAL_LOSS]) if sizes["val"] else None,
            test_loss=float(values[tables.TEST_LOSS]) if sizes["test"] else None,
            train_metric=scores["train"],
            val_metric=scores["val"],
            test_metric=scores["test"],
            seconds=seconds,
            counts=self.phase.counts,
        )

    def _tell(self, best: BestModel, row: EpochFinished, plan: Compiled, draws: np.ndarray) -> None:
        """``best`` hears of an epoch before the last of a call, with the model as it then was."""
        learned, quantizers = plan.learned, plan.quantizers
        now, drawn = learned.theta.copy(), quantizers.draws.copy()
        learned.theta[:], quantizers.draws[:] = learned.best, draws
        plan.give_draws()
        best.after(row, self.model, self.live)
        learned.theta[:], quantizers.draws[:] = now, drawn


def _is_compiled() -> bool:
    """Whether the epochs' kernels are in this process, or on disk from where they are soon loaded."""
    dispatcher: Any = train_epochs
    folder = dispatcher.stats.cache_path
    return bool(dispatcher.signatures) or (folder is not None and any(Path(folder).glob("gcn.train_epochs-*.nbi")))


def _open(diversity: GradientDiversity, plan: Compiled) -> Diversity:
    """The window that the epochs go on with."""
    starts = plan.learned.starts
    window = Diversity(
        np.zeros(int(starts[-1]), np.float32),
        np.zeros((diversity.window, len(starts) - 1), np.float32),
        np.zeros(1, np.int64),
    )
    for index, (total, squares) in diversity.sums.items():
        window.total[starts[index] : starts[index + 1]] = total.numpy().reshape(-1)
        window.squares[: len(squares), index] = [float(square) for square in squares]
        window.filled[0] = len(squares)
    return window


def _close(diversity: GradientDiversity, plan: Compiled, window: Diversity) -> None:
    starts, filled = plan.learned.starts, int(window.filled[0])
    diversity.sums = {}
    if filled:
        for index, (begin, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
            squares = [torch.tensor(square, dtype=torch.float32) for square in window.squares[:filled, index].tolist()]
            shape = plan.gradients[index].shape
            diversity.sums[index] = (torch.from_numpy(window.total[begin:end].copy()).view(shape), squares)
