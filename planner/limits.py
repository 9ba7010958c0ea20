"""How large a statement may be, counted before anything that recurses sees it.

A chain of some thousand `OR`, `||` or `+` terms needs no parentheses to become a tree as high as it
is long, and ends a planner that recurses over it. Heights are therefore counted here, over the
tokens, by the precedence of their operators and without recursion. The count is never below the
height of the tree that a parser builds; it may be a little above.
"""

import re
from dataclasses import dataclass, field

from sqlglot.tokenizer_core import Token, TokenType

from planner.dialect import place_at
from planner.errors import SqlSyntaxError, StatementTooLargeError


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read at all.

    Attributes:
        max_text_bytes: Length of the text in UTF-8.
        max_height: Height of an expression, and of a chain of joins or set operations.
        max_tokens: Words, signs and literals, without the commas between them.
        max_plan_steps: What planning a query may cost, see `work`.
        max_grouping_sets: Sets of columns that one GROUP BY stands for.
    """

    max_text_bytes: int = 262_144
    max_height: int = 250
    max_tokens: int = 12_288
    max_plan_steps: int = 400_000
    max_grouping_sets: int = 4_096


MAX_NAME = 1_024  # nearest names are looked for in time that grows with the length of each

_INSTEAD = "send less in one statement: compare with a range or an IN list, or ask in several parts"

# About the tokens of a text, an order of magnitude quicker than reading them. No branch looks more
# than once for an end that is missing, so that the time stays linear.
_PIECE = re.compile(r"'[^']*(?:''[^']*)*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|\w+|[^\w\s,'\"`]{1,3}|['\"`]")

_LEVELS = 8
_OPERATORS: dict[TokenType, int] = {
    TokenType.OR: 0,
    TokenType.XOR: 0,
    TokenType.AND: 1,
    TokenType.DAMP: 1,
    TokenType.NOT: 2,
    TokenType.PLUS: 5,
    TokenType.DASH: 5,
    TokenType.STAR: 6,
    TokenType.SLASH: 6,
    TokenType.MOD: 6,
    TokenType.DIV: 6,
    TokenType.DOT: 7,
    TokenType.DCOLON: 7,
}
_OTHER_OPERATOR = 4
_ADJACENT = 3
_OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END})
_CHAINS = frozenset(
    {
        TokenType.UNION,
        TokenType.INTERSECT,
        TokenType.EXCEPT,
        TokenType.JOIN,
        TokenType.STRAIGHT_JOIN,
        TokenType.LATERAL,
        TokenType.APPLY,
        TokenType.CROSS,
        TokenType.PIPE_GT,
    }
)
_CLAUSES = frozenset(
    {
        TokenType.SELECT,
        TokenType.WHERE,
        TokenType.HAVING,
        TokenType.QUALIFY,
        TokenType.GROUP_BY,
        TokenType.ORDER_BY,
        TokenType.LIMIT,
        TokenType.ON,
        TokenType.WHEN,
        TokenType.THEN,
        TokenType.ELSE,
        TokenType.VALUES,
    }
)

_SEPARATORS = _CHAINS | _CLAUSES | {TokenType.COMMA, TokenType.FROM}


def check_text(sql: str, limits: Limits) -> None:
    """Refuse a text that is too long, or holds what no statement can.

    Raises:
        StatementTooLargeError: When it is longer than the limit, or holds more tokens.
        SqlSyntaxError: When it holds NUL or half a character.
    """
    if len(sql) > limits.max_text_bytes:
        raise _too_long(limits)
    try:
        size = len(sql.encode())
    except UnicodeEncodeError as fault:
        position = fault.start
    else:
        position = sql.find("\0")
        if size > limits.max_text_bytes:
            raise _too_long(limits)
    if position >= 0:
        raise SqlSyntaxError(
            f"{place_at(sql, position)}: a character that no statement can hold; remove it"
        )
    if len(sql) > limits.max_tokens:
        count = sum(1 for _ in _PIECE.finditer(sql))
        if count > limits.max_tokens:
            raise _too_many(count, limits)


def _too_long(limits: Limits) -> StatementTooLargeError:
    return StatementTooLargeError(
        f"the statement is longer than {limits.max_text_bytes} bytes (limits.max_text_bytes); "
        f"{_INSTEAD}"
    )


def _too_many(count: int, limits: Limits) -> StatementTooLargeError:
    return StatementTooLargeError(
        f"the statement has {count} words and signs, commas not counted, and at most "
        f"{limits.max_tokens} can be (limits.max_tokens); {_INSTEAD}"
    )


@dataclass(slots=True)
class _Frame:
    """What is known of one pair of parentheses while it is open."""

    highest: int = 0
    chain: int = 0
    operand: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * _LEVELS)
    heights: list[int] = field(default_factory=lambda: [0] * _LEVELS)
    in_from: bool = False

    def operator(self, level: int) -> None:
        """Take an operator: what binds more tightly has become its operand."""
        height = self._fold(level + 1)
        self.heights[level] = max(self.heights[level], height)
        self.counts[level] += 1
        self.operand = 0

    def end_expression(self) -> None:
        """Take a comma or the head of a clause: the next expression starts from nothing."""
        self.highest = max(self.highest, self._fold(0))
        self.operand = 0

    def separate(self, kind: TokenType) -> None:
        """Take a comma, the head of a clause, or a link of a chain of joins or set operations."""
        self.end_expression()
        if kind is TokenType.COMMA:
            self.chain += self.in_from
        elif kind in _CHAINS:
            self.chain += 1
        elif kind is TokenType.FROM:
            self.in_from = True
        elif kind is not TokenType.ON:
            self.in_from = False

    def height(self) -> int:
        """Return the height of all that stands in these parentheses."""
        self.end_expression()
        return self.highest + self.chain + 1

    def tallest(self) -> int:
        """Return a number that is at most `height()`, without ending anything."""
        return max(self.operand + sum(self.counts), self.highest, *self.heights) + self.chain

    def _fold(self, level: int) -> int:
        height = self.operand
        for tighter in range(_LEVELS - 1, level - 1, -1):
            if self.counts[tighter]:
                height = max(height, self.heights[tighter]) + self.counts[tighter]
                self.counts[tighter] = self.heights[tighter] = 0
        return height


def check_tokens(sql: str, tokens: list[Token], limits: Limits) -> None:
    """Refuse a statement of too many tokens, too long a name, or of too great a height.

    Raises:
        StatementTooLargeError: When it is one of them.
    """
    count = sum(token.token_type is not TokenType.COMMA for token in tokens)
    if count > limits.max_tokens:
        raise _too_many(count, limits)
    for token in tokens:
        if len(token.text) > MAX_NAME and token.token_type in _NAMES:
            raise StatementTooLargeError(
                f"{place_at(sql, token.start)}: a name here is longer than {MAX_NAME} characters; "
                "write a shorter one, and put texts into single quotes"
            )
    deep = _find_deep(tokens, limits.max_height)
    if deep is not None:
        raise StatementTooLargeError(
            f"{place_at(sql, deep.start)}: an expression here is higher than {limits.max_height} "
            f"operators or parentheses, chains counted (limits.max_height); {_INSTEAD}"
        )


def _find_deep(tokens: list[Token], max_height: int) -> Token | None:
    """Return the token at which the height is passed, if one is."""
    climb = _Climb()
    for token in tokens:
        climb.take(token)
        if climb.height() > max_height:
            return token
    return None


class _Climb:
    """The height of a statement, token by token, without recursion."""

    def __init__(self) -> None:
        self._frames = [_Frame()]
        self._before = TokenType.SEMICOLON
        self._is_after_operand = False

    def height(self) -> int:
        """Return a height that the statement has reached already."""
        return self._frames[-1].tallest() + len(self._frames) - 1

    def take(self, token: Token) -> None:
        """Take the next token."""
        kind = token.token_type
        is_name = self._before is TokenType.DOT  # after a dot, keywords are names
        is_after_operand, self._is_after_operand = self._is_after_operand, False
        self._before = kind
        frame = self._frames[-1]
        if not is_name and self._take_structure(kind, is_after_operand=is_after_operand):
            return
        if kind in _OPERATORS or not _is_operand(token):
            frame.operator(_OPERATORS.get(kind, _OTHER_OPERATOR))
        else:
            if is_after_operand:
                frame.operator(_ADJACENT)
            self._is_after_operand = True

    def _take_structure(self, kind: TokenType, *, is_after_operand: bool) -> bool:
        """Take a parenthesis, a comma or the head of a clause; False when it is none."""
        frame = self._frames[-1]
        if kind in _OPENING:
            if is_after_operand:
                frame.operator(_LEVELS - 1)
            self._frames.append(_Frame())
        elif kind in _CLOSING and len(self._frames) > 1:
            height = self._frames.pop().height()
            self._frames[-1].operand = max(self._frames[-1].operand, height)
            self._is_after_operand = True
        elif kind in _SEPARATORS:
            frame.separate(kind)
        else:
            return False
        return True


def _is_operand(token: Token) -> bool:
    first = token.text[:1]
    return (
        first.isalnum()
        or first in {"_", ""}
        or token.token_type in _TEXTS
        or token.token_type in {TokenType.PARAMETER, TokenType.PLACEHOLDER}
    )


_TEXTS = frozenset(
    {TokenType.STRING, TokenType.IDENTIFIER, TokenType.BYTE_STRING, TokenType.HEREDOC_STRING}
)


_NAMES = frozenset({TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER})


def nesting_fault() -> StatementTooLargeError:
    """Make the refusal of a statement that a recursive parser gave up on."""
    return StatementTooLargeError(f"the statement is nested too deeply; {_INSTEAD}")
