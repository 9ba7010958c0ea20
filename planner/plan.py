"""Planning on empty tables: the columns of a result, and the second net for joins.

The engine's own planner reads the text, with nothing registered but empty tables of the schemas
that are handed in. What it says about a fault lists columns and internals, so none of its words
are passed on: `faults` tells what is wrong in ours.
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from threading import Lock
from typing import Any, Generic, TypeAlias, TypeVar

import pyarrow as pa
from datafusion import DataFrame, SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import Catalog, Schema
from datafusion.expr import Expr

from planner.columns import resolve_columns
from planner.dividing import is_divisible
from planner.errors import NotFoundError, not_found_text
from planner.faults import Function, explain_fault, explain_join, explain_subquery
from planner.parameters import UNKNOWN_TYPE, ParameterTypes, cast_rows, cast_values, infer_types
from planner.resulttypes import check_result_types
from planner.statement import Query
from planner.subplans import find_fault
from planner.work import check_work
from storage.names import ObjectName

logger = logging.getLogger(__name__)
_Schemas: TypeAlias = tuple[pa.Schema, ...]

_ONLY_QUERIES = (
    SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
)
_STATEMENTS_TOO = (
    SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(True)
)
_NOWHERE = "_unset"  # no catalog or schema can be called so
_KEPT_PLANS = 512
_KEPT_SESSIONS = 64
_KEPT_VALUES_BYTES = 4096  # statements with more are planned anew, so that the cache stays small

# The node at the head of a line of a plan: `Inner Join: …`, `LeftSemi Join: …`, `Cross Join: `.
_JOIN = re.compile(r"\s*(?:\w+ )?(?:Cross)?Join(?::|\s*$)")
_BRANCHES = re.compile(r"\b(?:UNION|CASE)\b", re.IGNORECASE)
_PLAIN_LIMIT = re.compile(r"Limit: skip=\d+, fetch=(?:\d+|None)")
_OUTER = re.compile(r"\bouter_ref\(")
# Whether a cast can be is seen by the engine when it plans to run, which for deep expressions
# takes several times as long as what is asked of it here.
_CAST = re.compile(r"cast\s*\(|::", re.IGNORECASE)
_NO_CAST = re.compile(r"Unsupported (?:TRY_)?CAST")
_MOST_TERMS_PREPARED = 2_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query will run.

    Attributes:
        text: What the engine runs: the query's text with the case of its columns resolved.
        arrow_schema: The columns of its result, as the engine will produce them. While nothing is
            bound to its parameters, columns whose types depend on them are utf8.
        parameters: The types of its parameters, in their order; None where any type is taken.
        values: What is bound to the parameters, in these types, by parameter. Nothing where it
            runs for several rows of values: each is planned by itself when its turn comes.
        is_divisible: Whether the answers over the parts of its tables, however their rows are
            parted, are together its answer; its rows may then come in any order.
    """

    text: str
    arrow_schema: pa.Schema
    parameters: ParameterTypes = ()
    values: Mapping[str, pa.Scalar] = field(default_factory=dict, repr=False)
    is_divisible: bool = False


_K = TypeVar("_K")
_V = TypeVar("_V")


class _Kept(Generic[_K, _V]):
    """What was made before, each with the very schemas that it was made for; the oldest go."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._held: OrderedDict[_K, tuple[_Schemas, _V]] = OrderedDict()

    def get(self, key: _K, schemas: _Schemas) -> _V | None:
        with self._lock:
            known = self._held.get(key)
            if known is None:
                return None
            self._held.move_to_end(key)
        same = all(
            mine is theirs or mine.equals(theirs, check_metadata=True)
            for mine, theirs in zip(known[0], schemas, strict=True)
        )
        return known[1] if same else None

    def put(self, key: _K, schemas: _Schemas, made: _V) -> None:
        with self._lock:
            self._held[key] = (schemas, made)
            self._held.move_to_end(key)
            if len(self._held) > self._most:
                self._held.popitem(last=False)


_plans: _Kept[Query, Plan] = _Kept(_KEPT_PLANS)
# A session can be asked again: nothing that is read in it changes it.
_sessions: _Kept[tuple[object, ...], SessionContext] = _Kept(_KEPT_SESSIONS)


def plan_query(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> Plan:
    """Plan a query on empty tables.

    Args:
        query: What was asked.
        schemas: The schema of each of its tables; others are not looked at.

    Returns:
        The text to run and the schema of its result.

    Raises:
        NotFoundError: When the schema of one of its tables is not among them.
        JoinNotSupportedError: When the plan holds a join and the tables are not the reader's own.
        UnknownColumnError: When a column is not there, or several could be meant.
        TypeMismatchError: When types or arguments do not fit, or a bound value its parameter.
        SqlSyntaxError: When the engine cannot read the text.
        StatementTooLargeError: When it is nested too deeply, or planning would take too long.
        StatementNotSupportedError: When the engine does not support it.
    """
    missing = [table for table in query.tables if table not in schemas]
    if missing:
        raise NotFoundError(not_found_text(missing[0]))
    read = tuple(schemas[table] for table in query.tables)
    plan = _plans.get(query, read)
    if plan is None:
        has_rows = query.values is not None and query.values.batch().num_rows != 1
        plan = (_plan_rows if has_rows else _plan)(query, schemas)
        if query.values is None or len(query.values.data) <= _KEPT_VALUES_BYTES:
            _plans.put(query, read, plan)
    return plan


def _plan(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> Plan:
    width = max((len(schemas[each]) for each in query.tables), default=0)
    check_work(query.work, query.limits, width=width)
    if query.values is not None:
        plan = plan_query(replace(query, values=None), schemas)
        plan = replace(plan, values=cast_values(query, plan.parameters))
    else:
        plan = Plan(resolve_columns(query, schemas), pa.schema([]))
    context = _context(query, schemas)
    shown: list[str] = []
    try:
        frame = context.sql_with_options(plan.text, _ONLY_QUERIES, param_values=dict(plan.values))
        logical = frame.logical_plan()
        shown.append(logical.display_indent())
        schema = frame.schema()
        if query.parameters and query.values is None:
            # Not optimised: what the types come to is known when there are values.
            types = infer_types(query, logical, _types_of(context), _first_types_of(context))
            plan = replace(plan, parameters=types)
            schema = _typed_schema(schema)
        else:
            plan = replace(plan, is_divisible=is_divisible(query, logical, shown[0]))
            schema = _optimized_schema(context, logical, shown, plan.text, schema)
            if _is_refused_late(query, plan.text, shown[0]):
                _check_casts(frame)
    except Exception as error:  # noqa: BLE001  the engine raises whatever it likes
        message = str(error)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        message = "panic"
    else:
        _check_plans(query, schemas, shown)
        check_result_types(schema)
        return replace(plan, arrow_schema=schema)
    logger.debug("plan refused", extra={"engine_text": message})
    if query.is_home:
        _check_plans(query, schemas, shown)
    raise explain_fault(message, query, plan.text, schemas, known_functions())


def _optimized_schema(
    context: SessionContext, logical: Any, shown: list[str], text: str, schema: pa.Schema
) -> pa.Schema:
    """Return the schema with the types of an optimised plan, which is shown too if it is whole."""
    if _is_chain(shown[0]):
        # Of a single table no optimiser makes a join: its types are all that is wanted.
        optimized = _analyser().create_dataframe_from_logical_plan(logical).optimized_logical_plan()
    else:
        optimized = context.create_dataframe_from_logical_plan(logical).optimized_logical_plan()
        shown.append(optimized.display_indent())
    coerced = context.create_dataframe_from_logical_plan(optimized).schema()
    return _coerced_schema(schema, coerced, text)


def _check_casts(frame: DataFrame) -> None:
    """Raise what the engine says of a cast that cannot be.

    Constants are not computed here, so that it may miss something else, and then that is no fault.
    """
    try:
        frame.execution_plan()
    except Exception as error:
        if _NO_CAST.search(str(error)) is not None:
            raise


def _is_refused_late(query: Query, text: str, shown: str) -> bool:
    """Whether a query holds casts, which the engine judges only when it plans to run.

    Subqueries are not all turned into joins here, without which the engine cannot plan to run.
    """
    is_small = query.work.terms <= _MOST_TERMS_PREPARED
    return is_small and "Subquery:" not in shown and _CAST.search(text) is not None


def _plan_rows(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> Plan:
    """Plan a query that runs once for each of several rows of values, or for none.

    One row stands for all: whether a column can be null depends on the values, so every one can.
    """
    assert query.values is not None  # noqa: S101  nothing else is planned here
    unbound = plan_query(replace(query, values=None), schemas)
    for _ in cast_rows(query, unbound.parameters):
        pass  # every value fits
    plan = plan_query(replace(query, values=query.values.typical()), schemas)
    fields = [field.with_nullable(True) for field in plan.arrow_schema]
    return replace(plan, arrow_schema=pa.schema(fields), values={}, is_divisible=False)


def _is_chain(shown: str) -> bool:
    """Whether every node of a plan has at most one below it, and none holds a subquery.

    Limits must be plain numbers: what is wrong with others is found while optimising. Text of the
    statement in a plan can only make this look untrue, which costs time alone.
    """
    return "ubquery" not in shown and all(
        line.startswith("  " * depth)
        and not line.startswith("  " * depth + " ")
        and (not line.lstrip().startswith("Limit:") or _PLAIN_LIMIT.fullmatch(line.strip()))
        for depth, line in enumerate(shown.splitlines())
    )


@cache
def _analyser() -> SessionContext:
    """Return a session that knows no table, and whose optimiser finds types and does no more."""
    return SessionContext(_config(passes=0))


def _types_of(context: SessionContext) -> Callable[[Any], pa.DataType]:
    """Return what tells the type of an expression that reads no table."""
    nothing: DataFrame = context.sql_with_options("SELECT 1", _ONLY_QUERIES)
    return lambda expression: nothing.select(Expr(expression)).schema().field(0).type


def _first_types_of(context: SessionContext) -> Callable[[str], pa.DataType | None]:
    """Return what tells the type that a text gives to its parameter `$1`, or None."""

    def first_type(text: str) -> pa.DataType | None:
        try:
            # Explained, so that it is planned and nothing is prepared.
            plan = context.sql_with_options(f"EXPLAIN PREPARE one AS {text}", _STATEMENTS_TOO)
            (prepared,) = plan.logical_plan().inputs()
            fields = prepared.to_variant().fields()
        except Exception:  # noqa: BLE001  what the engine cannot tell stays unknown
            return None
        return fields[0].type if fields else None

    return first_type


def _coerced_schema(schema: pa.Schema, coerced: pa.Schema, text: str) -> pa.Schema:
    """Return the schema with the types that the branches of a UNION or CASE come to.

    Only an optimised plan has these. It does not compute constants here, so that the scale of a
    decimal that is rounded stands in the plan as it was written only.
    """
    if schema.types == coerced.types:
        return schema
    has_branches = _BRANCHES.search(text) is not None
    fields = [
        late if has_branches or not pa.types.is_decimal(early.type) else early
        for early, late in zip(schema, coerced, strict=True)
    ]
    return pa.schema(fields, metadata=schema.metadata)


def _typed_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with a type that clients can take where a parameter leaves it open."""
    fields = [
        field.with_type(UNKNOWN_TYPE) if pa.types.is_null(field.type) else field for field in schema
    ]
    return pa.schema(fields, metadata=schema.metadata)


@cache
def known_functions() -> Mapping[str, Function]:
    """Return the functions that the engine knows, by name."""
    config = SessionConfig({"datafusion.catalog.information_schema": "true"})
    rows = SessionContext(config).sql(
        "SELECT DISTINCT routine_name, syntax_example, function_type "
        "FROM information_schema.routines ORDER BY routine_name"
    )
    return {
        row["routine_name"]: Function(row["syntax_example"] or "", row["function_type"])
        for row in rows.to_arrow_table().to_pylist()
    }


def _config(passes: int) -> SessionConfig:
    # The methods of a config change it and return it: every session needs one of its own.
    return (
        SessionConfig(
            {
                "datafusion.catalog.information_schema": "false",
                "datafusion.optimizer.max_passes": str(passes),
            }
        )
        .with_create_default_catalog_and_schema(False)
        .with_target_partitions(1)
    )


def _context(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> SessionContext:
    """Return a session that knows nothing but empty tables of the query."""
    key = (query.catalog, query.schema, query.tables)
    read = tuple(schemas[table] for table in query.tables)
    context = _sessions.get(key, read)
    if context is None:
        context = _new_context(query, schemas)
        _sessions.put(key, read, context)
    return context


def _new_context(query: Query, schemas: Mapping[ObjectName, pa.Schema]) -> SessionContext:
    # One pass turns every subquery into the join that it is; more would only cost time.
    config = _config(passes=1).with_default_catalog_and_schema(
        query.catalog or _NOWHERE, query.schema or _NOWHERE
    )
    context = SessionContext(config)
    # Without it, no function of constants is computed while planning, however much it would make.
    context.remove_optimizer_rule("simplify_expressions")
    catalogs: dict[str, Catalog] = {}
    made: set[tuple[str, str]] = set()
    for table in query.tables:
        name: dict[str, Any] = {"catalog": table.catalog, "schema": table.schema}
        catalog = catalogs.get(name["catalog"])
        if catalog is None:
            catalog = catalogs[name["catalog"]] = Catalog.memory_catalog()
            context.register_catalog_provider(name["catalog"], catalog)
        if (name["catalog"], name["schema"]) not in made:
            made.add((name["catalog"], name["schema"]))
            catalog.register_schema(name["schema"], Schema.memory_schema())
        empty = pa.RecordBatch.from_pylist([], schema=schemas[table])
        context.register_record_batches(table.local, [[empty]])
    return context


def _check_plans(query: Query, schemas: Mapping[ObjectName, pa.Schema], plans: list[str]) -> None:
    """Refuse a plan that holds a join, or reads a column of the query around a subquery.

    At home both are allowed, but for subqueries that would be answered wrongly.

    Raises:
        JoinNotSupportedError: When it does.
        StatementNotSupportedError: When a subquery would be answered wrongly.
    """
    if query.is_home:
        if plans and (fault := find_fault(plans[0])) is not None:
            raise explain_subquery(fault, query, schemas)
        return
    lines = [line for plan in plans for line in plan.splitlines()]
    if not any(_JOIN.match(line) for line in lines) and not _has_outer(query, lines):
        return
    raise explain_join(query, schemas)


def _has_outer(query: Query, lines: list[str]) -> bool:
    if query.text.upper().count("SELECT") < 2:  # noqa: PLR2004  no subquery, no outer query
        return False
    return any(_OUTER.search(line) for line in lines)
