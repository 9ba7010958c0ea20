"""Types that do not fit together: operators, conditions, casts."""

import re
from collections.abc import Iterator

import pyarrow as pa
from sqlglot import exp

from planner.dialect import shown
from planner.errors import PlannerError, TypeMismatchError
from planner.faults.asked import Asked
from planner.faults.words import type_word
from planner.references import start_of

_TYPE = r"[A-Za-z0-9]+(?:\([^()]*(?:\([^()]*\))?[^()]*\))?"
_OPERATION = re.compile(
    rf"(?:comparison operation|arithmetic expression|boolean operation|regex operation"
    rf"|bitwise operation) (?P<left>{_TYPE}) "
    rf"(?P<sign>\S{{1,12}}|[A-Z ]{{2,20}}) (?P<right>{_TYPE})"
)
_COMPARED = re.compile(
    rf"(?:coerce|coerce types|compare) (?P<left>{_TYPE}) (?:and|with) (?P<right>\[?{_TYPE})"
    r".*?(?P<word>LIKE|ILIKE|BETWEEN|SIMILAR|$)"
)
_PREDICATE = re.compile(r"non-boolean predicate .* returning (?P<type>\w+)")
_UNARY = re.compile(r"Unary operator '(?P<sign>\S+)'")
_UNION = re.compile(
    rf"Incompatible inputs for (?:Union|Intersect|Except): Previous inputs were of type "
    rf"(?P<left>{_TYPE}), but got incompatible type (?P<right>{_TYPE}) on column '(?P<name>[^']+)'"
)
_UNKNOWN_TYPE = re.compile(
    r"Unsupported SQL type (?P<name>\w{1,63})|Unsupported type '(?P<arrow>\w{1,63})'"
)
_INTERVAL = re.compile(r"Invalid input syntax for type interval: \"(?P<text>[^\"]{0,80})\"")
_UNNEST = re.compile(r"unnest\(\) can only be applied to")
_LIMIT = re.compile(r"Expected (?P<word>LIMIT|OFFSET)|(?P<negative>LIMIT|OFFSET) must be >= 0")
_SERIES = re.compile(r"Argument #(?P<number>\d+) must be an INTEGER")
_SIGNS: dict[str, type[exp.Expr]] = {
    "+": exp.Add, "-": exp.Sub, "*": exp.Mul, "/": exp.Div, "%": exp.Mod, "=": exp.EQ,
    "!=": exp.NEQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
    "AND": exp.And, "OR": exp.Or, "||": exp.DPipe, "~": exp.RegexpLike,
    "LIKE": exp.Like, "ILIKE": exp.ILike, "BETWEEN": exp.Between, "SIMILAR": exp.SimilarTo,
    "IN": exp.In,
}  # fmt: skip
_CAST = "CAST one of them to the other's type"


def read_type_fault(message: str, asked: Asked) -> PlannerError | None:
    """Return the refusal of types that do not fit, None when the fault is about none."""
    for pattern, read in _FAULTS:
        found = pattern.search(message)
        if found is not None:
            return TypeMismatchError(read(found, asked))
    return None


def _operation(found: re.Match[str], asked: Asked) -> str:
    sign, left, right = found["sign"], type_word(found["left"]), type_word(found["right"])
    node = _operation_node(sign, asked)
    if sign in {"AND", "OR"}:
        return (
            f"{asked.of_node(node)}{sign} puts conditions together, and here stand {left} and "
            f"{right}; compare them with something, as in x > 0"
        )
    shown_node = _shown(node, sign)
    return f"{asked.of_node(node)}{shown_node} does not fit: {left} and {right}; {_CAST}"


def _compared(found: re.Match[str], asked: Asked) -> str:
    word = found["word"] or "IN"
    node = _operation_node(word, asked)
    left, right = type_word(found["left"]), type_word(found["right"].lstrip("["))
    return f"{asked.of_node(node)}{_shown(node, word)} compares {left} with {right}; {_CAST}"


def _predicate(found: re.Match[str], asked: Asked) -> str:
    where = asked.select_with(lambda select: select.args.get("where") is not None)
    node = where.args["where"] if where is not None else None
    return (
        f"{asked.of_node(node)}WHERE takes a condition, and this is {type_word(found['type'])}; "
        "compare it with something, as in x > 0"
    )


def _unary(found: re.Match[str], asked: Asked) -> str:
    kind = exp.Not if found["sign"] == "NOT" else exp.Neg
    node = next(iter(asked.reading.nodes.of(kind)), None) if asked.reading is not None else None
    what = "a condition" if kind is exp.Not else "a number or an interval"
    return f"{asked.of_node(node)}{shown(found['sign'])} takes {what}; CAST what follows it"


def _union(found: re.Match[str], asked: Asked) -> str:
    return (
        f"{asked.of_word('union')}the parts of the UNION do not fit: {shown(found['name'])} is "
        f"{type_word(found['right'])} in one and {type_word(found['left'])} in another; {_CAST}"
    )


def _unknown_type(found: re.Match[str], asked: Asked) -> str:
    name = found["name"] or found["arrow"]
    return (
        f"{asked.of_text(name)}there is no type {shown(name)}; the usual ones are BIGINT, DOUBLE, "
        "DECIMAL(p, s), VARCHAR, BOOLEAN, DATE, TIMESTAMP"
    )


def _interval(found: re.Match[str], asked: Asked) -> str:
    return (
        f"{asked.of_text(found['text'])}{shown(found['text'])!r} is no interval; write it as "
        "INTERVAL '1 day' or INTERVAL '2 hours 30 minutes'"
    )


def _unnest(_found: re.Match[str], asked: Asked) -> str:
    return (
        f"{asked.of_call('unnest')}unnest() takes a list or struct column; DESCRIBE tells which are"
    )


def _limit(found: re.Match[str], asked: Asked) -> str:
    word = found["word"] or found["negative"]
    return f"{asked.of_word(word, 'fetch')}{word} takes a whole number; write it as {word} 10"


def _series(found: re.Match[str], asked: Asked) -> str:
    place = asked.of_call("generate_series") or asked.of_call("range")
    return (
        f"{place}argument {found['number']} is no whole number; a series runs from one to another"
    )


_FAULTS = (
    (_OPERATION, _operation),
    (_UNION, _union),
    (_COMPARED, _compared),
    (_PREDICATE, _predicate),
    (_UNARY, _unary),
    (_UNKNOWN_TYPE, _unknown_type),
    (_INTERVAL, _interval),
    (_UNNEST, _unnest),
    (_LIMIT, _limit),
    (_SERIES, _series),
)


def _operation_node(sign: str, asked: Asked) -> exp.Expr | None:
    """Return the operation that is meant: of this sign, and with unlike sides if one has such."""
    kind = _SIGNS.get(sign)
    if kind is None or asked.reading is None:
        return None
    nodes = sorted(asked.reading.nodes.of(kind), key=start_of)
    unlike = [node for node in nodes if len(set(_kinds(node, asked))) > 1]
    return next(iter(unlike or nodes), None)


def _kinds(node: exp.Expr, asked: Asked) -> Iterator[str]:
    """Yield what is known of the types of both sides: text, number, other."""
    for side in (node.this, node.args.get("expression")):
        if isinstance(side, exp.Literal):
            yield "text" if side.is_string else "number"
        elif isinstance(side, exp.Column) and asked.usage is not None:
            for owner in asked.usage.owners.get(id(side), ())[:1]:
                column = owner.find(side.name, quoted=False)
                if column is not None:
                    yield _kind(owner.schema.field(column).type)


def _kind(arrow_type: pa.DataType) -> str:
    if pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type):
        return "text"
    is_number = pa.types.is_integer(arrow_type) or pa.types.is_floating(arrow_type)
    return "number" if is_number else str(arrow_type)


def _shown(node: exp.Expr | None, sign: str) -> str:
    """Return an operation as it was typed, when it is short and its sides are plain."""
    sides = [] if node is None else [node.this, node.args.get("expression")]
    if len(sides) != 2 or not all(isinstance(one, (exp.Column, exp.Literal)) for one in sides):  # noqa: PLR2004  an operation has two sides
        return sign
    left, right = (
        f"'{one.this}'" if isinstance(one, exp.Literal) and one.is_string else one.name
        for one in sides
    )
    return shown(f"{left} {sign} {right}")
