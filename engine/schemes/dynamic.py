"""Schedules of formats: ``sdq[…]``, ``adq[…]``, ``muppet[…]``, ``pfq[…]``, ``cpt[…]``, ``dsq[…]`` (METHODS §8).

Each controller of ``engine.controllers`` is a recipe. Its formats go to the sites of quantized training, as a bare
format does; how they quantize is an option (``range``, ``estimator``, ``granularity``), what else there is stands
beside it (``adq[int4,int8]+dq+sr``), and the sites may be named (``sdq[int4,int8]:weight,feature``).
"""

from __future__ import annotations

from functools import partial

from engine.controllers import CONTROLLERS, ControllerEntry
from engine.grammar import Part
from engine.recipe_options import QUANTIZER_OPTIONS, Options, read_quantization
from engine.scheme import Scheme
from engine.schemes import Recipe
from engine.schemes.uniform import uniform_rules


def build(entry: ControllerEntry, part: Part) -> Scheme | None:
    if part.name != entry.name:
        return None
    options = Options(part, (*entry.options, *QUANTIZER_OPTIONS, "message_gradient"), steps=True)
    schedule = entry.read(part, options)
    narrowest = min((each.format for step in schedule.ladder for each in step.assignments), key=lambda f: f.bits)
    quantization = read_quantization(narrowest, options)
    rules = (entry.rules or uniform_rules)(quantization, options.flag("message_gradient", False))
    schedule = schedule.within({rule.site for rule in rules})
    return Scheme(tuple(rules), schedule=schedule).at(schedule.first)


ENTRIES = [
    Recipe(
        name=entry.name,
        summary=entry.summary,
        source=entry.source,
        names=[entry.name],
        examples=entry.examples,
        build=partial(build, entry),
    )
    for entry in CONTROLLERS.values()
]
