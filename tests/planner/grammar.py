"""Statements made by a grammar: nested, oddly quoted, with names that shadow each other.

Most of them have types that fit, so that an engine plans them; some are broken on purpose.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from tests.planner.pieces import ANYTHING, CONDITIONS, HOSTILE, JOINS, KEYWORDS, SHAPES

DEPTH = 6
TABLES = ("quote", "trade")
SECRET = "salaries"
KINDS = ("number", "text", "date")
_COLUMNS = (("bid", "number"), ("ask", "number"), ("size", "number"), ("sym", "text"),
            ("Carrier", "text"), ("day", "date"))  # fmt: skip
_ALIASES = ("x", "Mixed", '"Mixed"', '"Carrier"', '"a@b"', "bid", "`q`", '"İ"')
_Choice = TypeVar("_Choice")
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True)
class Source:
    """Something in FROM: as written, what qualifies its columns, and these with their kinds."""

    text: str
    qualifier: str
    columns: tuple[tuple[str, str], ...]


class Writer:
    """Writes one statement; all that is chosen is chosen by one source of chance."""

    def __init__(
        self,
        random: Random,
        *,
        schema: Sequence[str] = ("trading", "stock"),
        tables: Sequence[str] = TABLES,
        columns: tuple[tuple[str, str], ...] = _COLUMNS,
        clusters: Sequence[str] = ("hangzhou", "HANGZHOU"),
        has_defaults: bool = True,
    ) -> None:
        self._random = random
        self._schema = tuple(schema)
        self._tables = tuple(tables)
        self._columns = columns
        self._cluster = self._pick(tuple(clusters)) if self._chance(0.6) else ""
        self._has_odd_gaps = self._chance(0.3)
        self._is_wild = self._chance(0.2)
        self._shortest = 2 if has_defaults else 0

    def statement(self) -> str:
        """Return a query, here and there with something before or after it."""
        text = self.query(self._random.randint(0, DEPTH), {}, self._kinds())
        if self._chance(0.05):
            return f"EXPLAIN {text}"
        if self._chance(0.1):
            return self._pick(
                (f"{text};", f";{text}", f"-- x\n{text}", f"{text} -- x", f"({text})")
            )
        return text

    def broken(self) -> str:
        """Return a statement with pieces put in, taken out or doubled."""
        text = self.statement()
        if self._chance(0.5):
            return self._shuffled(text)
        for _ in range(self._random.randint(1, 4)):
            start = self._random.randint(0, len(text))
            end = min(len(text), start + self._random.randint(0, 12))
            piece = self._pick(("", text[start:end] * 2, self._pick(HOSTILE), self._pick(HOSTILE)))
            text = text[:start] + piece + text[end if self._chance(0.5) else start :]
        return text

    def _shuffled(self, text: str) -> str:
        """Return a text with whole words put in, taken out, doubled or swapped."""
        words = _WORD.findall(text)
        for _ in range(self._random.randint(1, 3)):
            at, other = (self._random.randrange(len(words)) for _ in range(2))
            put = self._pick((words[other], self._pick(HOSTILE), self._pick(KEYWORDS)))
            choice = self._random.random()
            if choice < 0.5:
                words.insert(at, f" {put} ")
            elif choice < 0.7:
                words[at] = ""
            else:
                words[at], words[other] = words[other], words[at]
        return "".join(words)

    def query(self, depth: int, ctes: Mapping[str, Source], kinds: Sequence[str]) -> str:
        """Return a query of columns of these kinds, with or without WITH, UNION and ORDER BY."""
        head = ""
        if self._chance(0.35):
            ctes, head = self._with(depth, ctes)
        text = self._body(depth, ctes, kinds)
        while self._chance(0.15):
            word = "EXCEPT" if self._is_rare() else self._pick(("UNION", "UNION ALL"))
            text += f"{self._gap()}{word}{self._gap()}{self._body(depth, ctes, kinds)}"
        if self._chance(0.2):
            text += " ORDER BY " + self._pick(("1", "1 DESC NULLS LAST", f"{len(kinds)}"))
        if self._chance(0.1):
            text += self._pick((" LIMIT 3", " LIMIT 2 OFFSET 1", " OFFSET 1"))
        return head + text

    def _body(self, depth: int, ctes: Mapping[str, Source], kinds: Sequence[str]) -> str:
        if depth > 0 and self._chance(0.08):
            return f"({self.query(depth - 1, ctes, kinds)})"
        return self._select(depth, ctes, kinds)[0]

    def _with(self, depth: int, ctes: Mapping[str, Source]) -> tuple[Mapping[str, Source], str]:
        seen, parts = dict(ctes), []
        is_recursive = self._chance(0.05)
        names = ["quote", "trade", "Quote", "a", "b", "C", "salaries"]
        for name in self._random.sample(names, self._random.randint(1, 3)):
            if name.lower() in {each.lower() for each in seen} and not self._is_rare():
                continue  # the engine takes each name once, whatever is between
            body, columns = self._select(depth - 1, seen, self._kinds())
            if depth > 1 and self._chance(0.3):
                body, columns = self.query(depth - 1, seen, self._kinds()), ()
            quoted = self._quoted(name) if self._chance(0.3) else name
            parts.append(f"{quoted}{self._gap()}AS{self._gap()}({body})")
            bare = name if quoted != name else name.lower()
            written = quoted if quoted != name else self._pick((name, name.upper()))
            seen[bare] = Source(written, written, columns)
        if not parts:
            return seen, ""
        word = "WITH RECURSIVE" if is_recursive else "WITH"
        return seen, f"{word}{self._gap()}{', '.join(parts)}{self._gap()}"

    def _select(
        self, depth: int, ctes: Mapping[str, Source], kinds: Sequence[str]
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return one SELECT and the columns that it hands on under names."""
        source = self._source(depth, ctes)
        items, columns = self._items(depth, ctes, source, kinds)
        text = f"SELECT{self._gap()}{self._pick(('', '', 'DISTINCT ', 'ALL '))}{', '.join(items)}"
        text += f"{self._gap()}FROM{self._gap()}{source.text}"
        if self._chance(0.4):
            text += f"{self._gap()}WHERE {self._condition(depth, ctes, source)}"
        if self._is_wild and self._chance(0.3):
            text += self._pick((" GROUP BY ALL", " GROUP BY 1", " HAVING count(*) > 1",
                                " WINDOW w AS (ORDER BY 1)", " FOR UPDATE",
                                " QUALIFY row_number() OVER (ORDER BY 1) = 1"))  # fmt: skip
        return text, columns

    def _items(
        self, depth: int, ctes: Mapping[str, Source], source: Source, kinds: Sequence[str]
    ) -> tuple[list[str], tuple[tuple[str, str], ...]]:
        if self._chance(0.08):
            star = self._pick((*_STARS, f"{source.qualifier}.*"))
            return [star], source.columns if star[-1] == "*" else ()
        items, columns, taken = [], [], set[str]()
        for number, kind in enumerate(kinds):
            text = self._value(kind, depth, ctes, source)
            alias = self._pick(_ALIASES)
            name = alias.strip('"`') if alias[0] in '"`' else alias.lower()
            if name.lower() in taken:
                alias = name = f"c{number}"
            taken.add(name.lower())
            items.append(f"{text}{self._gap()}{self._pick(('AS ', 'AS '))}{alias}")
            columns.append((name, kind))
        return items, tuple(columns)

    def _source(self, depth: int, ctes: Mapping[str, Source]) -> Source:
        if depth > 0 and self._chance(0.35):
            inner, columns = self._select(depth - 1, ctes, self._kinds())
            if self._chance(0.3):
                inner, columns = self.query(depth - 1, ctes, self._kinds()), ()
            alias = self._pick(("d", "D", "quote", '"Q@x"', "e"))
            return Source(f"({inner}){self._gap()}{self._pick(('AS ', ''))}{alias}", alias, columns)
        if ctes and self._chance(0.5):
            source = self._pick(tuple(ctes.values()))
        else:
            name = self.table()
            source = Source(name, name, self._columns)
        if self._chance(0.4):
            alias = self._pick(("q", "Q", "trade", '"q"', '"Q"', '"q@hangzhou"', "a"))
            text = f"{source.text}{self._gap()}{self._pick(('AS ', ''))}{alias}"
            source = Source(text, alias, source.columns)
        if self._is_rare():
            return Source(self._pick(JOINS[:5]).format(one=source.text, two=self.table()),
                          source.qualifier, source.columns)  # fmt: skip
        return source

    def table(self) -> str:
        """Return a table's name in one of its forms."""
        parts = [*self._schema, SECRET if self._is_rare() else self._pick(self._tables)]
        parts = parts[min(self._shortest, self._pick((0, 0, 1, 2, 2))) :]
        if self._is_rare():
            parts = self._pick((["payroll", "hr", SECRET], ["x", "y", "z", "quote"]))
        cluster = self._pick(("shanghai", "nowhere")) if self._is_rare() else self._cluster
        inside = self._pick((0, len(parts) - 1)) if cluster and self._chance(0.4) else None
        written = []
        for position, part in enumerate(parts):
            text = self._pick((part, part, part.upper(), part.title()))
            if position == inside:
                text = self._quoted(f"{text}@{cluster}")
            elif self._chance(0.25):
                text = self._quoted(text)
            written.append(text)
        dot = self._pick((".", ".", " . ", "/**/./* . */", ".--x\n")) if self._has_odd_gaps else "."
        return dot.join(written) + (f"@{cluster}" if cluster and inside is None else "")

    def _value(self, kind: str, depth: int, ctes: Mapping[str, Source], source: Source) -> str:
        """Return an expression of a kind."""
        if self._is_wild and self._chance(0.2):
            return self._pick(ANYTHING).format(one=self._column(source, kind), gap=self._gap())
        if depth <= 0 or self._chance(0.35):
            return self._column(source, kind)
        shape = self._pick(SHAPES[kind])
        values = {
            name: self._value(name, depth - 1, ctes, source) if "{" + name + "}" in shape else ""
            for name in KINDS
        }
        where = self._condition(depth - 2, ctes, source) if "{where}" in shape else ""
        query = ""
        if "{query}" in shape:
            inner = self._source(depth - 2, ctes)
            query = f"SELECT max({self._column(inner, kind)}) FROM {inner.text}"
        return shape.format(**values, where=where, query=query, gap=self._gap())

    def _condition(self, depth: int, ctes: Mapping[str, Source], source: Source) -> str:
        shapes = JOINS[5:] if self._is_rare() else CONDITIONS
        shape = self._pick(shapes)
        values = {name: self._value(name, depth - 1, ctes, source) for name in KINDS}
        return shape.format(**values, query=f"SELECT bid FROM {self.table()}", gap=self._gap())

    def _column(self, source: Source, kind: str) -> str:
        names = [name for name, its in source.columns if its == kind]
        if not names or self._chance(0.15):
            return self._pick(_LITERALS[kind])
        name = self._pick(names)
        is_plain = name.isascii() and name.isalnum()
        text = self._pick((name, name.upper(), name.lower())) if is_plain else f'"{name}"'
        if self._chance(0.2):
            text = self._quoted(name)
        return f"{source.qualifier}.{text}" if self._chance(0.3) else text

    def _kinds(self) -> list[str]:
        return [self._pick(KINDS) for _ in range(self._random.randint(1, 3))]

    def _quoted(self, text: str) -> str:
        return self._pick((f'"{text}"', f'"{text}"', f"`{text}`"))

    def _gap(self) -> str:
        if not self._has_odd_gaps:
            return " "
        return self._pick((" ", "\n", "\t", "\r\n", " /* x */ ", "/**/", " /* /* nested */ */ ",
                           " -- FROM payroll.hr.salaries\n"))  # fmt: skip

    def _chance(self, likely: float) -> bool:
        return self._random.random() < likely

    def _is_rare(self) -> bool:
        """Whether to write what is always refused: seldom, so that most statements are not."""
        return self._random.random() < 0.005

    def _pick(self, choices: Sequence[_Choice]) -> _Choice:
        return self._random.choice(choices)


_STARS = ("*", "* EXCLUDE (carrier)", "* EXCEPT (BID)", "* REPLACE (upper(carrier) AS carrier)")
_LITERALS: Mapping[str, tuple[str, ...]] = {
    "number": ("1", "-1", "2.5", "1e3", "length('payroll.hr.salaries')", "0.5"),
    "text": ("'a'", "''", "'it''s'", "E'a\\'b'", "$$a'b$$", "$x$ SELECT $x$", "'--'", "'/*'",
             "'@hangzhou'", "'payroll.hr.salaries'", "'\u202e'"),
    "date": ("DATE '2026-01-01'", "'2026-01-01'::date", "CAST('2026-01-01' AS DATE)"),
}  # fmt: skip
