"""Casts that there are none of, and types that cannot be: found when the engine plans to run."""

import re

from sqlglot import exp

from planner.errors import PlannerError, TypeMismatchError
from planner.faults.asked import Asked
from planner.faults.words import type_word

_CAST = re.compile(r"Unsupported (?:TRY_)?CAST from (?P<given>.+?) to (?P<wanted>.+)$")
_DECIMAL = re.compile(r"Decimal\(precision = (?P<digits>\d+), scale = (?P<scale>-?\d+)\) should")
_ELEMENT = re.compile(r"array_element does not support type (?P<type>[A-Za-z0-9]+)")
_NESTED = ("a list", "a struct", "a map")
_NUMBERS = ("a whole number", "a decimal number", "a number")
_LARGEST_DECIMAL = 76
# What sqlglot calls the types, in our words.
_WANTED = (
    (re.compile(r"U?(TINY|SMALL|BIG|MEDIUM)?INT\d*"), "a whole number"),
    (re.compile(r"U?DECIMAL\d*"), "a decimal number"),
    (re.compile(r"DOUBLE|FLOAT"), "a number"),
    (re.compile(r"BOOLEAN"), "true or false"),
    (re.compile(r"N?(VAR)?CHAR|TEXT"), "text"),
    (re.compile(r"DATE"), "a date"),
    (re.compile(r"TIMESTAMP\w*|DATETIME"), "a timestamp"),
    (re.compile(r"TIME|TIMETZ"), "a time"),
    (re.compile(r"INTERVAL"), "an interval"),
    (re.compile(r"ARRAY|LIST"), "a list"),
    (re.compile(r"(VAR)?BINARY"), "bytes"),
)


def read_cast_fault(message: str, asked: Asked) -> PlannerError | None:
    """Return the refusal of a cast that cannot be, None when the fault is about none."""
    if (found := _CAST.search(message)) is not None:
        return TypeMismatchError(_cast(found, asked))
    if (found := _DECIMAL.search(message)) is not None:
        return TypeMismatchError(_decimal(found, asked))
    if (found := _ELEMENT.search(message)) is not None:
        nodes = [] if asked.reading is None else asked.reading.nodes.of(exp.Bracket)
        place = asked.of_node(next(iter(nodes), None))
        return TypeMismatchError(
            f"{place}{type_word(found['type'])} has no elements; write [1] after a list or ['key'] "
            "after a map or struct"
        )
    return None


def _cast(found: re.Match[str], asked: Asked) -> str:
    given, wanted = type_word(found["given"]), type_word(found["wanted"])
    if given in _NESTED:
        instead = "cast one of its elements or fields"
    elif given == "true or false" and wanted in _NUMBERS:
        instead = "write CASE WHEN … THEN 1 ELSE 0 END, or cast to INT first"
    else:
        instead = "compute it, as with date_part() or a comparison"
    return f"{_place(wanted, asked)}{given} cannot be cast to {wanted}; {instead}"


def _place(wanted: str, asked: Asked) -> str:
    """Say where the only cast to a type stands; nothing when there are several."""
    casts = [] if asked.reading is None else asked.reading.nodes.of(exp.Cast)
    meant = [node for node in casts if _word(node.to) in (wanted, None)]
    if len(meant) != 1:
        return ""
    return asked.of_node(meant[0]) or asked.of_word("cast", "try_cast")


def _word(written: exp.DataType) -> str | None:
    """Return the word for a type as sqlglot reads it; None for those that are not told apart."""
    name = str(getattr(written.this, "name", ""))
    return next((word for pattern, word in _WANTED if pattern.fullmatch(name)), None)


def _decimal(found: re.Match[str], asked: Asked) -> str:
    digits = found["digits"]
    return (
        f"{asked.of_text(digits)}there is no type DECIMAL({digits}, {found['scale']}); it has 1 to "
        f"{_LARGEST_DECIMAL} digits, and no more of them after the point: write DECIMAL(38, 2)"
    )
