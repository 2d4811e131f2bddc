"""The text grammar: printing and parsing are inverse, errors point at the character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import grammar
from engine.errors import InputError
from engine.grammar import Part, Text

words = st.from_regex(r"[a-z][a-z0-9_]{0,6}(-[a-z0-9]{1,4})?", fullmatch=True).filter(
    lambda w: w not in ("true", "false")
)
values = st.one_of(
    st.booleans(),
    st.integers(-1000, 1000),
    st.floats(-1e6, 1e6, allow_nan=False),
    words.filter(lambda w: w not in ("inf", "nan", "infinity")),
)
parts = st.builds(
    Part,
    words,
    st.lists(
        st.lists(st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True), min_size=1, max_size=3).map(tuple), max_size=3
    ).map(tuple),
    st.dictionaries(words, values, max_size=3).map(lambda d: tuple(d.items())),
)
texts = st.builds(Text, st.lists(parts, min_size=1, max_size=3).map(tuple), st.lists(words, max_size=3).map(tuple))


def without_positions(text: Text) -> Text:
    return Text(tuple(Part(p.name, p.steps, p.options) for p in text.parts), text.sites)


@given(texts)
def test_printing_and_parsing_are_inverse(text: Text):
    assert without_positions(grammar.parse(str(text), "scheme")) == text


def test_the_whole_grammar():
    parsed = grammar.parse("lwq[8,4] + cwq(att=2, emb=8):features", "scheme")
    assert [part.name for part in parsed.parts] == ["lwq", "cwq"]
    assert parsed.parts[0].steps == (("8", "4"),)
    assert dict(parsed.parts[1].options) == {"att": 2, "emb": 8}
    assert parsed.sites == ("features",)
    assert grammar.parse("dsq[int2,int16 -> int16,int4]", "scheme").parts[0].steps == (
        ("int2", "int16"),
        ("int16", "int4"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the scheme '' at the end: expected a name"),
        ("int8(", "cannot read the scheme 'int8(' at the end: expected the name of an option"),
        ("int8(a=1", "cannot read the scheme 'int8(a=1' at the end: expected ',' or ')'"),
        ("sdq[int4,]", "cannot read the scheme 'sdq[int4,]' at character 10: expected a format or a number of bits"),
        ("int8 int4", "cannot read the scheme 'int8 int4' at character 6: expected '+', ':' or the end"),
        ("int8:", "cannot read the scheme 'int8:' at the end: expected a site"),
        ("+int8", "cannot read the scheme '+int8' at character 1: expected a name"),
        ("x(a=1,a=2)", "cannot read the scheme 'x(a=1,a=2)': the option 'a' is given twice"),
        ("x(a 1)", "cannot read the scheme 'x(a 1)' at character 5: expected '='"),
    ],
)
def test_errors_point_at_the_character(text: str, message: str):
    with pytest.raises(InputError) as caught:
        grammar.parse(text, "scheme")
    assert str(caught.value) == message


def test_a_component_is_one_part():
    with pytest.raises(InputError) as caught:
        grammar.parse_part("sbm+cora", "dataset")
    assert str(caught.value) == (
        "cannot read the dataset 'sbm+cora': one name with options is allowed, such as name(key=value)"
    )


def test_a_components_name_may_be_a_familys():
    part = grammar.parse_part("like:reddit(factor=0.1)", "dataset")
    assert (part.name, part.options) == ("like:reddit", (("factor", 0.1),))
    assert str(part) == "like:reddit(factor=0.1)"
    with pytest.raises(InputError) as caught:
        grammar.parse_part("like:", "dataset")
    assert str(caught.value) == (
        "cannot read the dataset 'like:': one name with options is allowed, such as name(key=value)"
    )
