"""What is planned at the limits: kinds of statements that grow until they are refused.

Each kind writes a statement of any size. What is slow to plan is slow for its own reason (how high,
how many, how wide, how often written out), so there is one kind for each way to be slow that is
known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

_WIDTH = 1_000
_NARROW_WIDTH = 4


@dataclass(frozen=True, slots=True)
class LimitTable:
    """An empty table; beside its numbers it has one `label` and one list, `tags`."""

    name: str
    column: str
    width: int

    @property
    def schema(self) -> pa.Schema:
        """All its columns."""
        numbers = [(f"{self.column}{at}", pa.int64()) for at in range(self.width)]
        return pa.schema([*numbers, ("label", pa.string()), ("tags", pa.list_(pa.int64()))])

    def number(self, at: int) -> str:
        """Return one of its numbers, as a statement names it without quotes."""
        return f"{self.column.lower()}{at % self.width}"


LIMIT_TABLES = (
    LimitTable("narrow", "c", _NARROW_WIDTH),
    LimitTable("wide", "c", _WIDTH),
    LimitTable("mixed", "Column", _WIDTH),
)

Write = Callable[[LimitTable, int], str]


def _each(count: int, write: Callable[[int], str], between: str = ", ") -> str:
    return between.join(write(at) for at in range(count))


def _select(items: Callable[[LimitTable, int], str], rest: str = "") -> Write:
    """Return what writes a SELECT of these items over the table, with something behind."""
    return lambda table, size: f"SELECT {items(table, size)} FROM {table.name}{rest}"


def _where(condition: Callable[[LimitTable, int], str]) -> Write:
    return lambda table, size: f"SELECT 1 FROM {table.name} WHERE {condition(table, size)}"


def _group(groups: Callable[[LimitTable, int], str]) -> Write:
    return lambda table, size: f"SELECT count(*) FROM {table.name} GROUP BY {groups(table, size)}"


def _nested(head: str, inner: str, tail: str, size: int) -> str:
    return head * size + inner + tail * size


def _sum(table: LimitTable, length: int) -> str:
    return _each(length, table.number, " + ")


def _chain(first: str, following: str, *, last: str = "SELECT * FROM p{0}") -> Write:
    """Return what writes WITH parts that each read the one before; `{table}` in the first."""

    def write(table: LimitTable, size: int) -> str:
        parts = [f"p0 AS ({first.format(table=table.name, column=table.number(0))})"]
        parts += [f"p{at} AS ({following.format(before)})" for before, at in pairwise(range(size))]
        return f"WITH {', '.join(parts)} {last.format(size - 1)}"

    return write


def _sets(table: LimitTable, size: int) -> str:
    return f"GROUPING SETS ({_each(size, lambda at: f'({table.number(at % 10)} + {at % 10})')})"


def _long_sets(table: LimitTable, size: int) -> str:
    row = f"({_each(30, table.number)})"
    return f"GROUPING SETS ({', '.join([row] * size)})"


_EXPRESSIONS: dict[str, Write] = {
    "OR": _where(lambda t, n: _each(n, lambda at: f"{t.number(at)} = {at}", " OR ")),
    "AND of LIKE": _where(lambda _, n: _each(n, lambda at: f"label LIKE '%a%{at}%'", " AND ")),
    "BETWEEN": _where(
        lambda t, n: _each(n, lambda at: f"{t.number(at)} BETWEEN 1 AND {at}", " OR ")
    ),
    "sum": _select(_sum),
    "concatenation": _select(lambda _, n: " || ".join(["label"] * n)),
    "sums of 10": _select(lambda t, n: _each(n, lambda at: f"{_sum(t, 10)} AS s{at}")),
    "sums of 50": _select(lambda t, n: _each(n, lambda at: f"{_sum(t, 50)} AS s{at}")),
    "sums of 200": _select(lambda t, n: _each(n, lambda at: f"{_sum(t, 200)} AS s{at}")),
    "ORs of 100": _select(
        lambda t, n: _each(n, lambda at: " OR ".join([f"{t.number(at)} = 1"] * 100) + f" AS o{at}")
    ),
    "sums of 100 in WHERE": _where(lambda t, n: _each(n, lambda _: f"{_sum(t, 100)} > 1", " OR ")),
    "sums of 100 in ORDER BY": lambda t, n: (
        f"SELECT 1 FROM {t.name} ORDER BY {_each(n, lambda _: _sum(t, 100))}"
    ),
    "sums of 100 in GROUP BY": _group(lambda t, n: _each(n, lambda at: f"{_sum(t, 100)} + {at}")),
    "casts": _select(lambda t, n: t.number(0) + "::int::bigint" * n),
    "IN numbers": _where(lambda t, n: f"{t.number(0)} IN ({_each(n, str)})"),
    "IN texts": _where(lambda _, n: f"label IN ({_each(n, lambda at: repr(f'{at:012}'))})"),
    "IN of two types": _where(
        lambda t, n: (
            f"{t.number(0)} IN ({_each(n, lambda at: str(at) if at % 2 else repr(str(at)))})"
        )
    ),
    "IN columns": _where(lambda t, n: f"{t.number(0)} IN ({_each(n, t.number)})"),
    "IN of a wrong type": _where(lambda _, n: f"tags IN ({_each(n, str)})"),
    "INs of 100": _where(
        lambda t, n: _each(n, lambda at: f"{t.number(at)} IN ({_each(100, str)})", " OR ")
    ),
    "CASE": _select(
        lambda t, n: f"CASE {_each(n, lambda at: f'WHEN {t.number(at)} = {at} THEN {at}', ' ')} END"
    ),
    "CASE of a value": _select(
        lambda t, n: f"CASE {t.number(0)} {_each(n, lambda at: f'WHEN {at} THEN {at}', ' ')} END"
    ),
    "CASE in CASE": _select(
        lambda t, n: _nested(f"CASE WHEN {t.number(0)} = 1 THEN ", "1", " ELSE 2 END", n)
    ),
    "CASE in ELSE": _select(
        lambda t, n: _nested(f"CASE WHEN {t.number(0)} = 1 THEN 1 ELSE ", "1", " END", n)
    ),
    "functions in functions": _select(lambda t, n: _nested("abs(", t.number(0), ")", n)),
    "coalesce in coalesce": _select(
        lambda t, n: _nested(f"coalesce({t.number(1)}, ", t.number(0), ")", n)
    ),
    "parentheses": _select(lambda t, n: _nested("(", t.number(0), ")", n)),
    "NOT": _where(lambda t, n: "NOT " * n + f"{t.number(0)} = 1"),
    "IS NULL": _select(lambda t, n: t.number(0) + " IS NULL" * n),
    "coalesce": _select(lambda t, n: f"coalesce({_each(n, t.number)})"),
    "concat": _select(lambda _, n: f"concat({', '.join(['label'] * n)})"),
    "array": _select(lambda _, n: f"[{_each(n, str)}]"),
    "array of columns": _select(lambda t, n: f"[{_each(n, t.number)}]"),
    "struct": _select(lambda _, n: "{" + _each(n, lambda at: f"'k{at}': {at}") + "}"),
    "regular expressions": _where(
        lambda _, n: _each(n, lambda at: f"regexp_like(label, '(a*)*b{at}')", " AND ")
    ),
    "long regular expression": _where(lambda _, n: f"label ~ '{'(a*)*' * n}'"),
    "SIMILAR TO": _where(lambda _, n: f"label SIMILAR TO '{'(a|b)*' * n}'"),
    "subscripts": _select(lambda _, n: "tags" + "[1]" * n),
    "AT TIME ZONE": _select(lambda _, n: "now()" + " AT TIME ZONE 'UTC'" * n),
}

_LISTS: dict[str, Write] = {
    "items": _select(lambda t, n: _each(n, lambda at: f"{t.number(at)} + {at} AS i{at}")),
    "columns": _select(lambda t, n: _each(n, lambda at: f"{t.number(at)} AS i{at}")),
    "columns, one unknown": _select(lambda t, n: f"{_each(n, t.number)}, nothing"),
    "items, one unknown": _select(
        lambda t, n: f"{_each(n, lambda at: f'{t.number(at)} + {at} AS i{at}')}, nothing"
    ),
    "items, the last of a wrong type": _select(
        lambda t, n: f"{_each(n, lambda at: f'{t.number(at)} + {at} AS i{at}')}, label + tags"
    ),
    "EXCLUDE": _select(lambda t, n: f"* EXCLUDE ({_each(min(n, t.width), t.number)})"),
    "REPLACE": _select(
        lambda t, n: (
            "* REPLACE ("
            + _each(min(n, t.width), lambda at: f"{t.number(at)} + 1 AS {t.number(at)}")
            + ")"
        )
    ),
    "stars": _select(lambda _, n: _each(n, lambda _: "*")),
    "stars and items": _select(lambda _, n: f"*, {_each(n, lambda at: f'{at} AS i{at}')}"),
    "ORDER BY": lambda t, n: (
        f"SELECT 1 FROM {t.name} ORDER BY {_each(n, lambda at: f'{t.number(at)} + {at}')}"
    ),
    "aggregates": _select(lambda t, n: _each(n, lambda at: f"sum({t.number(at)} + {at}) AS a{at}")),
    "averages": _select(lambda t, n: _each(n, lambda at: f"avg({t.number(at)} + {at}) AS a{at}")),
    "aggregates, HAVING": lambda t, n: (
        f"SELECT {t.number(0)} FROM {t.name} GROUP BY 1 HAVING "
        + _each(n, lambda at: f"sum({t.number(at)} + {at}) > 1", " OR ")
    ),
    "distinct counts": _select(
        lambda t, n: _each(n, lambda at: f"count(DISTINCT {t.number(at)}) AS a{at}")
    ),
    "aggregates with FILTER": _select(
        lambda t, n: _each(
            n, lambda at: f"sum({t.number(at)}) FILTER (WHERE {t.number(at)} > {at}) AS a{at}"
        )
    ),
    "aggregates of CASE": _select(
        lambda t, n: _each(
            n, lambda at: f"sum(CASE WHEN label = 'x{at}' THEN {t.number(at)} ELSE 0 END) AS a{at}"
        )
    ),
    "aggregates, one of a wrong type": _select(
        lambda t, n: f"{_each(n, lambda at: f'sum({t.number(at)} + {at}) AS a{at}')}, sum(tags)"
    ),
    "windows": _select(
        lambda t, n: _each(
            n, lambda at: f"sum({t.number(at)}) OVER (ORDER BY {t.number(at + 1)}) AS w{at}"
        )
    ),
    "windows, one kind": _select(
        lambda t, n: _each(n, lambda at: f"lag({t.number(at)}) OVER (ORDER BY label) AS w{at}")
    ),
    "windows of expressions": _select(
        lambda t, n: _each(
            n,
            lambda at: (
                f"sum({t.number(at)} + 1) OVER (PARTITION BY {t.number(at)} + {at} "
                f"ORDER BY label, {t.number(at + 1)} + 2) AS w{at}"
            ),
        )
    ),
    "windows and all columns": _select(
        lambda t, n: (
            "*, "
            + _each(
                n, lambda at: f"sum({t.number(at)}) OVER (ORDER BY {t.number(at + 1)}) AS w{at}"
            )
        )
    ),
    "windows, one of a wrong type": _select(
        lambda t, n: (
            _each(n, lambda at: f"sum({t.number(at)}) OVER (ORDER BY {t.number(at + 1)}) AS w{at}")
            + ", sum(tags) OVER ()"
        )
    ),
    "VALUES rows": lambda _, n: f"VALUES {_each(n, lambda at: f'({at}, {at})')}",
    "VALUES columns": lambda _, n: f"VALUES ({_each(n, str)})",
    "unnest": _select(lambda _, n: _each(n, lambda at: f"unnest(tags) AS u{at}")),
}

_GROUPS: dict[str, Write] = {
    "GROUP BY": _group(lambda t, n: _each(n, lambda at: f"{t.number(at)} + {at}")),
    "grouped items": lambda t, n: (
        f"SELECT {_each(n, lambda at: f'{t.number(at)} + {at}')} FROM {t.name} "
        f"GROUP BY {_each(n, lambda at: f'{t.number(at)} + {at}')}"
    ),
    "grouped columns": lambda t, n: (
        f"SELECT {_each(n, t.number)}, count(*) FROM {t.name} GROUP BY {_each(n, t.number)}"
    ),
    "grouped aggregates": lambda t, n: (
        f"SELECT {_each(n, lambda at: f'sum({t.number(at)}) AS a{at}')} FROM {t.name} "
        f"GROUP BY {_each(n, lambda at: f'{t.number(at)} + {at}')}"
    ),
    "GROUPING SETS": _group(_sets),
    "GROUPING SETS of 30": _group(_long_sets),
    "ROLLUP": _group(lambda t, n: f"ROLLUP ({_each(n, lambda at: f'{t.number(at)} + {at}')})"),
    "CUBE": _group(lambda t, n: f"CUBE ({_each(n, lambda at: f'{t.number(at)} + {at}')})"),
    "CUBE and aggregates": lambda t, n: (
        f"SELECT {_each(100, lambda at: f'sum({t.number(at)} + {at})')} FROM {t.name} "
        f"GROUP BY CUBE ({_each(n, lambda at: f'{t.number(at)} + {at}')})"
    ),
}

_TABLES: dict[str, Write] = {
    "UNION ALL": lambda t, n: _each(
        n, lambda at: f"SELECT {t.number(at)}, label FROM {t.name}", " UNION ALL "
    ),
    "UNION": lambda t, n: _each(
        n, lambda at: f"SELECT {t.number(at)}, label FROM {t.name}", " UNION "
    ),
    "UNION ALL of 20 items": lambda t, n: _each(
        n,
        lambda _: f"SELECT {_each(20, lambda at: f'{t.number(at)} + {at}')} FROM {t.name}",
        " UNION ALL ",
    ),
    "UNION ALL of 100 columns": lambda t, n: _each(
        n,
        lambda _: f"SELECT {_each(100, lambda at: f'{t.number(at)} AS i{at}')} FROM {t.name}",
        " UNION ALL ",
    ),
    "UNION ALL of stars": lambda t, n: _each(n, lambda _: f"SELECT * FROM {t.name}", " UNION ALL "),
    "UNION ALL of two types": lambda t, n: (
        _each(n, lambda at: f"SELECT {t.number(at)} FROM {t.name} UNION ALL ", "")
        + f"SELECT tags FROM {t.name}"
    ),
    "derived tables": lambda t, n: (
        "SELECT x FROM (" * n + f"SELECT {t.number(0)} AS x FROM {t.name}" + ")" * n
    ),
    "derived tables of stars": lambda t, n: (
        "SELECT * FROM (" * n + f"SELECT * FROM {t.name}" + ")" * n
    ),
    "derived tables that double": lambda t, n: (
        "SELECT x + x AS x FROM (" * n + f"SELECT {t.number(0)} AS x FROM {t.name}" + ")" * n
    ),
    "derived tables in a UNION": lambda t, n: _each(
        n,
        lambda at: f"SELECT x FROM (SELECT {t.number(at)} AS x FROM {t.name} WHERE label = 'a') d",
        " UNION ALL ",
    ),
    "scalar subqueries": lambda t, n: (
        f"SELECT {_each(n, lambda at: f'(SELECT max({t.number(at)}) FROM {t.name}) AS s{at}')}"
    ),
    "scalar subqueries over the table": _select(
        lambda t, n: _each(n, lambda at: f"(SELECT max({t.number(at)}) FROM {t.name}) AS s{at}")
    ),
    "scalar subqueries in WHERE": _where(
        lambda t, n: _each(
            n,
            lambda at: f"{t.number(at)} > (SELECT max({t.number(at)}) FROM {t.name})",
            " AND ",
        )
    ),
    "scalar subqueries in each other": lambda t, n: _nested(
        f"SELECT (SELECT max({t.number(0)}) FROM {t.name} WHERE {t.number(1)} = (",
        f"SELECT min({t.number(0)}) FROM {t.name}",
        "))",
        n,
    ),
    "WITH": _chain("SELECT {column} AS x FROM {table}", "SELECT x FROM p{0}"),
    "WITH of stars": _chain("SELECT * FROM {table}", "SELECT * FROM p{0}"),
    "WITH of filters": _chain(
        "SELECT {column} AS x FROM {table}", "SELECT x + 1 AS x FROM p{0} WHERE x > 1"
    ),
    "WITH of windows": _chain(
        "SELECT {column} AS x FROM {table}", "SELECT max(x) OVER () AS x FROM p{0}"
    ),
    "WITH of aggregates": _chain(
        "SELECT {column} AS x FROM {table}", "SELECT max(x) AS x FROM p{0} GROUP BY x + 1"
    ),
    "WITH that doubles tables": _chain(
        "SELECT {column} AS x FROM {table}", "SELECT x FROM p{0} UNION ALL SELECT x FROM p{0}"
    ),
    "WITH that doubles stars": _chain(
        "SELECT * FROM {table}", "SELECT * FROM p{0} UNION ALL SELECT * FROM p{0}"
    ),
    "WITH that doubles terms": _chain(
        "SELECT {column} AS x FROM {table}", "SELECT x + x AS x FROM p{0}"
    ),
    "unused WITH of stars": lambda t, n: (
        f"WITH {_each(n, lambda at: f'p{at} AS (SELECT * FROM {t.name})')} SELECT 1"
    ),
    "joins": lambda t, n: (
        f"SELECT 1 FROM {t.name} "
        + _each(n, lambda at: f"JOIN {t.name} t{at} ON t{at}.label = {t.name}.label", " ")
    ),
    "other tables": lambda _, n: _each(n, lambda at: f"SELECT 1 FROM t{at}", " UNION ALL "),
}

_TEXTS: dict[str, Write] = {
    "long text": lambda t, n: f"SELECT '{'x' * n}' FROM {t.name}",
    "long name": lambda t, n: f"SELECT {'x' * n} FROM {t.name}",
    "long number": lambda t, n: f"SELECT {'1' * n} FROM {t.name}",
    "long fraction": lambda t, n: f"SELECT 0.{'1' * n} FROM {t.name}",
    "long exponent": lambda t, n: f"SELECT 1e{'1' * n} FROM {t.name}",
    "long LIKE": _where(lambda _, n: f"label LIKE '{'%_' * n}'"),
    "long interval": lambda _, n: f"SELECT INTERVAL '{'1 day ' * n}'",
    "long timestamp": lambda _, n: f"SELECT TIMESTAMP '{'1' * n}'",
    "long type": lambda _, n: f"SELECT arrow_cast(1, '{'List(' * n}')",
    "types in types": lambda _, n: f"SELECT CAST(NULL AS {_nested('ARRAY<', 'INT', '>', n)})",
    "struct type": lambda _, n: f"SELECT CAST(NULL AS STRUCT<{_each(n, lambda at: f'a{at} INT')}>)",
    "comments": lambda _, n: "SELECT 1 " + "/* x */ " * n,
    "comments in comments": lambda _, n: f"SELECT 1 {_nested('/*', '', '*/', n)}",
    "line comments": lambda _, n: "SELECT 1 " + "--\n" * n,
    "quotation marks": lambda _, n: "SELECT " + '"' * n,
    "open parentheses": lambda _, n: "SELECT " + "(" * n,
    "semicolons": lambda _, n: "SELECT 1" + ";" * n,
    "statements": lambda _, n: "SELECT 1;" * n,
    "parameters": lambda t, n: f"SELECT {_each(n, lambda at: f'${at + 1}')} FROM {t.name}",
    "clusters in names": lambda t, n: (
        f"SELECT {_each(n, lambda at: f'{t.name}@shanghai.{t.number(at)} AS i{at}')} "
        f"FROM {t.name}@shanghai"
    ),
    "grants": lambda _, n: (
        f"GRANT TABLE_READ ON {_each(n, lambda at: f'a.b.c{at}@d')} "
        f"TO {_each(n, lambda at: f'u{at}@c')}"
    ),
}

LIMIT_STATEMENTS: dict[str, Write] = {**_EXPRESSIONS, **_LISTS, **_GROUPS, **_TABLES, **_TEXTS}
