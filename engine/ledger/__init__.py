"""The cost ledger: which operand of which product ran in which format, and what follows from it.

products    the work of a step, and the tensors that enter and leave it, by architecture
stash       what a step keeps for its backward pass
rows        how a scheme quantizes them: the ledger's rows
runs        the ledger of a whole run, and the preview of one
densities   memory and arithmetic density, by scope and coverage
figures     every other figure, each under the name of its definition
"""

from engine.ledger.densities import (
    Coverage,
    Scope,
    all_densities,
    arithmetic_mean,
    densities,
    harmonic_mean,
    headline_scope,
)
from engine.ledger.products import (
    FORWARD,
    Operand,
    Place,
    Product,
    Written,
    aggregate_products,
    attention_products,
    handed_back,
    linear_products,
    message_products,
    over_batches,
    readout_products,
    updated,
)
from engine.ledger.rows import Spread, ledger_rows, protected_share
from engine.ledger.runs import (
    Stretch,
    epoch_bits,
    expected_size,
    ledger_in_fp32,
    preview,
    run_ledger,
    run_products,
    trained_size,
)
from engine.ledger.stash import Kept

__all__ = [
    "FORWARD",
    "Coverage",
    "Kept",
    "Operand",
    "Place",
    "Product",
    "Scope",
    "Spread",
    "Stretch",
    "Written",
    "aggregate_products",
    "all_densities",
    "arithmetic_mean",
    "attention_products",
    "densities",
    "epoch_bits",
    "expected_size",
    "handed_back",
    "harmonic_mean",
    "headline_scope",
    "ledger_in_fp32",
    "ledger_rows",
    "linear_products",
    "message_products",
    "over_batches",
    "preview",
    "protected_share",
    "readout_products",
    "run_ledger",
    "run_products",
    "trained_size",
    "updated",
]
