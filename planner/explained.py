"""What stands before a query that is to be explained: EXPLAIN and its options.

    EXPLAIN [ANALYZE] [VERBOSE] [FORMAT INDENT | TREE] query
    EXPLAIN (ANALYZE [TRUE | FALSE], VERBOSE [TRUE | FALSE], FORMAT INDENT | TREE) query

Options may come in any order, each once; TEXT is another word for INDENT.
"""

from dataclasses import dataclass

from sqlglot.tokenizer_core import Token

from planner.dialect import STRINGS, place_at, shown, source_of
from planner.errors import SqlSyntaxError, StatementNotSupportedError
from planner.statement import Explain

QUERY_HEADS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "FROM", "("})

_FORMATS = {"INDENT": False, "TEXT": False, "TREE": True}
_SWITCHES = {"TRUE": True, "ON": True, "1": True, "FALSE": False, "OFF": False, "0": False}
_ADMINISTRATIVE = frozenset({"SHOW", "DESCRIBE", "DESC", "GRANT", "DENY", "REVOKE", "USE"})
_LEGEND = "EXPLAIN [ANALYZE] [VERBOSE] [FORMAT INDENT | TREE] and the query"


@dataclass(frozen=True, slots=True)
class Explained:
    """A statement without its EXPLAIN; `explain` is None when it had none."""

    tokens: list[Token]
    explain: Explain | None


def strip_explain(sql: str, tokens: list[Token]) -> Explained | None:
    """Return what follows EXPLAIN, or None when the statement is not the explanation of a query.

    Args:
        sql: The text.
        tokens: Its tokens, without semicolons around them; at least one.

    Raises:
        SqlSyntaxError: When nothing follows, or an option is not complete.
        StatementNotSupportedError: When an option or what follows cannot be explained.
    """
    head, following = (_word(sql, tokens, position) for position in (0, 1))
    if head in {"DESCRIBE", "DESC"} and following in {"SELECT", "WITH", "VALUES"}:
        raise StatementNotSupportedError(
            f"{place_at(sql, tokens[0].start)}: {head} takes a table; write EXPLAIN before a query"
        )
    # EXPLAIN alone is read as EXPLAIN ACCESS, which names what is missing.
    if head != "EXPLAIN" or following in {"", "ACCESS"}:
        return None
    options = _Options(sql, tokens)
    in_parentheses = following == "(" and _word(sql, tokens, 2) not in QUERY_HEADS
    explained = Explained(*(options.read_list() if in_parentheses else options.read_words()))
    _check_query(sql, explained.tokens)
    return explained


def _check_query(sql: str, tokens: list[Token]) -> None:
    """Refuse statements that have no plan; writes are refused as themselves."""
    if not tokens:
        raise SqlSyntaxError("EXPLAIN needs a query after it, as in EXPLAIN SELECT 1")
    head = _word(sql, tokens, 0)
    place = place_at(sql, tokens[0].start)
    if head == "EXPLAIN":
        raise StatementNotSupportedError(f"{place}: EXPLAIN cannot be explained; write it once")
    if head in _ADMINISTRATIVE:
        raise StatementNotSupportedError(
            f"{place}: {head} has no plan to explain; send it without EXPLAIN"
        )


class _Options:
    """Reads options one by one."""

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self._sql = sql
        self._tokens = tokens
        self._next = 1
        self._found: dict[str, bool] = {}

    def read_words(self) -> tuple[list[Token], Explain]:
        """Return what follows options that stand side by side, and the options."""
        while (word := self._word()) in {"ANALYZE", "VERBOSE", "FORMAT"}:
            self._read_option(word)
        return self._end()

    def read_list(self) -> tuple[list[Token], Explain]:
        """Return what follows options in parentheses, and the options."""
        self._next += 1
        while True:
            word = self._word()
            if word not in {"ANALYZE", "VERBOSE", "FORMAT"}:
                raise StatementNotSupportedError(
                    f"{self._place()}: EXPLAIN has no option {self._shown()}; write {_LEGEND}"
                )
            self._read_option(word)
            if (switch := _SWITCHES.get(self._word())) is not None and word != "FORMAT":
                self._found[word] = switch
                self._next += 1
            closing = self._word()
            self._next += 1
            if closing == ")":
                return self._end()
            if closing != ",":
                self._next -= 1
                raise SqlSyntaxError(
                    f"{self._place()}: expected , or ) after an option of EXPLAIN, found "
                    f"{self._shown()}"
                )

    def _read_option(self, word: str) -> None:
        if word in self._found:
            raise SqlSyntaxError(f"{self._place()}: {word} is written twice; leave one out")
        self._next += 1
        self._found[word] = self._read_format() if word == "FORMAT" else True

    def _read_format(self) -> bool:
        name = self._word()
        if name not in _FORMATS:
            raise StatementNotSupportedError(
                f"{self._place()}: EXPLAIN has no format {self._shown()}; write FORMAT INDENT or "
                "FORMAT TREE"
            )
        self._next += 1
        return _FORMATS[name]

    def _end(self) -> tuple[list[Token], Explain]:
        found = (self._found.get(word, False) for word in ("ANALYZE", "VERBOSE", "FORMAT"))
        return self._tokens[self._next :], Explain(*found)

    def _word(self) -> str:
        return _word(self._sql, self._tokens, self._next)

    def _place(self) -> str:
        position = min(self._next, len(self._tokens) - 1)
        return place_at(self._sql, self._tokens[position].start)

    def _shown(self) -> str:
        if self._next >= len(self._tokens):
            return "(the statement ends)"
        return repr(shown(source_of(self._sql, self._tokens[self._next])))


def _word(sql: str, tokens: list[Token], position: int) -> str:
    """Return a token in upper case, a string without its quotes; nothing after the end."""
    if position >= len(tokens):
        return ""
    token = tokens[position]
    return (token.text if token.token_type in STRINGS else source_of(sql, token)).upper()
