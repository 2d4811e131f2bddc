"""The command line. Each command is a function in a module of this package; nothing heavy is imported here."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import cache

import cyclopts
import structlog
from rich.console import Console

from engine.errors import BitfrontError

__all__ = ["app", "main"]

app = cyclopts.App(
    name="bitfront",
    help="Quantized training of graph neural networks, from the browser to a Pareto front.",
    help_format="plaintext",
    version_flags=["--version"],
)


@cache
def _register() -> None:
    from app.cli import bench, catalogues, measure, queue, records, replay, run, search, services, sweep, versus

    for command in (
        services.up,
        services.down,
        run.run,
        sweep.sweep,
        search.search,
        versus.versus,
        queue.status,
        queue.cancel,
        queue.resume,
        records.export,
        measure.measure,
        replay.replay,
        bench.bench,
        records.rebuild,
        records.backup,
        records.restore,
    ):
        app.command(command)
    app.command(catalogues.list_, name="list")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 bad input; errors are one sentence on standard error."""
    _register()
    # Standard output is for results (`--json`): what is logged goes to standard error, from warnings on.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    console = Console(stderr=True)
    try:
        app(arguments, console=Console(), error_console=console, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        _say(console, f"{error}")
        sys.exit(2)
    except BitfrontError as error:
        _say(console, str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say(console, "interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`bitfront list formats | head`): nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _say(console: Console, sentence: str) -> None:
    console.print(f"bitfront: {sentence}", markup=False, highlight=False, soft_wrap=True)
