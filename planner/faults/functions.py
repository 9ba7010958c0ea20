"""Functions that are not there, or whose arguments do not fit."""

import difflib
import re

from sqlglot import exp

from planner.dialect import shown
from planner.errors import PlannerError, StatementNotSupportedError, TypeMismatchError
from planner.faults.asked import Asked
from planner.faults.words import type_word

_UNKNOWN = re.compile(r"(?:Invalid function|table function) '(?P<name>\w+)'")
_SIGNATURES = (
    re.compile(r"argument types '(?P<name>\w+)\((?P<types>[^']{0,200})\)'"),
    re.compile(r"(?:Function '|call to ')(?P<name>\w+)'"),
)
_COUNT = re.compile(r"Function '(?P<name>\w+)' expects (?P<takes>\d+) arguments? but received \d+")
_RECEIVED = re.compile(r"received \w+ \(DataType: (?P<type>\w+)")
_ELEMENT = re.compile(r"'array_element'")
_SUBSTRING = re.compile(r"Substring without for/from")
# What other engines call it.
_ELSEWHERE = {
    "getdate": "now()",
    "sysdate": "now()",
    "current_database": "SHOW CATALOGS",
    "datediff": "a difference, as in day2 - day1, or date_part",
    "dateadd": "a sum, as in day + INTERVAL '1 day'",
    "date_add": "a sum, as in day + INTERVAL '1 day'",
    "date_sub": "a difference, as in day - INTERVAL '1 day'",
    "isnull": "x IS NULL, or coalesce(x, y)",
    "len": "length(text)",
    "year": "extract(year FROM day)",
    "month": "extract(month FROM day)",
    "day": "extract(day FROM day)",
    "hour": "extract(hour FROM time)",
    "weekday": "extract(dow FROM day)",
    "group_concat": "string_agg(text, ',')",
    "listagg": "string_agg(text, ',')",
    "iif": "CASE WHEN … THEN … ELSE … END",
    "if": "CASE WHEN … THEN … ELSE … END",
    "decode": "CASE x WHEN … THEN … END",
    "instr": "strpos(text, part)",
    "charindex": "strpos(text, part)",
    "format": "to_char(time, format)",
    "date_format": "to_char(time, format)",
    "ucase": "upper(text)",
    "lcase": "lower(text)",
    "rand": "random()",
    "mode": "GROUP BY with count(*)",
}


def read_function_fault(message: str, asked: Asked) -> PlannerError | None:
    """Return the refusal of a function or its arguments, None when the fault is about none."""
    if (unknown := _UNKNOWN.search(message)) is not None:
        return _unknown(unknown["name"], asked)
    if _SUBSTRING.search(message):
        return TypeMismatchError(
            f"{asked.of_word('substr', 'substring')}a substring needs to know where it starts; "
            "write it as substr(text, start) or substr(text, start, length)"
        )
    if _ELEMENT.search(message):
        node = next(iter(asked.reading.nodes.of(exp.Bracket)), None) if asked.reading else None
        return TypeMismatchError(
            f"{asked.of_node(node)}what stands in [ ] does not fit; a list takes a whole number "
            "from 1 on, a struct or map a text"
        )
    for pattern in _SIGNATURES:
        for signature in pattern.finditer(message):
            name = signature["name"]
            if place := asked.of_call(_as_typed(name, asked)):
                return _misused(place, name, message, asked)
    return None


def _unknown(name: str, asked: Asked) -> PlannerError:
    place = asked.of_call(name)
    lowered = name.lower()
    if lowered in asked.functions:
        return StatementNotSupportedError(
            f"{place}{lowered}() is a window function; write OVER after it, as in "
            f"{asked.functions[lowered].written} OVER (ORDER BY …)"
        )
    near = difflib.get_close_matches(lowered, asked.functions, n=3, cutoff=0.75)
    if lowered in _ELSEWHERE:
        advice = f"write {_ELSEWHERE[lowered]}"
    elif near:
        advice = f"did you mean {' or '.join(f'{each}()' for each in near)}?"
    else:
        advice = "compose it of others, or compute it on the result"
    return StatementNotSupportedError(f"{place}there is no function {shown(name)}(); {advice}")


def _as_typed(name: str, asked: Asked) -> str:
    """Return the name by which a function was called: some have several."""
    if asked.of_call(name):
        return name
    same = {"substr": "substring", "date_part": "extract", "character_length": "length"}
    return same.get(name.lower(), name)


def _misused(place: str, name: str, message: str, asked: Asked) -> PlannerError:
    """Return the refusal of a call whose arguments do not fit, with how it is written."""
    counts = {found["takes"] for found in _COUNT.finditer(message) if found["name"] == name}
    types = _SIGNATURES[0].search(message)
    received = _RECEIVED.findall(message)
    if len(counts) == 1 and not received:
        count = counts.pop()
        fault = f"{name}() takes {count} argument{'' if count == '1' else 's'}"
    elif types is not None and types["name"] == name and types["types"]:
        given = [type_word(each) for each in re.split(r", (?![^(]*\))", types["types"])]
        fault = f"{name}() does not take {', '.join(given)}"
    elif received:
        fault = f"{name}() does not take {type_word(received[0])} here"
    else:
        fault = f"the arguments of {name}() do not fit in number or type"
    known = asked.functions.get(name.lower())
    written = known.written.partition("\n")[0] if known is not None else ""
    advice = f"; write it as {written}" if written else ""
    return TypeMismatchError(f"{place}{fault}{advice}, and CAST what is of another type")
