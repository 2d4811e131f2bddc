"""The dashboard: `streamlit run app/dashboard.py`, started by `bitfront up`. Pages are the files of app/views."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.connection import settings, show_outage
from app.guide import show_guide
from app.phrases import literal
from app.visitor import show_door
from engine import recipe_files
from engine.errors import InputError
from store.access import check_reach
from store.client import StoreUnavailable

HERE = Path(__file__).parent

recipe_files.forbid()  # people type schemes here, and the store holds others'

st.set_page_config(page_title="Bitfront", page_icon=str(HERE / "assets" / "mark.svg"), layout="wide")
if not st.context.is_embedded:
    st.logo(str(HERE / "assets" / "logo.svg"), size="large")

try:  # app/serve.py refuses this before it starts; here it holds for whoever starts Streamlit by hand
    check_reach(settings(), st.get_option("server.address") or "0.0.0.0")
except InputError as error:
    st.error(literal(error), icon=":material/lock:", title="Not shown")
    st.stop()

if not show_door(settings()):
    st.stop()

page = st.navigation(
    [
        st.Page(
            "views/launch.py",
            title="Launch",
            icon=":material/play_arrow:",
            default=True,
            help="Choose a dataset, an architecture and quantization schemes; see their densities; launch the runs.",
        ),
        st.Page(
            "views/runs.py",
            title="Runs",
            icon=":material/monitoring:",
            help="The queue, the progress of each run, live learning curves, details and workers.",
        ),
        st.Page(
            "views/sweeps.py",
            title="Sweeps",
            icon=":material/grid_on:",
            help="How far each sweep is, its grid of finished, failed and missing runs; cancel it or have it go on.",
        ),
        st.Page(
            "views/search.py",
            title="Search",
            icon=":material/tune:",
            help="Looking for the bits that cost least within a drop of accuracy: front, cost model, winner.",
        ),
        st.Page(
            "views/compare.py",
            title="Compare",
            icon=":material/scatter_plot:",
            help="Seed groups with mean ± std, and the front between accuracy and density.",
        ),
        st.Page(
            "views/saved.py",
            title="Views",
            icon=":material/bookmarks:",
            help="Saved views of the pages with their notes, and reports made of them.",
        ),
        st.Page(
            "views/system.py",
            title="System",
            icon=":material/dns:",
            help="Health, workers, queue, storage, versions, and the data on this machine.",
        ),
    ],
    position="hidden" if st.context.is_embedded else "top",  # in another page charts stand alone
)

try:
    if not st.context.is_embedded:
        show_guide(page.title)
    page.run()
except StoreUnavailable as error:
    show_outage(error)
