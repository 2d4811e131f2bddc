"""What would another schedule have done on this run? Asked beneath its curves, drawn into them, launched for real."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pyarrow as pa
import streamlit as st

from app.charts.precision import Replayed
from app.connection import settings
from app.phrases import count, literal
from app.schedules import replay_run, suggest, with_scheme
from engine import grammar
from engine.controllers import CONTROLLERS
from engine.controllers.replay import Replay, parameters, with_parameter
from engine.errors import BitfrontError, InputError
from engine.spec import RunSpec
from tasks.submit import submit

SCHEME = "replayed"
"""Key of the one thing that is asked, the scheme's text; it is part of the link."""


def show_replay(row: Mapping[str, Any], epochs: pa.Table) -> Replayed | None:
    """Draw the question for a run (a row of the query ``runs``) with its per-epoch rows; the answer, for its chart."""
    panel = st.expander(
        "What would another schedule have done?",
        icon=":material/replay:",
        key="replay",
        on_change="rerun",
        bind="query-params",
    )
    if not panel.open:
        return None
    with panel:
        try:
            spec = RunSpec.from_json(row["spec"])
        except InputError as error:
            st.caption(literal(error))
            return None
        text = _ask(spec)
        try:
            found, drawn = replay_run(text, spec, epochs.to_pydict(), row["total_epochs"], settings())
        except InputError as error:
            st.error(literal(error), icon=":material/error:")
            return None
        _answer(found, drawn)
        st.button(
            "Launch the real run",
            type="primary",
            icon=":material/play_arrow:",
            key="replay-launch",
            on_click=_launch,
            args=(spec, text),
            help=f"{drawn.scheme} with the same settings and seed {spec.seed}.",
        )
        _outcome(drawn.scheme)
    return drawn


def _ask(spec: RunSpec) -> str:
    """The controller, its scheme and its numbers. The scheme's text is the state; the others write into it."""
    if not st.session_state.get(SCHEME):
        st.session_state[SCHEME] = suggest(_own(spec) or next(iter(CONTROLLERS)), spec.scheme)
    st.session_state["replay-controller"] = _controller(st.session_state[SCHEME])
    st.pills(
        "Controller",
        list(CONTROLLERS),
        key="replay-controller",
        on_change=_choose,
        args=(spec.scheme,),
        help="  \n".join(f"**{name}**: {entry.summary}" for name, entry in CONTROLLERS.items()),
    )
    text = st.text_input("Schedule", key=SCHEME, bind="query-params", live="300ms") or ""
    try:
        numbers = parameters(text)
    except InputError:
        return text
    for number in numbers:
        key = f"replay-{number.name}"
        whole = float(number.step).is_integer()
        kind = round if whole else float
        st.session_state[key] = kind(min(max(number.default, number.least), number.most))
        st.slider(
            f"{number.name}: {number.meaning}",
            kind(number.least),
            kind(number.most),
            step=kind(number.step),
            key=key,
            on_change=_turn,
            args=(number.name,),
        )
    return text


def _own(spec: RunSpec) -> str | None:
    return _controller(spec.scheme)


def _controller(text: str) -> str | None:
    """The controller that a scheme's text names, if any."""
    try:
        names = [part.name for part in grammar.parse(text, "scheme").parts if not part.path]
    except InputError:
        return None
    return next((name for name in names if name in CONTROLLERS), None)


def _choose(ran: str) -> None:
    if chosen := st.session_state["replay-controller"]:
        st.session_state[SCHEME] = suggest(chosen, ran)


def _turn(name: str) -> None:
    st.session_state[SCHEME] = with_parameter(st.session_state[SCHEME], name, st.session_state[f"replay-{name}"])


def _answer(found: Replay, drawn: Replayed) -> None:
    """How far it can be believed, and its switches in a line."""
    exact = min(found.exact_until, drawn.last)
    color = "green" if exact >= drawn.last else "blue" if exact else "gray"
    badge = f":{color}-badge[exact up to epoch {exact}]" if exact else ":gray-badge[an estimate]"
    st.markdown(f"{badge} {literal(found.note.capitalize())}.")
    st.markdown(literal(_course(found, drawn)))


def _course(found: Replay, drawn: Replayed) -> str:
    """ "int4, int5 from epoch 12, int6 from 17; 5.1 bits in the mean"."""
    spans = pairwise([*(row["epoch"] for row in drawn.decisions), drawn.last + 1])
    lengths = [max(end - first, 0) for first, end in spans]
    bits = sum(length * row["bits"] for length, row in zip(lengths, drawn.decisions, strict=True)) / max(drawn.last, 1)
    steps = [found.start, *(f"{switch.label} from epoch {switch.epoch}" for switch in found.switches)]
    shown = steps if len(steps) <= 7 else [*steps[:6], f"{count(len(steps) - 6, 'switch', 'switches')} more"]
    course = ", ".join(shown) if found.switches else f"{found.start} throughout, no switch"
    return f"{course}; {bits:.3g} bits in the mean over {count(drawn.last, 'epoch')}."


def _launch(spec: RunSpec, text: str) -> None:
    try:
        real = with_scheme(spec, text)
        (run,) = submit(settings(), [real])
    except BitfrontError as error:
        st.session_state["replay-launched"] = {"scheme": text, "fault": str(error)}
    else:
        st.session_state["replay-launched"] = {"scheme": real.scheme, "run": run}


def _outcome(scheme: str) -> None:
    """What became of the launch, for as long as the same scheme stands in the field."""
    launched = st.session_state.get("replay-launched")
    if not launched or launched["scheme"] not in (scheme, st.session_state[SCHEME]):
        return
    if "fault" in launched:
        st.error(literal(launched["fault"]), icon=":material/cloud_off:", title="Not launched")
        return
    st.success(f"Launched {literal(launched['scheme'])}.", icon=":material/check:")
    st.page_link("views/runs.py", label="Watch it", icon=":material/monitoring:", query_params={"run": launched["run"]})
