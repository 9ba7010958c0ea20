"""SQL text to one statement over one cluster, or to a refusal that says what to do instead.

The steps, each of which may refuse: size and height (`limits`), one statement only, administrative
statements by a parser of our own (`administration`), names with clusters (`names`), sqlglot's
reading of a query (here), the rules (`rules`) and the names again (`bind`).
"""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import Token, TokenType

from planner import administration, limits, names, rules, writes
from planner.bind import bind_query
from planner.definition import Definition
from planner.definitiongrammar import parse_definition
from planner.dialect import dialect, place_at, read_tokens, shown, source_of
from planner.draft import Draft
from planner.errors import (
    OneStatementOnlyError,
    PlannerError,
    SplittableError,
    SqlSyntaxError,
)
from planner.explained import QUERY_HEADS, Explained, strip_explain
from planner.hints import refuse_unreadable
from planner.limits import Limits
from planner.live import bind_live
from planner.nodes import Nodes
from planner.passwords import may_hold_password, unreadable
from planner.reading import Reading
from planner.references import find_references
from planner.rules.live_tables import reads_live_tables
from planner.statement import Defaults, LiveQuery, Query, Statement
from planner.writing import Write
from planner.writinggrammar import parse_write, query_of_write

_CACHED_TEXTS = 1024
_CACHED_LENGTH = 16_384  # longer texts are read anew, so that the cache stays below some 50 MB


def parse_statement(
    sql: str,
    defaults: Defaults,
    *,
    home: str | None = None,
    limits: Limits = Limits(),  # noqa: B008  a frozen value
) -> Statement:
    """Read one statement.

    The same text under the same defaults is read once; the answer is an immutable value.

    Args:
        sql: What was typed.
        defaults: What completes names that are not written out.
        home: The cluster whose own tables may be asked with joins; None where there is none, as at
            the MoM and for visitors.
        limits: How large the statement may be.

    Returns:
        The query, or the administrative statement.

    Raises:
        PlannerError: One of its subclasses, by what is wrong.
    """
    if may_hold_password(sql):
        return _read_unseen(sql, defaults, home, limits)
    if len(sql) <= _CACHED_LENGTH:
        return _read_cached(sql, defaults, home, limits)
    return _read(sql, defaults, home, limits)


def _read(sql: str, defaults: Defaults, home: str | None, bounds: Limits) -> Statement:
    limits.check_text(sql, bounds)
    tokens = _one_statement(sql, read_tokens(sql))
    limits.check_tokens(sql, tokens, bounds)
    explained = strip_explain(sql, tokens)
    if explained is None:
        statement = administration.parse_administration(sql, tokens, defaults)
        if statement is not None:
            return statement
        explained = Explained(tokens, explain=None)
        if home is not None and writes.written_cluster(tokens, defaults) == home:
            change = _read_change(sql, tokens, defaults, home, bounds)
            if change is not None:
                return change
    elif home is not None:
        writes.refuse_explained(sql, explained.tokens, defaults, home)
    head = explained.tokens[0]
    if source_of(sql, head).upper() not in QUERY_HEADS:
        raise writes.refuse_other(sql, explained.tokens, defaults, home)
    return _read_query(sql, explained, defaults, home, bounds)


def _read_change(
    sql: str, tokens: list[Token], defaults: Defaults, home: str, bounds: Limits
) -> Definition | Write | None:
    """Read a statement that changes what the reader's own cluster holds; None if it is none."""
    definition = parse_definition(sql, tokens, defaults)
    if definition is not None:
        return definition
    draft = parse_write(sql, tokens, defaults)
    if not isinstance(draft, Draft):
        return draft
    query = _read_query(sql, draft, defaults, home, bounds)
    if isinstance(query, Query) and query.cluster == home:
        return draft.finish(query)
    raise writes.refuse_reading_elsewhere(sql, draft.tokens[0], draft.table, query)


def _read_unseen(sql: str, defaults: Defaults, home: str | None, bounds: Limits) -> Statement:
    """Read a text that nothing may keep or repeat."""
    try:
        return _read(sql, defaults, home, bounds)
    except PlannerError:
        pass
    raise unreadable()


_read_cached = lru_cache(maxsize=_CACHED_TEXTS)(_read)


def _one_statement(sql: str, tokens: list[Token]) -> list[Token]:
    """Return the tokens without the semicolons around them."""
    filled = [
        position
        for position, token in enumerate(tokens)
        if token.token_type is not TokenType.SEMICOLON
    ]
    statement = tokens[filled[0] : filled[-1] + 1] if filled else []
    for position, following in pairwise(filled):
        if following > position + 1:
            token = tokens[following]
            raise OneStatementOnlyError(
                f"{place_at(sql, token.start)}: a second statement starts at "
                f"{shown(source_of(sql, token))!r}; send one statement at a time"
            )
    if not statement:
        raise SqlSyntaxError("the statement is empty; write one, as in SELECT 1")
    return statement


def _read_query(
    sql: str, explained: Explained | Draft, defaults: Defaults, home: str | None, bounds: Limits
) -> Query | LiveQuery:
    reading = replace(_reading_of(sql, explained, defaults, home), limits=bounds)
    explain = explained.explain if isinstance(explained, Explained) else None
    is_live = reads_live_tables(reading)
    if is_live:
        # They are nobody's own: joins over them are refused at home as well.
        reading = replace(reading, home=None)
    try:
        for rule in rules.RULES:
            rule(reading)
        if is_live:
            return bind_live(reading, explain=explain)
        return bind_query(reading, explain=explain)
    except SplittableError as refusal:
        refusal.tables = () if is_live else reading.tables
        raise


def read_again(sql: str, defaults: Defaults) -> Reading:
    """Return the reading of a query that was read before, whether or not a rule refused it."""
    tokens = _one_statement(sql, read_tokens(sql))
    explained = strip_explain(sql, tokens) or query_of_write(sql, tokens)
    return _reading_of(sql, explained or Explained(tokens, explain=None), defaults, None)


def _reading_of(
    sql: str, explained: Explained | Draft, defaults: Defaults, home: str | None
) -> Reading:
    named = names.join_names(sql, explained.tokens)
    tree = read_tree(sql, named.tokens)
    nodes = Nodes(tree)
    rules.check_construct(sql, tree, nodes)
    return Reading(
        sql=sql,
        tokens=named.tokens,
        joined=named.joined,
        tree=tree,
        nodes=nodes,
        references=find_references(sql, nodes),
        defaults=defaults,
        home=home,
        edits=explained.edits if isinstance(explained, Draft) else (),
        is_part=isinstance(explained, Draft),
    )


def read_tree(sql: str, tokens: tuple[Token, ...]) -> exp.Expr:
    """Return sqlglot's reading of one statement.

    Raises:
        SqlSyntaxError: When it cannot be read, with the place and the token.
        StatementTooLargeError: When it is nested more deeply than can be read.
    """
    place: tuple[int, int] | None = None
    try:
        trees = dialect().parser().parse(list(tokens), sql)
    except RecursionError:
        fault: Exception = limits.nesting_fault()
    except ParseError as error:
        detail = error.errors[0] if error.errors else {}
        place = (int(detail.get("line") or 0), int(detail.get("col") or 0))
        fault = _unreadable(sql, tokens, place, str(detail.get("description") or ""))
    except Exception:  # noqa: BLE001  whatever a parser trips over, the statement is at fault
        fault = _unreadable(sql, tokens, None)
    else:
        if len(trees) == 1 and isinstance(trees[0], exp.Expr):
            return trees[0]
        fault = _unreadable(sql, tokens, None)
    raise fault


def _unreadable(
    sql: str, tokens: tuple[Token, ...], place: tuple[int, int] | None, description: str = ""
) -> PlannerError:
    token = next((token for token in tokens if (token.line, token.col) == place), tokens[-1])
    return refuse_unreadable(sql, tokens, token, description)
