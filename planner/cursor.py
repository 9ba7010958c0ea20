"""A place in the tokens of an administrative statement, and how to read on from there."""

import re
from contextlib import suppress
from dataclasses import replace

from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import (
    QUOTED,
    STRINGS,
    is_adjacent,
    is_word,
    place_at,
    shown,
    source_of,
)
from planner.errors import NotFoundError, SqlSyntaxError, StatementNotSupportedError
from planner.statement import Defaults
from storage.names import (
    INFORMATION_SCHEMA,
    SYSTEM_CATALOG,
    InvalidNameError,
    Level,
    ObjectName,
    fold_name,
)

_ENDS_RUN = frozenset({TokenType.COMMA, TokenType.L_PAREN, TokenType.R_PAREN, TokenType.SEMICOLON})
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}", re.ASCII)
_TABLE_PARTS = 3
_VISITORS = "VISITORS"
_EVERYBODY = frozenset({_VISITORS, "PUBLIC", "EVERYBODY"})


class Cursor:
    """Reads tokens from left to right; each method either advances or raises a refusal."""

    def __init__(self, sql: str, tokens: list[Token], defaults: Defaults) -> None:
        self._sql = sql
        self._tokens = tokens
        self._defaults = defaults
        self._position = 0

    @property
    def sql(self) -> str:
        """The text as it was typed."""
        return self._sql

    def peek(self) -> Token | None:
        """Return the token that comes next, None at the end."""
        at_end = self._position == len(self._tokens)
        return None if at_end else self._tokens[self._position]

    def peek_word(self, ahead: int = 0) -> str:
        """Return what comes next, or so far ahead, as written, in upper case; empty at the end."""
        place = self._position + ahead
        at_end = place >= len(self._tokens)
        if at_end:
            return ""
        # Some words are one token with the one behind them, whatever stands between.
        return " ".join(source_of(self._sql, self._tokens[place]).upper().split())

    def next(self) -> Token:
        """Return the token that comes next and go on.

        Raises:
            SqlSyntaxError: At the end.
        """
        token = self.peek()
        if token is None:
            raise self.fault("more")
        self._position += 1
        return token

    def place(self) -> str:
        """Say where the next token is."""
        token = self.peek()
        return place_at(self._sql, len(self._sql) if token is None else token.start)

    def fault(self, expected: str) -> SqlSyntaxError:
        """Make the refusal of what comes next, where something else was expected."""
        token = self.peek()
        found = "the end" if token is None else repr(shown(source_of(self._sql, token)))
        return SqlSyntaxError(f"{self.place()}: expected {expected}, found {found}")

    def take(self, *words: str) -> bool:
        """Go past one of these words or signs, if one comes next."""
        if self.peek_word() not in words or self.peek() is None:
            return False
        self._position += 1
        return True

    def take_phrase(self, phrase: str) -> bool:
        """Go past these words if they come next, whether they are one token or several."""
        words = phrase.split()
        if not self.take(phrase):
            if [self.peek_word(ahead) for ahead in range(len(words))] != words:
                return False
            self._position += len(words)
        return True

    def expect(self, word: str) -> None:
        """Go past this word or sign.

        Raises:
            SqlSyntaxError: When something else comes next.
        """
        if not self.take(word):
            raise self.fault(word)

    def expect_end(self) -> None:
        """Make sure that nothing comes next.

        Raises:
            SqlSyntaxError: When something does.
        """
        if self.peek() is not None:
            raise self.fault("the end of the statement")

    def text(self, expected: str) -> str:
        """Read a quoted text.

        Raises:
            SqlSyntaxError: When something else comes next.
        """
        token = self.peek()
        if token is None or token.token_type not in STRINGS | QUOTED:
            raise self.fault(expected)
        return str(self.next().text)

    def word(self, expected: str) -> str:
        """Read one word, bare or in double quotes.

        Raises:
            SqlSyntaxError: When something else comes next.
        """
        token = self.peek()
        if token is None or not (is_word(token) or token.token_type in QUOTED):
            raise self.fault(expected)
        return str(self.next().text)

    def rest(self) -> list[Token]:
        """Return the tokens from the next one on."""
        return self._tokens[self._position :]

    def word_or_text(self, expected: str) -> str:
        """Read one word, bare or quoted.

        Raises:
            SqlSyntaxError: When something else comes next.
        """
        token = self.peek()
        if token is not None and is_word(token):
            return str(self.next().text)
        return self.text(expected)

    def object_name(self) -> ObjectName:
        """Read the name of a cluster, catalog, schema or table, in any of its written forms.

        Raises:
            SqlSyntaxError: When it is none.
        """
        name, has_cluster = self.written_name()
        return name if has_cluster else self._at_home(name)

    def written_name(self) -> tuple[ObjectName, bool]:
        """Read a name, and whether its cluster is written."""
        place = self.place()
        text = self._run("a name, as in trading.stock.quote@hangzhou")
        for cluster in (None, self._defaults.cluster):
            with suppress(InvalidNameError):
                return ObjectName.parse(text, cluster=cluster), cluster is None
        raise SqlSyntaxError(
            f"{place}: {shown(text)!r} is not a name; write it as trading.stock.quote@hangzhou, "
            "trading.stock@hangzhou, trading@hangzhou or *@hangzhou"
        )

    def _at_home(self, name: ObjectName) -> ObjectName:
        """Return a name that was written without a cluster: the catalog `system` is the MoM's."""
        is_moms = name.catalog == SYSTEM_CATALOG and name.schema != INFORMATION_SCHEMA
        if is_moms and self._defaults.mom is not None:
            return replace(name, cluster=self._defaults.mom)
        return name

    def table_name(self) -> ObjectName:
        """Read the name of a table; missing parts are the session's.

        A table of `information_schema` without a catalog lies in `system`.

        Raises:
            SqlSyntaxError: When it is no name.
            NotFoundError: When it lacks a part that has no default.
        """
        place = self.place()
        name, has_cluster = self.written_name()
        parts = tuple(part for part in (name.catalog, name.schema, name.table) if part)
        defaults = (self._defaults.catalog, self._defaults.schema)
        missing = defaults[: _TABLE_PARTS - len(parts)]
        if len(parts) == _TABLE_PARTS - 1 and parts[0] == INFORMATION_SCHEMA:
            missing = (SYSTEM_CATALOG,)
        complete = (*missing, *parts)
        if name.level is Level.CLUSTER or None in complete:
            raise NotFoundError(
                f"{place}: {name} lacks its catalog or schema; write catalog.schema.table@cluster"
            )
        full = ObjectName(name.cluster, *complete)
        return full if has_cluster else self._at_home(full)

    def cluster_name(self) -> str:
        """Read the name of a cluster: `hangzhou` or `*@hangzhou`.

        Raises:
            SqlSyntaxError: When it is none.
        """
        place = self.place()
        text = self._run("a cluster").removeprefix("*").removeprefix("@")
        try:
            return fold_name(text.strip('"'))
        except InvalidNameError:
            pass
        raise SqlSyntaxError(f"{place}: {shown(text)!r} is not the name of a cluster")

    def principal(self, *, visitors: bool = False) -> str:
        """Read a user or a group: `user1@shanghai`, `GROUP analysts@shanghai`, `GROUP traders`.

        A user without a cluster is one of the default cluster. A group without one is the
        federation's; where there is none, it is the default cluster's as well.

        Args:
            visitors: Whether `VISITORS` may stand here: an owner can deny them, and no more.

        Raises:
            SqlSyntaxError: When it is none.
            StatementNotSupportedError: When it stands for everybody.
        """
        place = self.place()
        is_group = self.take("GROUP")
        text = self._run("a user or a group, as in user1@shanghai or GROUP traders")
        if text[:6].upper() == "GROUP ":
            is_group, text = True, text[6:].strip()
        if visitors and not is_group and text.upper() == _VISITORS:
            return _VISITORS
        if not is_group and text.upper() in _EVERYBODY:
            raise StatementNotSupportedError(
                f"{place}: {text.upper()} cannot hold grants; name users and groups, as in "
                "user1@shanghai or GROUP traders"
            )
        name, at, cluster = text.replace('"', "").rpartition("@")
        if not at:
            is_federations = is_group and self._defaults.mom is not None
            name, cluster = cluster, "" if is_federations else self._defaults.cluster
        try:
            cluster = fold_name(cluster) if cluster or at else ""
        except InvalidNameError:
            name = ""
        if not _USER.fullmatch(name):
            raise SqlSyntaxError(
                f"{place}: {shown(text)!r} is not a user or a group; write user1@shanghai, "
                "GROUP analysts@shanghai or GROUP traders"
            )
        return ("GROUP " if is_group else "") + name + (f"@{cluster}" if cluster else "")

    def user(self) -> str:
        """Read a user: `user1@shanghai`; without a cluster, one of the default cluster.

        Raises:
            SqlSyntaxError: When it is none.
        """
        place = self.place()
        name = self.principal()
        if "@" not in name or name.startswith("GROUP "):
            raise SqlSyntaxError(f"{place}: {name} is not a user; write user1@shanghai")
        return name

    def group_name(self) -> tuple[str, str | None]:
        """Read the name of a group, and the cluster that keeps it, None for the federation.

        Without a federation, a group is the default cluster's.

        Raises:
            SqlSyntaxError: When it is none.
        """
        place = self.place()
        text = self._run("the name of a group, as in traders or analysts@shanghai").strip('"')
        name, at, written = text.replace('"', "").partition("@")
        cluster = None if self._defaults.mom is not None else self._defaults.cluster
        try:
            cluster = fold_name(written) if at else cluster
        except InvalidNameError:
            name = ""
        if not _USER.fullmatch(name):
            raise SqlSyntaxError(f"{place}: {shown(text)!r} is not the name of a group")
        return name.lower(), cluster

    def _run(self, expected: str) -> str:
        """Read what is written in one piece: adjacent tokens, or one text in single quotes.

        A single piece in double quotes that holds more than a name (`"user1@shanghai"`,
        `"trading.stock.quote@hangzhou"`) is taken for what is in the quotes.
        """
        token = self.peek()
        if token is None or token.token_type in _ENDS_RUN:
            raise self.fault(expected)
        if token.token_type in STRINGS:
            return str(self.next().text)
        first = last = self.next()
        while (following := self.peek()) is not None:
            if following.token_type in _ENDS_RUN or not is_adjacent(last, following):
                break
            last = self.next()
        if first is last and first.token_type in QUOTED:
            return str(first.text)
        return self._sql[first.start : last.end + 1]
