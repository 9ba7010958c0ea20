"""Laws of SQL that the engine finds broken: grouping, positions, widths, names given twice."""

import re
from collections.abc import Callable
from typing import TypeAlias

from sqlglot import exp

from planner.dialect import shown
from planner.errors import PlannerError, SqlSyntaxError, StatementNotSupportedError
from planner.faults.asked import Asked, called, parts_of_name
from planner.references import start_of

_Law: TypeAlias = Callable[[re.Match[str], Asked], str]


def read_law_fault(message: str, asked: Asked) -> PlannerError | None:
    """Return the refusal of a broken law, None when the fault is about none."""
    for pattern, say in _LAWS:
        found = pattern.search(message)
        if found is not None:
            return SqlSyntaxError(say(found, asked))
    for pattern, say in _UNSUPPORTED:
        found = pattern.search(message)
        if found is not None:
            return StatementNotSupportedError(say(found, asked))
    return None


def _ungrouped(found: re.Match[str], asked: Asked) -> str:
    name = parts_of_name(found["name"])[-1]
    column = next(
        (
            column
            for column in asked.columns_named(name)
            if not any(
                asked.is_aggregate(one) or isinstance(one, exp.Group)
                for one in asked.around(column)
            )
        ),
        None,
    )
    if column is None:
        star = next(iter(asked.reading.nodes.of(exp.Star)), None) if asked.reading else None
        place = asked.of_text("*") if star is not None else ""
    else:
        place = asked.of_node(column)
    return (
        f"{place}{shown(name)} is neither grouped nor aggregated; add it to GROUP BY, or put it "
        f"into an aggregate, as in max({shown(name)})"
    )


def _aggregate_in_where(_found: re.Match[str], asked: Asked) -> str:
    node = _aggregate(asked, lambda one: isinstance(one, exp.Where))
    name = f"{called(node)}()" if node is not None else "an aggregate"
    place = asked.of_call(called(node), node) if node is not None else ""
    return f"{place}{name} stands in WHERE, before rows are grouped; filter groups with HAVING"


def _nested_aggregate(_found: re.Match[str], asked: Asked) -> str:
    node = _aggregate(asked, asked.is_aggregate)
    name = f"{called(node)}()" if node is not None else "an aggregate"
    place = asked.of_call(called(node), node) if node is not None else ""
    return f"{place}{name} stands inside another aggregate; compute it in a derived table first"


def _position(found: re.Match[str], asked: Asked) -> str:
    number = found["order"] or found["group"]
    words = ("ORDER BY", exp.Order) if found["order"] else ("GROUP BY", exp.Group)
    return (
        f"{asked.of_word(words[0].split()[0])}{words[0]} {number} counts the columns of SELECT, "
        f"and there are {found['most'] or found['last']}; write a smaller number or a name"
    )


def _distinct_order(_found: re.Match[str], asked: Asked) -> str:
    return (
        f"{asked.of_word('order')}after SELECT DISTINCT, ORDER BY can use only what is selected; "
        "select it too, or GROUP BY instead of DISTINCT"
    )


def _same_name(found: re.Match[str], asked: Asked) -> str:
    is_plain = found["name"] and "(" not in found["name"]
    name = parts_of_name(found["name"])[-1] if is_plain else ""
    columns = list(asked.columns_named(name))
    place = asked.of_node(columns[1] if len(columns) > 1 else None)
    named = (
        f"two columns of the result are called {shown(name)}"
        if name
        else ("two columns of a result have the same name")
    )
    return f"{place}{named}; give one of them another name with AS"


def _union_width(_found: re.Match[str], asked: Asked) -> str:
    widths = ""
    union = next(iter(asked.reading.nodes.of(exp.SetOperation)), None) if asked.reading else None
    if union is not None:
        counts = [len(side.unnest().expressions) for side in (union.this, union.expression)]
        has_star = any(one.find(exp.Star) for one in (union.this, union.expression))
        widths = "" if has_star else f" ({counts[0]} and {counts[1]})"
    return (
        f"{asked.of_word('union', 'intersect', 'except')}the parts of a UNION have different "
        f"numbers of columns{widths}; select as many in each"
    )


def _with_twice(found: re.Match[str], asked: Asked) -> str:
    name = found["name"]
    return f"{asked.of_text(name)}two WITH parts are called {shown(name)}; rename one of them"


def _alias_list(found: re.Match[str], asked: Asked) -> str:
    node = _first(asked, exp.TableAlias, lambda one: bool(one.args.get("columns")))
    count = f"{found['has']} column{'' if found['has'] == '1' else 's'}"
    return (
        f"{asked.of_node(node)}{found['given']} names are given for {count}; "
        "name all of its columns or none"
    )


def _subquery_width(_found: re.Match[str], asked: Asked) -> str:
    node = _first(asked, exp.Subquery, lambda one: len(one.unnest().expressions) != 1)
    return f"{asked.of_node(node)}a query in an expression returns one column; select one"


def _plain(*words: str, text: str) -> _Law:
    return lambda _found, asked: f"{asked.of_word(*words) if words else ''}{text}"


def _window_name(found: re.Match[str], asked: Asked) -> str:
    name = shown(found["name"])
    return f"{asked.of_text(name)}there is no window {name}; define it: WINDOW {name} AS (…)"


def _variable(found: re.Match[str], asked: Asked) -> str:
    return f"{asked.of_text(found['name'].lstrip('@'))}variables are not answered; write the value"


def _compound(_found: re.Match[str], asked: Asked) -> str:
    node = _first(asked, exp.Dot, lambda _: True)
    return f"{asked.of_node(node)}this name has too many parts; write table.column"


def _aggregate(asked: Asked, stands_in: Callable[[exp.Expr], bool]) -> exp.Expr | None:
    """Return the first call of an aggregate that stands in something."""
    return _first(
        asked,
        exp.Func,
        lambda call: asked.is_aggregate(call) and any(map(stands_in, asked.around(call))),
    )


def _first(
    asked: Asked, kind: type[exp.Expr], holds: Callable[[exp.Expr], bool]
) -> exp.Expr | None:
    if asked.reading is None:
        return None
    found = [node for node in asked.reading.nodes.of(kind) if holds(node)]
    return min(found, key=start_of, default=None)


_LAWS: tuple[tuple[re.Pattern[str], _Law], ...] = (
    (re.compile(r'column "(?P<name>[^"]+(?:"[^"]+")?)"? must appear in the GROUP BY'), _ungrouped),
    (re.compile(r"references: (?P<name>[\w.\"]+) .*must appear in the GROUP BY"), _ungrouped),
    (re.compile(r"must appear in the GROUP BY|must be in GROUP BY", re.IGNORECASE),
     _plain(text="a column is neither grouped nor aggregated; add it to GROUP BY or put it into "
                 "an aggregate")),
    (re.compile(r"Aggregate functions are not allowed in the WHERE"), _aggregate_in_where),
    (re.compile(r"Aggregate function.*nested", re.IGNORECASE), _nested_aggregate),
    (re.compile(r"Order by column out of bounds, specified: (?P<order>\d+), max: (?P<most>\d+)"
                r"|Cannot find column with position (?P<group>\d+) in SELECT clause. Valid "
                r"columns: \d+ to (?P<last>\d+)"), _position),
    (re.compile(r"For SELECT DISTINCT, ORDER BY"), _distinct_order),
    (re.compile(r'unique expression names but the expression "(?P<name>[^"]{1,200})" at position'),
     _same_name),
    (re.compile(r"(?P<name>)(?:unique expression names|duplicate (?:un)?qualified field)",
                re.IGNORECASE), _same_name),
    (re.compile(r"different number of columns|equal number of columns"), _union_width),
    (re.compile(r'WITH query name "(?P<name>[^"]+)" specified more than once'), _with_twice),
    (re.compile(r"contains (?P<has>\d+) columns? but only (?P<given>\d+) names? given"),
     _alias_list),
    (re.compile(r"The subquery should only return one column"), _subquery_width),
    (re.compile(r"grouping function is not in grouping columns"),
     _plain("grouping", text="grouping() takes a column of GROUP BY; add it there")),
    (re.compile(r"QUALIFY clause requires window functions"),
     _plain("qualify", text="QUALIFY filters by window functions, and there are none; filter "
                            "with WHERE")),
    (re.compile(r"The window (?P<name>\w+) is not defined"), _window_name),
    (re.compile(r"Inconsistent data length across values list"),
     _plain("values", text="the rows of VALUES have different lengths; give each as many values")),
)  # fmt: skip
_UNSUPPORTED: tuple[tuple[re.Pattern[str], _Law], ...] = (
    (re.compile(r"Unnest should be rewritten"),
     _plain("unnest", text="unnest() can stand in SELECT only; unfold the list in a derived "
                           "table, and filter around it")),
    (re.compile(r'variable \["(?P<name>@{0,2}\w+)"\]'), _variable),
    (re.compile(r"compound identifier"), _compound),
    (re.compile(r"Dot access not supported"),
     _plain(text="a field of what a function returns is read with brackets; write ['field'] after "
                 "it")),
    (re.compile(r"RANGE requires exactly one ORDER BY"),
     _plain("range", text="RANGE measures how far rows lie apart; write OVER (ORDER BY … RANGE "
                          "…) with one column, or ROWS instead")),
    (re.compile(r"ANY in LIKE expression"),
     _plain("like", "ilike", text="LIKE ANY is not supported; write x LIKE 'a' OR x LIKE 'b'")),
    (re.compile(r"Unsupported ast node Pivot"),
     _plain("pivot", "unpivot", text="PIVOT is not supported; write sum(x) FILTER (WHERE …) for "
                                     "each column, or pivot the result in polars or pandas")),
)  # fmt: skip
