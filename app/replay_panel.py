"""What would another schedule have done on this run? Asked beneath its curves, drawn into them, launched for real."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pyarrow as pa
import streamlit as st

from app import acts
from app.connection import settings
from app.phrases import count, literal
from app.schedules import Replayed, replay_run, suggest, with_scheme
from engine import grammar
from engine.controllers import CONTROLLERS
from engine.controllers.replay import Replay, parameters, with_parameter
from engine.errors import BitfrontError, InputError
from engine.spec import RunSpec

SCHEME = "replayed"
"""The link's parameter with the one thing that is asked, the scheme's text."""


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
        text = _ask(row["run"], spec)
        try:
            found, drawn = replay_run(text, spec, epochs.to_pydict(), row["total_epochs"], settings())
        except InputError as error:
            st.error(literal(error), icon=":material/error:")
            return None
        _answer(found, drawn)
        if not acts.may_change():
            return drawn
        st.button(
            "Launch the real run",
            type="primary",
            icon=":material/play_arrow:",
            key="replay-launch",
            on_click=_launch,
            args=(spec, text, row["run"]),
            help=f"{drawn.scheme} with the same settings and seed {spec.seed}.",
        )
        _outcome(drawn.scheme, text)
    return drawn


def _ask(run: str, spec: RunSpec) -> str:
    """The controller, its scheme and its numbers. The scheme's text, in the link, is the state; all write into it."""
    ran = spec.scheme
    text = _asked(run, ran)
    # A widget whose value another one has changed is a new one, with that as its default: telling a drawn widget
    # its value would race with who moves it.
    chosen = _key("controller", _controller(text))
    st.pills(
        "Controller",
        list(CONTROLLERS),
        default=_controller(text),
        key=chosen,
        on_change=_choose,
        args=(chosen, ran),
        help="  \n".join(f"**{name}**: {entry.summary}" for name, entry in CONTROLLERS.items()),
    )
    written = _key("text", _times("written"))
    st.text_input("Schedule", value=_first(written, text), key=written, live="300ms", on_change=_write, args=(written,))
    try:
        numbers = parameters(text)
    except InputError:
        return text
    for number in numbers:
        turned = _key(number.name, _times("turned"))
        kind = round if float(number.step).is_integer() else float
        st.slider(
            f"{number.name}: {number.meaning}",
            kind(number.least),
            kind(number.most),
            value=_first(turned, kind(min(max(number.default, number.least), number.most))),
            step=kind(number.step),
            format="%d" if kind is round else "%g",
            key=turned,
            on_change=_turn,
            args=(turned, number.name),
        )
    return text


def _controller(text: str) -> str | None:
    """The controller that a scheme's text names, if any."""
    try:
        names = [part.name for part in grammar.parse(text, "scheme").parts if not part.path]
    except InputError:
        return None
    return next((name for name in names if name in CONTROLLERS), None)


def _key(widget: str, mark: object) -> str:
    return f"replay-{widget}-{mark}"


def _times(what: str) -> int:
    """How often the text (written) or the sliders (turned) were changed by others than themselves."""
    return st.session_state.setdefault(f"replay-{what}-by-others", 0)


def _first(key: str, value: Any) -> Any:
    """The value that a widget was first drawn with: its default has to stay."""
    return st.session_state.setdefault(f"first-{key}", value)


def _asked(run: str, ran: str) -> str:
    """What is asked of a run: the link's scheme, or one that fits.

    The link that a browser sends lags behind the last changes, so one that was made here is not followed again.
    """
    link, asked = st.query_params.get(SCHEME), st.session_state.get("replay-asked")
    if asked is None or asked["run"] != run or (link and link not in asked["links"]):
        text = str(link or suggest(_controller(ran) or next(iter(CONTROLLERS)), ran))
        st.session_state["replay-asked"] = {"run": run, "text": text, "links": {text}}
        _renew("written", "turned")
    return st.session_state["replay-asked"]["text"]


def _take(text: str, *others: str) -> None:
    """Ask this scheme from now on."""
    st.query_params[SCHEME] = text
    asked = st.session_state["replay-asked"]
    asked["text"] = text
    asked["links"].add(text)
    _renew(*others)


def _renew(*widgets: str) -> None:
    """Have widgets that show another scheme than the one asked made anew."""
    for what in widgets:
        st.session_state[f"replay-{what}-by-others"] = _times(what) + 1


# A browser may still send a widget that has meanwhile been made anew: what it says then is the past.


def _choose(key: str, ran: str) -> None:
    chosen = st.session_state.pop(key)
    if chosen and key == _key("controller", _controller(st.session_state["replay-asked"]["text"])):
        _take(suggest(chosen, ran), "written", "turned")


def _write(key: str) -> None:
    if key == _key("text", _times("written")):
        _take(st.session_state[key], "turned")


def _turn(key: str, name: str) -> None:
    if key == _key(name, _times("turned")):
        _take(with_parameter(st.session_state["replay-asked"]["text"], name, st.session_state[key]), "written")


def _answer(found: Replay, drawn: Replayed) -> None:
    """How far it can be believed, and its switches in a line."""
    exact = min(found.exact_until, drawn.last)
    color = "green" if exact >= drawn.last else "blue" if exact else "gray"
    badge = f":{color}-badge[exact up to epoch {exact}]" if exact else ":gray-badge[an estimate]"
    st.markdown(f"{badge} {literal(found.note[0].upper() + found.note[1:])}.")
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


def _launch(spec: RunSpec, text: str, parent: str) -> None:
    try:
        real = with_scheme(spec, text)
        (run,) = acts.launch([real], parent=parent)
    except BitfrontError as error:
        st.session_state["replay-launched"] = {"scheme": text, "fault": str(error)}
    else:
        st.session_state["replay-launched"] = {"scheme": real.scheme, "run": run}


def _outcome(scheme: str, text: str) -> None:
    """What became of the launch, for as long as the same scheme stands in the field."""
    launched = st.session_state.get("replay-launched")
    if not launched or launched["scheme"] not in (scheme, text):
        return
    if "fault" in launched:
        st.error(literal(launched["fault"]), icon=":material/cloud_off:", title="Not launched")
        return
    st.success(f"Launched {literal(launched['scheme'])}.", icon=":material/check:")
    st.page_link("views/runs.py", label="Watch it", icon=":material/monitoring:", query_params={"run": launched["run"]})
