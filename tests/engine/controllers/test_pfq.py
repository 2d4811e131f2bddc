"""PFQ on losses worked by hand."""

from __future__ import annotations

from tests.engine.controllers.traces import switches

# Epoch 6: the last five are 1, 1, 1, 1, 1.1, the unit (10 + 4 + 1.1)/6 = 2.517: 0.1/2.517 = 0.040 < 0.05.
# Then five anew, 7–11, the unit the mean of the first ten 1.812: 0.02/1.812 = 0.0110 < 0.015.
LOSSES = [10.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.0, 1.02, 1.0, 1.0, 1.0, *[1.0] * 9]


def test_the_next_stage_begins_when_the_loss_stands_still():
    assert switches("pfq[int3,int4,int6]", epochs=20, train=LOSSES) == [(7, "int4"), (12, "int6")]


def test_epsilon_shrinks_by_alpha():
    # α = 0.2: ε = 0.01 at the second stage, and 0.0110 is above it; 0.02 leaves the window after epoch 12.
    assert switches("pfq[int3,int4,int6](alpha=0.2)", epochs=20, train=LOSSES) == [(7, "int4"), (14, "int6")]


def test_a_wider_epsilon_does_not_shorten_the_five_losses():
    assert switches("pfq[int3,int4](epsilon=100.0)", epochs=20, train=LOSSES) == [(6, "int4")]
