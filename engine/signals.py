"""The signals that controllers decide by, measured in every run whatever its controller (METHODS §8).

Loss ratio and validation stall are arithmetic on the losses. Gradient diversity [MuPPET] keeps, for each parameter,
the sum of the gradients of a window's last batches and of their squared norms: Δ = mean over the parameters of
Σ_k‖∇_k‖² / ‖Σ_k ∇_k‖², parameters whose gradients are all zero left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from engine.schedule import PLATEAU, WINDOW, Signals


class SignalLog:
    """Hears each epoch's losses and gradients, and says its signals."""

    def __init__(self, window: int = WINDOW) -> None:
        self.window = window
        self.losses: list[float] = []
        self.least = math.inf
        self.least_epoch = 0
        self.diversity = GradientDiversity(window)

    def after(
        self, epoch: int, train_loss: float | None, val_loss: float | None, parameters: Iterable[nn.Parameter] = ()
    ) -> Signals:
        """The signals of an epoch (from 1); ``parameters`` still hold the gradients of its last batch."""
        return self.hear(epoch, train_loss, val_loss, self.diversity.after(epoch, parameters))

    def hear(self, epoch: int, train_loss: float | None, val_loss: float | None, diversity: float | None) -> Signals:
        """The signals of an epoch of whose gradients ``self.diversity`` has heard already, and said this."""
        self.losses = [*self.losses[1 - 2 * PLATEAU :], math.nan if train_loss is None else train_loss]
        ratio = None
        if len(self.losses) == 2 * PLATEAU:
            before = sum(self.losses[:PLATEAU])
            ratio = sum(self.losses[PLATEAU:]) / before if before else None
        if val_loss is not None and val_loss < self.least:
            self.least, self.least_epoch = val_loss, epoch
        return Signals(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=val_loss,
            loss_ratio=ratio if ratio is not None and math.isfinite(ratio) else None,
            gradient_diversity=diversity,
            validation_stall=float(epoch - self.least_epoch) if self.least_epoch else None,
        )

    def state(self) -> dict[str, Any]:
        """All that later signals depend on."""
        return {
            "losses": list(self.losses),
            "least": self.least,
            "least_epoch": self.least_epoch,
            "sums": {index: (total.clone(), list(squares)) for index, (total, squares) in self.diversity.sums.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.losses, self.least, self.least_epoch = list(state["losses"]), state["least"], state["least_epoch"]
        self.diversity.sums = {
            index: (total.clone(), list(squares)) for index, (total, squares) in state["sums"].items()
        }


class GradientDiversity:
    """Over windows of so many epochs, by the parameter's place: (Σ∇, each ‖∇‖²). Nothing waits for the device before a
    window's end."""

    def __init__(self, window: int = WINDOW) -> None:
        self.window = window
        self.sums: dict[int, tuple[Tensor, list[Tensor]]] = {}

    def after(self, epoch: int, parameters: Iterable[nn.Parameter]) -> float | None:
        """Take in an epoch's gradients; Δ where its window ends with it."""
        self.add(parameters)
        return self.close() if epoch % self.window == 0 else None

    @torch.no_grad()
    def add(self, parameters: Iterable[nn.Parameter]) -> None:
        """Take in the gradients that the parameters hold."""
        for index, parameter in enumerate(parameters):
            gradient = parameter.grad
            if gradient is None:
                continue
            flat = gradient.view(-1) if gradient.is_contiguous() else gradient.reshape(-1)
            square = torch.dot(flat, flat)
            if index in self.sums:
                total, squares = self.sums[index]
                if total.device != gradient.device:  # a checkpoint's file brings them to the CPU
                    total, squares = total.to(gradient.device), [each.to(gradient.device) for each in squares]
                    self.sums[index] = (total, squares)
                total.add_(gradient)
                squares.append(square)
            else:
                self.sums[index] = (gradient.clone(), [square])

    def close(self) -> float | None:
        """Δ of the window, which ends; None where no parameter had a gradient, or the sum of one cancelled out."""
        found, self.sums = list(self.sums.values()), {}
        if not found:
            return None
        below = torch.stack([total.norm() for total, _ in found]).double().square()
        above = torch.stack([torch.stack(squares).double().sum() for _, squares in found])
        kept = above > 0
        ratio = (above[kept] / below[kept]).mean().item() if bool(kept.any()) else math.nan
        return ratio if math.isfinite(ratio) else None
