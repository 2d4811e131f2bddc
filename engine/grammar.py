"""The text grammar of names with arguments: ``name[list](key=value,…)``, joined by ``+``.

    text  = part ("+" part)* (":" site ("," site)*)?
    part  = (path ":")? name ("[" list "]")? ("(" key "=" value ("," key "=" value)* ")")?
    list  = element ("," element)* ("->" list)?

A value is a word, a number, or a text in double quotes (``file(path="./my data")``).
Datasets use a single part (``sbm(nodes=500)``), whose name may be one of a family (``like:reddit(factor=0.1)``);
schemes use the whole (METHODS, "Grammar"). Parsing and printing are inverse, and an error points at the character.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from engine.errors import InputError

Value = str | int | float | bool

_PATH = re.compile(r"([^\s:,()\[\]]+\.py):")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
_FAMILY_NAME = re.compile(rf"{_WORD.pattern}(?::{_WORD.pattern})?")
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|[A-Za-z0-9_.+-]+')
_BARE = re.compile(r"[A-Za-z0-9_.+-]+")
_ELEMENT = re.compile(r"[A-Za-z0-9_]+(?:-(?!>)[A-Za-z0-9_]+)*")


@dataclass(frozen=True)
class Part:
    """One named part; ``steps`` is the bracketed list, a tuple for each ``->`` step."""

    name: str
    steps: tuple[tuple[str, ...], ...] = ()
    options: tuple[tuple[str, Value], ...] = ()
    position: int = 0
    path: str = ""
    """The recipe file, for a scheme's part from outside the package."""

    def __str__(self) -> str:
        text = f"{self.path}:{self.name}" if self.path else self.name
        if self.steps:
            text += "[" + " -> ".join(",".join(step) for step in self.steps) + "]"
        if self.options:
            text += "(" + ",".join(f"{key}={print_value(value)}" for key, value in self.options) + ")"
        return text


@dataclass(frozen=True)
class Text:
    """A parsed text: its parts and the sites that restrict them (none named: all)."""

    parts: tuple[Part, ...]
    sites: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = "+".join(map(str, self.parts))
        return text + (":" + ",".join(self.sites) if self.sites else "")


def print_value(value: Value) -> str:
    """Print an option's value so that it parses back to itself; a text that would not stands in quotes."""
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and parse_value(value) == value
        return value if bare else json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def parse_value(text: str) -> Value:
    """Read ``true``/``false``, an integer, a number, a JSON string in quotes, or else the text itself."""
    if text.startswith('"'):
        return json.loads(text, strict=False)
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


LONGEST = 4000
"""Characters of a text; shorter than the longest number that Python reads."""


class _Reader:
    def __init__(self, text: str, kind: str) -> None:
        if len(text) > LONGEST:
            raise InputError(f"the {kind} has {len(text)} characters: at most {LONGEST} are allowed")
        self.text, self.kind, self.at = text, kind, 0

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def fail(self, expected: str) -> InputError:
        self.skip()
        where = f"at character {self.at + 1}" if self.at < len(self.text) else "at the end"
        return InputError(f"cannot read the {self.kind} {self.text!r} {where}: expected {expected}")

    def take(self, literal: str) -> bool:
        self.skip()
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def match(self, pattern: re.Pattern[str], expected: str) -> str:
        self.skip()
        found = pattern.match(self.text, self.at)
        if not found:
            raise self.fail(expected)
        self.at = found.end()
        return found.group()

    def value(self) -> Value:
        self.skip()
        start = self.at
        try:
            return parse_value(self.match(_VALUE, "a value"))
        except json.JSONDecodeError:
            self.at = start
            raise self.fail('a text in quotes, where \\ stands before \\ and "') from None

    def part(self, names: re.Pattern[str] = _WORD) -> Part:
        self.skip()
        start = self.at
        file = _PATH.match(self.text, self.at)
        self.at = file.end() if file else start
        name = self.match(names, "a name")
        steps: list[tuple[str, ...]] = []
        if self.take("["):
            while True:
                step = [self.match(_ELEMENT, "a format or a number of bits")]
                while self.take(","):
                    step.append(self.match(_ELEMENT, "a format or a number of bits"))
                steps.append(tuple(step))
                if not self.take("->"):
                    break
            if not self.take("]"):
                raise self.fail("',', '->' or ']'")
        options: dict[str, Value] = {}
        if self.take("("):
            while True:
                key = self.match(_WORD, "the name of an option")
                if key in options:
                    raise InputError(f"cannot read the {self.kind} {self.text!r}: the option {key!r} is given twice")
                if not self.take("="):
                    raise self.fail("'='")
                options[key] = self.value()
                if not self.take(","):
                    break
            if not self.take(")"):
                raise self.fail("',' or ')'")
        return Part(name, tuple(steps), tuple(options.items()), start, file[1] if file else "")


def parse(text: str, kind: str) -> Text:
    """Parse a whole text; ``kind`` ("scheme", "dataset") is the word used in errors.

    Raises InputError, which names the character and what was expected there.
    """
    reader = _Reader(text, kind)
    parts = [reader.part()]
    while reader.take("+"):
        parts.append(reader.part())
    sites: list[str] = []
    if reader.take(":"):
        sites.append(reader.match(_WORD, "a site"))
        while reader.take(","):
            sites.append(reader.match(_WORD, "a site"))
    reader.skip()
    if reader.at != len(text):
        raise reader.fail("the end" if sites else "'+', ':' or the end")
    return Text(tuple(parts), tuple(sites))


def parse_part(text: str, kind: str) -> Part:
    """Parse a text of exactly one part, such as ``sbm(nodes=500)``; the name may be a family's, ``like:reddit``."""
    reader = _Reader(text, kind)
    part = reader.part(_FAMILY_NAME)
    reader.skip()
    if reader.at != len(text) or part.path:
        raise InputError(f"cannot read the {kind} {text!r}: one name with options is allowed, such as name(key=value)")
    return part
