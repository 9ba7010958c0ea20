"""The grammar of the federation's SQL: PostgreSQL's as sqlglot reads it, and what DataFusion adds.

The tree that is built here is walked for tables, columns and constructs, and thrown away: what runs
is the user's own text. So two things matter: whatever the engine reads is read here too, and
nothing that stands inside it is lost. Every function is therefore kept as a plain call with all its
arguments: sqlglot's own nodes for functions know how many arguments another engine would take.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.parsers.postgres import PostgresParser
from sqlglot.tokenizer_core import TokenType

# Words that begin statements or mean something to other engines: names in a query.
_NAMES = frozenset(
    {
        TokenType.ALTER,
        TokenType.CREATE,
        TokenType.DESCRIBE,
        TokenType.DROP,
        TokenType.GRANT,
        TokenType.INSERT,
        TokenType.ONLY,
        TokenType.REVOKE,
        TokenType.ROLLBACK,
        TokenType.VARIADIC,
    }
)
_TRIM_SIDES = ("BOTH", "LEADING", "TRAILING")
_PIPED = ("where", "order", "limit", "offset", "sample")
_MAX_PIPES = 50
_OF_TEMPLATES = ("{%", "%}", "{{", "}}")
_OF_OTHERS = frozenset(
    {"CONNECT_BY_ROOT", "GLOB", "ISNULL", "LOCK", "NOTNULL", "PARTITIONED_BY", "REGEXP", "RLIKE"}
    | {"UNCACHE", "XOR"}
    # Here a `?` is a parameter, which may be cast like any value.
    | {"?::"}
)


class FederationTokenizer(Postgres.Tokenizer):
    """PostgreSQL's tokens, but for what other engines and templates give a meaning to.

    Backticks quote; SHOW and others are words; `#` may stand in a name; a comment that `--` opens
    ends with the line, which a lone carriage return does not.
    """

    # ruff: noqa: RUF012  sqlglot's metaclasses read plain class attributes
    IDENTIFIERS = ['"', "`"]
    COMMANDS = set()
    COMMENTS_TERMINATE_AT_NEWLINE_ONLY = True
    VAR_SINGLE_TOKENS = {"$", "#"}
    KEYWORDS = {
        word: token_type
        for word, token_type in Postgres.Tokenizer.KEYWORDS.items()
        if not any(sign in word for sign in _OF_TEMPLATES) and word not in _OF_OTHERS
    } | {"{#": TokenType.L_BRACE}


# The tokenizer takes `{#` for the comment of a template, whatever the dialect.
FederationTokenizer._COMMENTS.pop("{#")  # noqa: SLF001  there is no public way


class FederationParser(PostgresParser):
    """PostgreSQL's grammar with what DataFusion reads beyond it; one method per construct."""

    STRING_ALIASES = True
    MAP_KEYS_ARE_ARBITRARY_EXPRESSIONS = True
    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
    FUNCTION_PARSERS = {
        "CAST": PostgresParser.FUNCTION_PARSERS["CAST"],
        "TRY_CAST": PostgresParser.FUNCTION_PARSERS["TRY_CAST"],
        "SAFE_CAST": PostgresParser.FUNCTION_PARSERS["SAFE_CAST"],
        "EXTRACT": PostgresParser.FUNCTION_PARSERS["EXTRACT"],
        "OVERLAY": lambda self: self._parse_spelled("OVERLAY", "PLACING", "FROM", "FOR"),
        "POSITION": lambda self: self._parse_spelled("POSITION", "IN"),
        "SUBSTR": lambda self: self._parse_spelled("SUBSTR", "FROM", "FOR"),
        "SUBSTRING": lambda self: self._parse_spelled("SUBSTRING", "FROM", "FOR"),
        "TRIM": lambda self: self._parse_spelled("TRIM", "FROM", *_TRIM_SIDES),
    }
    NO_PAREN_FUNCTION_PARSERS = {
        word: PostgresParser.NO_PAREN_FUNCTION_PARSERS[word] for word in ("ANY", "CASE")
    }
    ID_VAR_TOKENS = PostgresParser.ID_VAR_TOKENS | _NAMES
    ALIAS_TOKENS = PostgresParser.ALIAS_TOKENS | _NAMES
    TABLE_ALIAS_TOKENS = PostgresParser.TABLE_ALIAS_TOKENS | _NAMES

    def _parse_spelled(self, name: str, *words: str) -> exp.Expr:
        """Read the arguments of a function that separates them by words.

        Example:
            `substr(word from 2 for 3)`, `trim(both 'x' from word)`, `position('a' in word)`
        """
        arguments: list[exp.Expr] = []
        while self._curr and not self._match(TokenType.R_PAREN, advance=False):
            if self._match(TokenType.COMMA) or self._match_texts(words):
                continue
            is_named = self._next and self._next.token_type in self.LAMBDAS
            is_loose = "IN" not in words
            argument = self._parse_lambda() if is_loose or is_named else self._parse_bitwise()
            if argument is None:
                break
            arguments.append(argument)
        if not self._match(TokenType.R_PAREN, advance=False):
            self.raise_error("Expected )")
        return self.expression(exp.Anonymous(this=name, expressions=arguments))

    def _parse_odbc_datetime_literal(self) -> exp.Expr:
        """Read what follows `{`: a typed literal, or a struct whose first key is called like one.

        Example:
            `{d '2024-01-01'}`, `{ts '2024-01-01 10:00:00'}`, `{d: 1, t: 2}`
        """
        if self._next and self._next.token_type is TokenType.STRING:
            self._advance()
            literal = self._parse_primary()
            pieces = [literal] if literal else []
        else:
            pieces = self._parse_csv(lambda: self._parse_bracket_key_value(is_map=True))
        if not self._match(TokenType.R_BRACE):
            self.raise_error("Expected }")
        return self.expression(exp.Struct(expressions=self._kv_to_prop_eq(pieces)))

    ODBC_DATETIME_LITERALS = {"d": exp.Struct, "t": exp.Struct, "ts": exp.Struct}

    def _parse_value(self, values: bool = True) -> exp.Tuple | None:
        """Read one row of VALUES.

        Example:
            `values row(1, 2), row(3, 4)`
        """
        if self._next and self._next.token_type is TokenType.L_PAREN:
            self._match_text_seq("ROW")
        return super()._parse_value(values)

    def _parse_column_reference(self) -> exp.Expr | None:
        """Read a column; VALUES before a row is none."""
        if self._match_text_seq("VALUES", "ROW", advance=False):
            return None
        return super()._parse_column_reference()

    def _parse_statement(self) -> exp.Expr | None:
        """Read a statement; VALUES becomes a query that WITH can stand before.

        Example:
            `with a as (select 1) values (1)`
        """
        statement = super()._parse_statement()
        if isinstance(statement, exp.Values):
            return exp.Select(expressions=[exp.Star()], from_=exp.From(this=statement))
        return statement

    def _parse_pipe_syntax_query(self, query: exp.Query) -> exp.Query:
        """Read the pipe operators after a query: each is a query over what stands before it.

        Example:
            `select * from t |> where id < 3 |> aggregate count(*) group by region`
        """
        for _ in range(_MAX_PIPES):
            if not self._match(TokenType.PIPE_GT):
                return query
            query = self._parse_pipe_set_operation(query) or self._parse_pipe_select(query)
        # Each is one more query around the others: planning costs more than their number.
        raise RecursionError

    def _parse_pipe_set_operation(self, query: exp.Query) -> exp.Query | None:
        operation = self.parse_set_operation(query)
        while operation is not None and self._match(TokenType.COMMA):
            following = self._parse_paren()
            operation = type(operation)(this=operation, expression=following)
        return operation

    def _parse_pipe_select(self, query: exp.Query) -> exp.Select:
        source = exp.Subquery(this=query)
        select = exp.Select(expressions=[exp.Star()], from_=exp.From(this=source))
        if self._match(TokenType.ALIAS):
            source.set("alias", self._parse_table_alias())
        elif self._match(TokenType.SELECT):
            select.set("expressions", self._parse_expressions())
        elif self._match_text_seq("EXTEND"):
            select.set("expressions", [exp.Star(), *self._parse_expressions()])
        elif self._match_text_seq("AGGREGATE"):
            select.set("expressions", self._parse_expressions())
            select.set("group", self._parse_group())
        else:
            join = self._parse_join()
            select.set("joins", [join] if join else [])
            self._parse_query_modifiers(select)
            if not join and not any(select.args.get(key) for key in _PIPED):
                self.raise_error("Unsupported pipe operator")
        return select
