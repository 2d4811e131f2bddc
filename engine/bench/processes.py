"""Fresh processes that measure: one that answers once, and several that take turns at the same machine.

A bench's module, run as ``python -m <module> '<what is asked, as JSON>'``, calls ``answer`` or ``answer_turns``.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from subprocess import PIPE, Popen
from typing import Any, Literal

from engine.errors import BitfrontError
from engine.measure import allocator_environment
from engine.measure.conditions import TUNINGS, allocator

Malloc = Literal["default", "tuned", "returning"]
MALLOCS: tuple[Malloc, ...] = ("default", "tuned")
"""glibc's as it comes, and one that keeps what was freed: no page is faulted in twice."""
RETURNING = {"MALLOC_MMAP_THRESHOLD_": "131072"}
"""glibc's malloc gives every large block back when it is freed: no holes among live blocks are resident."""
Times = Mapping[int, Sequence[float]]
"""By threads: seconds a step, a round each."""
PEERS = ("pyg", "plain", "torch")
"""How those begin who are not Bitfront, among the variants that take turns."""
PEERS_WAIT = {"GOMP_SPINCOUNT": "300000"}
"""libgomp's own default, which ``engine`` changes for its kernels' threads: peers have theirs."""
WARM = 3
"""Steps before the first turn, and one after each change of threads: constants are made, kernels compiled."""


def environment(malloc: Malloc, threads: int) -> dict[str, str]:
    """A child's environment: at most ``threads`` threads, and the allocator, whatever this process has."""
    found = {key: value for key, value in os.environ.items() if not key.startswith((*TUNINGS, "LD_PRELOAD"))}
    found |= {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "NUMBA")}
    return found | {"default": {}, "tuned": allocator_environment("tuned"), "returning": RETURNING}[malloc]


class Child:
    """A process that was asked something; it is ended with the ``with`` block, whatever it does."""

    def __init__(self, module: str, asked: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.asked = asked
        # A file, not a pipe: warnings that nobody reads would fill a pipe and stop the child.
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        command = [sys.executable, "-m", module, json.dumps(asked)]
        self.process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=self.errors, text=True, env=dict(environment))

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()
        self.errors.close()

    def hear(self) -> dict[str, Any]:
        """The child's next answer. Raises BitfrontError with its last words where it ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.errors.seek(0)
            words = self.errors.read().strip().splitlines() or [f"exit status {status}"]
            raise BitfrontError(f"the bench failed on {' '.join(map(str, self.asked.values()))}: {words[-1]}")
        return json.loads(line)

    def tell(self, what: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        # One that has ended is found out by ``hear``, which knows its last words.
        try:
            self.process.stdin.write(json.dumps(what) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass


def ask(module: str, asked: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """What one fresh process answers."""
    with Child(module, asked, environment) as child:
        return child.hear()


def take_turns(
    module: str,
    asked: Sequence[Mapping[str, Any]],
    environment: dict[str, str],
    *,
    threads: Sequence[int],
    rounds: int,
    seconds: float,
) -> list[dict[int, list[float]]]:
    """Each variant in a process of its own, one of them at work at a time; by threads, a step's seconds in each round.

    All are made ready first; then, for each number of threads, ``rounds`` times every variant has a turn of at least
    ``seconds``, and one step. A round's value is the median of its steps: the processor's seconds with one thread,
    which other programs on the machine hardly change, the clock's with more. What is asked says in "by" who works.
    """
    with ExitStack() as stack:
        children = [
            stack.enter_context(Child(module, each, environment | (PEERS_WAIT if each["by"].startswith(PEERS) else {})))
            for each in asked
        ]
        for child in children:
            child.hear()
        found: list[dict[int, list[float]]] = [{count: [] for count in threads} for _ in children]
        for count in threads:
            for _ in range(rounds):
                for child, values in zip(children, found, strict=True):
                    child.tell({"threads": count, "seconds": seconds})
                    values[count].append(child.hear()["seconds"])
    return found


def compared(times: Mapping[Malloc, Mapping[str, Times]], name: str, base: str, threads: int) -> dict[str, Any]:
    """A variant beside the one named ``base``: milliseconds and ratio under each malloc, and the ratio that counts,
    which is under the malloc that ``base`` is faster with."""
    medians = {malloc: statistics.median(found[base][threads]) for malloc, found in times.items()}
    better = min(medians, key=medians.__getitem__)
    ratios = {malloc: ratio(found[name][threads], found[base][threads]) for malloc, found in times.items()}
    return {
        **{f"{malloc}_ms": milliseconds(found[name][threads]) for malloc, found in times.items()},
        **{malloc: round(value, 3) for malloc, value in ratios.items()},
        "better": better,
        "ratio": round(ratios[better], 3),
    }


def milliseconds(values: Sequence[float]) -> float:
    return round(1e3 * statistics.median(values), 3)


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """The median over rounds of value ÷ base of the same round, so that both met the same disturbances."""
    return statistics.median(value / beside for value, beside in zip(values, base, strict=True))


def said_of_turns(threads: Sequence[int], rounds: int, mallocs: Sequence[Malloc] = MALLOCS) -> list[str]:
    """How turns were measured, in words."""
    return [
        f"{' and '.join(map(str, threads))} thread(s), {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the "
        f"end; each variant in a fresh process, {rounds} rounds in which all take turns, medians over rounds; ratios "
        "are of the same round",
        "time is the processor's with one thread (other programs on the machine hardly change it), the clock's with "
        "more",
        *conditions(mallocs, threads[-1]),
    ]


def conditions(mallocs: Sequence[Malloc], threads: int) -> list[str]:
    """The allocators, in words, as the children have them."""
    return [f"{malloc} malloc: {ask(__name__, {}, environment(malloc, threads))['allocator']}" for malloc in mallocs]


def answer(found: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """In a child: the one answer to what was asked."""
    speak = _voice()
    speak(found(json.loads(sys.argv[1])))


def answer_turns(prepare: Callable[[dict[str, Any]], Callable[[], object]]) -> None:
    """In a child: make a step ready, and take the turns that are asked for until there are no more."""
    import torch

    speak = _voice()
    step = prepare(json.loads(sys.argv[1]))
    for _ in range(WARM):
        step()
    speak({"ready": True})
    for line in sys.stdin:
        turn = json.loads(line)
        if torch.get_num_threads() != turn["threads"]:
            torch.set_num_threads(turn["threads"])
            step()
        speak(
            {"seconds": _turn(step, turn["seconds"], time.process_time if turn["threads"] == 1 else time.perf_counter)}
        )


def _turn(step: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    found: list[float] = []
    began = time.perf_counter()
    while not found or time.perf_counter() - began < seconds:
        start = clock()
        step()
        found.append(clock() - start)
    return statistics.median(found)


def _voice() -> Callable[[Mapping[str, Any]], None]:
    """Writes answers to what was standard output; what libraries print there goes to standard error from now on."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def speak(what: Mapping[str, Any]) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    return speak


if __name__ == "__main__":
    answer(lambda _: {"allocator": allocator()})
