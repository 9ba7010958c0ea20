"""How much work planning a query is, from its tree alone and in linear time.

A filter is pushed down to the tables, and each column in it is replaced by what computes it, query
by query. `SELECT x + x AS x` twenty times around each other makes a million terms of one, so the
sizes are added up here without writing anything out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from sqlglot import exp

from planner.expansion import count_reads
from planner.nodes import Nodes
from planner.references import cte_name, engine_name, start_of
from planner.scopes import alias_of, pieces_of
from planner.work import Work

# fmt: off
AGGREGATES = frozenset({
    "any_value", "approx_distinct", "approx_median", "approx_percentile_cont",
    "approx_percentile_cont_with_weight", "array_agg", "avg", "bit_and", "bit_or", "bit_xor",
    "bool_and", "bool_or", "corr", "count", "covar", "covar_pop", "covar_samp", "first_value",
    "grouping", "last_value", "max", "mean", "median", "min", "nth_value", "percentile_cont",
    "quantile_cont", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2",
    "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop", "stddev_samp",
    "string_agg", "sum", "var", "var_pop", "var_population", "var_samp", "var_sample",
})
# fmt: on
_FILTERS = ("where", "having", "qualify")
_SOURCES = frozenset({"from_", "with_"})
_STEPS_OF_TERM = 10  # at whatever level
_WINDOWS_AS_READ = 4  # that many hand a table's columns on at the cost of one more read
_MOST = 10**12  # sizes are not counted further, so that adding them stays quick


def count_work(nodes: Nodes) -> Work:
    """Return what planning a query costs, as far as its tree tells."""
    return replace(_Counting(nodes).work(), reads=count_reads(nodes))


@dataclass(frozen=True, slots=True)
class _Size:
    """How many terms an expression has, and how many with each counted at every level above it."""

    terms: int = 1
    levels: int = 0

    def __add__(self, other: "_Size") -> "_Size":
        return _Size(min(self.terms + other.terms, _MOST), min(self.levels + other.levels, _MOST))

    @property
    def steps(self) -> int:
        """What planning it costs."""
        return self.levels + _STEPS_OF_TERM * self.terms

    def instead(self, depth: int) -> "_Size":
        """Return what it adds to an expression in which it replaces a column that deep."""
        return _Size(self.terms - 1, min(self.levels + depth * (self.terms - 1), _MOST))


_NOTHING = _Size(0, 0)
_ONE = _Size()


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a query hands on, written out.

    Attributes:
        columns: The sizes of its columns, by name.
        rest: The size of any other.
        tables: How many tables it hands on with all their columns.
        items: How many columns it names.
        work: What planning it costs, with all that it reads.
    """

    columns: dict[str, _Size] = field(default_factory=dict)
    rest: _Size = _ONE
    tables: int = 0
    items: int = 1
    work: Work = field(default_factory=Work)

    @property
    def most(self) -> _Size:
        """The largest size of all its columns."""
        return max(self.columns.values(), key=lambda one: one.steps, default=self.rest)

    def of(self, name: str) -> _Size:
        """Return the size of a column."""
        return self.columns.get(name, self.rest)


@dataclass(slots=True)
class _Walked:
    """What one expression holds, without the queries in it."""

    raw: _Size = _NOTHING
    columns: list[tuple[exp.Column, int]] = field(default_factory=list)
    windows: list[exp.Window] = field(default_factory=list)
    queries: list[exp.Query] = field(default_factory=list)
    aggregates: int = 0


class _Counting:
    """Counts query by query, the innermost first, and each WITH part wherever it is named."""

    def __init__(self, nodes: Nodes) -> None:
        self._root = next(iter(nodes))
        self._parts: dict[int, _Shape] = {}
        self._open: set[int] = set()
        self._named: set[int] = set()
        # In the order of the text, as later ones read them: nothing is deep then.
        for cte in sorted(nodes.of(exp.CTE), key=lambda cte: start_of(cte.args["alias"])):
            self._part(cte)

    def work(self) -> Work:
        """Return the work of the whole query; parts that nothing names are planned as well."""
        whole = self._shape(self._root).work
        unnamed = (shape.work for at, shape in self._parts.items() if at not in self._named)
        return _sum_work([whole, *unnamed])

    def _part(self, cte: exp.Expr) -> _Shape:
        known = self._parts.get(id(cte))
        if known is None:
            self._open.add(id(cte))
            known = _renamed(self._shape(cte.this), cte.args["alias"])
            self._open.discard(id(cte))
            self._parts[id(cte)] = known
        return known

    def _shape(self, query: exp.Expr) -> _Shape:
        if isinstance(query, exp.SetOperation):
            return _united([self._shape(branch) for branch in _branches(query)])
        if isinstance(query, exp.Select):
            return self._select(query)
        if isinstance(query, exp.Subquery):
            return self._shape(query.this)
        if isinstance(query, exp.Table):
            return self._table(query)
        return self._loose(query)

    def _loose(self, query: exp.Expr) -> _Shape:
        """Return the shape of VALUES, and of whatever else stands where a query can."""
        walked = _walk(query)
        inner = [self._shape(one).work for one in walked.queries]
        return _Shape(work=_sum_work([Work(terms=walked.raw.steps), *inner]))

    def _table(self, table: exp.Table) -> _Shape:
        """Return the shape of the WITH part that a name means, else of a table."""
        name = engine_name(table.this) if isinstance(table.this, exp.Identifier) else ""
        child: exp.Expr = table
        parent = table.parent
        while parent is not None and not table.args.get("db"):
            clause = parent if isinstance(parent, exp.With) else parent.args.get("with_")
            for cte in _before(clause, child):
                if cte_name(cte) == name and id(cte) not in self._open:
                    self._named.add(id(cte))
                    return self._part(cte)
            child, parent = parent, parent.parent
        return _Shape(tables=1) if name else self._loose(table.this)

    def _select(self, select: exp.Select) -> _Shape:
        sources = [self._source(piece) for piece in pieces_of(select)]
        columns: dict[str, _Size] = {}
        rest = _ONE
        tables = 0
        walks: list[_Walked] = []
        for item in select.expressions or [exp.Star()]:
            walked = _walk(item.this if isinstance(item, exp.Alias) else item)
            walks.append(walked)
            size = _written_out(walked, sources)
            if _is_star(item):
                rest = _larger([rest, *(source.rest for source in sources)])
                tables += sum(source.tables for source in sources)
                for source in sources:
                    columns |= source.columns
                for replaced in item.find_all(exp.Alias):
                    columns[_name_of(replaced)] = size
            elif name := _name_of(item):
                columns[name] = _larger([size, columns.get(name, _ONE)])
            else:
                rest = _larger([rest, size])
        filters = 0
        for clause in _clauses(select):
            walked = _walk(clause)
            walks.append(walked)
            if clause.arg_key in _FILTERS or isinstance(clause.parent, exp.Join):
                filters += _written_out(walked, sources, names=columns).steps
        inner = [source.work for source in sources]
        inner += [self._shape(query).work for walked in walks for query in walked.queries]
        own = replace(_own_work(select, walks, tables), filters=min(filters, _MOST))
        items = max(len(select.expressions), len(columns))
        return _Shape(columns, rest, tables, items, _sum_work([own, *inner]))

    def _source(self, piece: exp.Expr) -> _Shape:
        shape = self._shape(piece)
        return shape if alias_of(piece) is None else _renamed(shape, piece.args["alias"])


def _name_of(item: exp.Expr) -> str:
    """Return the name of an item of a SELECT in lower case, empty where it cannot be told."""
    if not isinstance(item, exp.Alias | exp.Column):
        return ""
    named = item.args.get("alias") if isinstance(item, exp.Alias) else item.this
    return str(named.this).lower() if isinstance(named, exp.Identifier) else ""


def _is_star(item: exp.Expr) -> bool:
    return isinstance(item, exp.Star) or isinstance(item.this, exp.Star)


def _branches(query: exp.Expr) -> list[exp.Expr]:
    """Return the queries that a chain of set operations puts together."""
    found: list[exp.Expr] = []
    waiting = [query]
    while waiting:
        one = waiting.pop()
        if isinstance(one, exp.SetOperation):
            waiting += [one.expression, one.this]
        else:
            found.append(one)
    return found


def _clauses(select: exp.Select) -> Iterator[exp.Expr]:
    """Yield what a SELECT holds beside its items and what stands in FROM."""
    for key, value in select.args.items():
        if key in _SOURCES or key == "expressions":
            continue
        if key == "joins":
            yield from (join.args["on"] for join in value if join.args.get("on") is not None)
            continue
        for clause in value if isinstance(value, list) else [value]:
            if isinstance(clause, exp.Expr):
                yield clause


def _before(clause: exp.Expr | None, child: exp.Expr) -> list[exp.CTE]:
    """Return the WITH parts that can be named at a place, the nearest first."""
    if clause is None or clause is child:
        return []
    parts = list(clause.expressions)
    at = next((at for at, cte in enumerate(parts) if cte is child), len(parts))
    return parts[:at][::-1]


def _walk(root: exp.Expr) -> _Walked:
    """Walk an expression, without the queries in it and without recursion."""
    walked = _Walked()
    terms = levels = 0
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, exp.Query) and node is not root:
            walked.queries.append(node)
            continue
        terms += 1
        levels += depth
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
            walked.columns.append((node, depth))
            continue
        if isinstance(node, exp.Window):
            walked.windows.append(node)
        elif isinstance(node, exp.Anonymous) and str(node.this).lower() in AGGREGATES:
            walked.aggregates += not isinstance(node.parent, exp.Window)
        waiting += [(child, depth + 1) for child in node.iter_expressions()]
    walked.raw = _Size(terms, levels)
    return walked


def _written_out(
    walked: _Walked, sources: list[_Shape], *, names: dict[str, _Size] | None = None
) -> _Size:
    """Return the size of an expression once its columns are what computes them.

    Where rows are grouped or numbered, no filter gets past: such expressions stay as they are.
    """
    size = walked.raw
    if walked.aggregates or walked.windows:
        return size
    for column, depth in walked.columns:
        name = str(column.this.this).lower() if isinstance(column.this, exp.Identifier) else ""
        sizes = [source.columns[name] for source in sources if name in source.columns]
        if not sizes:
            sizes = [source.rest if name else source.most for source in sources]
        if names and name in names and not column.args.get("table"):
            sizes.append(names[name])
        size += _larger(sizes).instead(depth)
    return size


def _own_work(select: exp.Select, walks: list[_Walked], tables: int) -> Work:
    windows = [window for walked in walks for window in walked.windows]
    kinds = {(window.args.get("order"), str(window.args.get("alias")), *_partition(window))
             for window in windows}  # fmt: skip
    aggregates = sum(walked.aggregates for walked in walks)
    group = select.args.get("group")
    groups = sum(1 for _ in group.iter_expressions()) if group is not None else 0
    pairs = len(kinds) * len(windows)
    return Work(
        terms=sum(walked.raw.steps for walked in walks),
        grouped=(groups + aggregates) * max(len(select.expressions), aggregates),
        windows=pairs * len(windows),
        window_pairs=pairs,
        whole_reads=tables * (1 + len(windows) // _WINDOWS_AS_READ),
    )


def _partition(window: exp.Window) -> tuple[exp.Expr, ...]:
    return tuple(window.args.get("partition_by") or ())


def _united(shapes: list[_Shape]) -> _Shape:
    """Return the shape of a set operation: a filter over it is pushed into every branch."""
    most = [shape.most for shape in shapes]
    columns = {
        name: _total(
            shape.columns.get(name, largest) for shape, largest in zip(shapes, most, strict=True)
        )
        for name in shapes[0].columns
    }
    rest = _total(most)
    tables, items = max(shape.tables for shape in shapes), shapes[0].items
    own = Work(
        unions=len(shapes) ** 2 * items,
        whole_reads=(len(shapes) - 1) * tables,
    )
    work = _sum_work([own, *(shape.work for shape in shapes)])
    return _Shape(columns, rest, tables, items, work)


def _renamed(shape: _Shape, alias: exp.Expr) -> _Shape:
    """Return a shape under a list of column names: which is which is not told apart then."""
    if not alias.args.get("columns"):
        return shape
    return replace(shape, columns={}, rest=_larger([shape.rest, shape.most]))


def _larger(sizes: Iterable[_Size]) -> _Size:
    return max(sizes, key=lambda one: one.steps, default=_ONE)


def _total(sizes: Iterable[_Size]) -> _Size:
    return sum(sizes, _NOTHING)


def _sum_work(works: list[Work]) -> Work:
    return Work(
        terms=min(sum(work.terms for work in works), _MOST),
        filters=min(sum(work.filters for work in works), _MOST),
        grouped=min(sum(work.grouped for work in works), _MOST),
        windows=min(sum(work.windows for work in works), _MOST),
        window_pairs=min(sum(work.window_pairs for work in works), _MOST),
        unions=min(sum(work.unions for work in works), _MOST),
        whole_reads=min(sum(work.whole_reads for work in works), _MOST),
    )
