"""Model, optimizer and live scheme of one run: an epoch is its batches' steps, then an evaluation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from engine.events import DiagnosticsRecorded, EpochFinished
from engine.layers.operand import Activation
from engine.live import LiveScheme, bind
from engine.models import MODELS
from engine.problem import SPLITS, Batch, Problem, Values
from engine.scheme import Phase
from engine.signals import GradientDiversity
from engine.spec import RunSpec
from engine.topology import Topology
from engine.trained import BestModel


@dataclass
class Partial:
    """An epoch of which some batches are trained."""

    epoch: int
    shares: list[tuple[float, int]]
    """Loss and weight of each trained batch."""
    diagnostics: DiagnosticsRecorded | None = None
    seconds: float = 0.0
    """What they took."""


@dataclass(frozen=True)
class Trained:
    """An epoch that is done; ``diversity``: of the gradients of the window that ends with it."""

    row: EpochFinished
    diagnostics: DiagnosticsRecorded | None
    diversity: float | None


class Trainer:
    """What one run holds in memory. ``steps`` counts the optimizer's steps, and those of phases that learn nothing.

    The gradients of an epoch's last batch stay in the parameters' ``.grad`` until the next step. ``stepped`` hears of
    each step: its number in the epoch, from 1, and how many the epoch has (of compiled epochs it does not).
    """

    def __init__(
        self, spec: RunSpec, problem: Problem, device: torch.device, stepped: Callable[[int, int], None] | None = None
    ) -> None:
        self.spec, self.problem, self.stepped = spec, problem, stepped
        self.model = MODELS[spec.model.name].build(spec.model, problem.size)
        self.model.reset_parameters(spec.seed)  # pyright: ignore[reportCallIssue]
        self.model.to(device)
        self.live: LiveScheme = bind(spec.parsed_scheme, self.model, nodes=problem.size.nodes, seed=spec.seed)
        self.live.to(device)
        self.steps = 0
        self.partial: Partial | None = None
        """The epoch in training, between two of its steps."""
        self.empty: frozenset[str] = frozenset()
        """Splits that hold nothing to judge, as the last evaluation found."""
        self.enter(Phase("train"))

    def enter(self, phase: Phase, first: int = 1) -> None:
        """Begin a phase, with a fresh optimizer and no gradients of the one before; ``first``: its first epoch, where
        the learning rate is whole."""
        self.model.zero_grad()
        self.phase, self.first = phase, first
        self.live.enabled = phase.quantized
        training = self.spec.training
        self.optimizer = torch.optim.Adam(
            [{"params": list(self.model.parameters())}, *self.live.parameter_groups()],
            lr=training.lr,
            weight_decay=training.weight_decay,
        )
        self._rates = [group["lr"] for group in self.optimizer.param_groups]

    def _rate_factor(self, epoch: int) -> float:
        training = self.spec.training
        return training.lr_factor ** ((epoch - self.first) // training.lr_step) if training.lr_step else 1.0

    def rate(self, epoch: int) -> float:
        """The model's learning rate in an epoch: the spec's, times lr_factor every lr_step epochs of the phase."""
        return self.spec.training.lr * self._rate_factor(epoch)

    def set_rate(self, epoch: int) -> None:
        """The learning rates of an epoch: those of the phase's start, times its factor."""
        if not self.spec.training.lr_step:
            return
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._rate_factor(epoch)

    def state(self) -> dict[str, Any]:
        """Parameters, optimizer, ranges and draws, the count of steps, and what an epoch in training has so far."""
        partial = self.partial
        return {
            "partial": partial
            and {
                "epoch": partial.epoch,
                "shares": partial.shares,
                "diagnostics": partial.diagnostics and partial.diagnostics.model_dump_json(),
                "seconds": partial.seconds,
                # The signals read those of an epoch's last step.
                "gradients": [parameter.grad for parameter in self.model.parameters()],
            },
            "model": self.model.state_dict(),
            "live": self.live.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; the phase was entered, and the formats are those that it was made with."""
        self.model.load_state_dict(state["model"])
        self.live.load_state_dict(state["live"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]
        if partial := state["partial"]:
            diagnostics = partial["diagnostics"] and DiagnosticsRecorded.model_validate_json(partial["diagnostics"])
            shares = [(loss, weight) for loss, weight in partial["shares"]]
            self.partial = Partial(partial["epoch"], shares, diagnostics, partial["seconds"])
            for parameter, gradient in zip(self.model.parameters(), partial["gradients"], strict=True):
                parameter.grad = None if gradient is None else gradient.to(parameter.device)

    why_plain: str | None = "it is switched off (BITFRONT_COMPILED)"
    """Why epochs do not run compiled (engine.compiled), in words."""

    def train(
        self, first: int, last: int, best: BestModel, diversity: GradientDiversity, *, record: bool = False
    ) -> list[Trained]:
        """Train the epoch ``first``, and perhaps those after it up to ``last``, which ``best`` and ``diversity`` hear.

        ``record``: with diagnostics of the first one.
        """
        row, diagnostics = self.epoch(first, record=record)
        best.after(row, self.model, self.live)
        return [Trained(row, diagnostics, diversity.after(first, self.model.parameters()))]

    def epoch(self, epoch: int, *, record: bool = False) -> tuple[EpochFinished, DiagnosticsRecorded | None]:
        """Train on every batch of an epoch (from 1) and evaluate; ``record``: with diagnostics of its first step.

        An epoch of which a restored state has some batches goes on with the next one.
        """
        now = self.partial or Partial(epoch, [])
        began = time.perf_counter() - now.seconds
        self.set_rate(epoch)
        shares = now.shares
        for batch in islice(self.problem.batches(epoch), len(shares), None):
            if record and now.diagnostics is None:
                with self.live.recording() as recorder:
                    loss = self._step(batch)
                now.diagnostics = DiagnosticsRecorded(epoch=epoch, rows=recorder.rows)
            else:
                loss = self._step(batch)
            shares.append((loss, batch.weight))
            if self.stepped is not None:
                now.seconds, self.partial = time.perf_counter() - began, now
                self.stepped(len(shares), self.problem.size.batches)
        self.partial = None
        losses, scores = self._evaluate()
        self.empty = frozenset(split for split in SPLITS if losses[split] is None)
        total = sum(weight for _, weight in shares)
        event = EpochFinished(
            epoch=epoch,
            train_loss=sum(loss * (weight / total) for loss, weight in shares),
            val_loss=losses["val"],
            test_loss=losses["test"],
            train_metric=scores["train"],
            val_metric=scores["val"],
            test_metric=scores["test"],
            seconds=time.perf_counter() - began,
            counts=self.phase.counts,
            also={name: value for name, value in scores.items() if name not in SPLITS},
        )
        return event, now.diagnostics

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The forward pass of the next step: the task's loss, and what is descended (with the scheme's penalty)."""
        learns = self.phase.learns
        self.steps += 1
        self.model.train(learns)
        self.live.train()
        self.live.begin(batch.topology, seed=self.spec.seed, step=self.steps)
        with torch.set_grad_enabled(learns):
            outputs = self.model(batch.x, batch.topology, seed=self.spec.seed, step=self.steps)
            loss = self.problem.loss(outputs, batch)
            penalty = self.live.penalty() if learns and self.phase.quantized else None
        return loss, loss if penalty is None else loss + penalty

    def _step(self, batch: Batch) -> float:
        loss, objective = self.forward(batch)
        if self.phase.learns:
            self.optimizer.zero_grad()
            objective.backward()
            self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def _evaluate(self) -> tuple[Values, Values]:
        self.model.eval()
        self.live.eval()
        return self.problem.evaluate(self._predict)

    def _predict(self, x: Activation, topology: Topology) -> Tensor:
        self.live.begin(topology)
        return self.model(x, topology)
