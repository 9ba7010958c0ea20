"""The types that columns of tables can have, in the words of SQL.

    BOOLEAN  TINYINT  SMALLINT  INTEGER  BIGINT  REAL  DOUBLE PRECISION  DECIMAL(p, s)
    VARCHAR  BINARY  DATE  TIMESTAMP  TIMESTAMP WITH TIME ZONE
    BIGINT[]  ARRAY<BIGINT>  STRUCT<a BIGINT, b VARCHAR>  MAP<VARCHAR, BIGINT>

and their other common names. What Parquet tables with a transaction log cannot keep is not among
them: unsigned numbers, times of day, intervals.
"""

import re

import pyarrow as pa

_WORDS: dict[str, pa.DataType] = {
    **dict.fromkeys(("BOOLEAN", "BOOL"), pa.bool_()),
    "TINYINT": pa.int8(),
    **dict.fromkeys(("SMALLINT", "INT2"), pa.int16()),
    **dict.fromkeys(("INTEGER", "INT", "INT4"), pa.int32()),
    **dict.fromkeys(("BIGINT", "INT8", "LONG"), pa.int64()),
    **dict.fromkeys(("REAL", "FLOAT", "FLOAT4"), pa.float32()),
    **dict.fromkeys(("DOUBLE", "DOUBLE PRECISION", "FLOAT8"), pa.float64()),
    **dict.fromkeys(
        ("VARCHAR", "CHARACTER VARYING", "CHAR", "CHARACTER", "TEXT", "STRING"), pa.utf8()
    ),
    **dict.fromkeys(("BINARY", "VARBINARY", "BYTEA", "BLOB"), pa.binary()),
    "DATE": pa.date32(),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE", "DATETIME"), pa.timestamp("us")),
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"), pa.timestamp("us", tz="UTC")),
}
_DECIMALS = frozenset({"DECIMAL", "NUMERIC", "DEC"})
_DEFAULT_DECIMAL = (38, 10)
_MAX_DIGITS = 38
_LONGER = ("DOUBLE PRECISION", "CHARACTER VARYING")
_ZONES = ("WITH TIME ZONE", "WITHOUT TIME ZONE")
_PIECE = re.compile(r'\s*(?:"((?:[^"]|"")*)"|(\w+)|([^\s\w"]))')
_INSTEAD = {
    "TIME": "keep times of day as VARCHAR, or as a BIGINT of microseconds",
    "INTERVAL": "keep intervals as a BIGINT of microseconds",
    "JSON": "write VARCHAR",
    "JSONB": "write VARCHAR",
    "UUID": "write VARCHAR",
    "SERIAL": "write BIGINT, and insert the numbers",
    "BIGSERIAL": "write BIGINT, and insert the numbers",
    "UNSIGNED": "write the next wider type, as BIGINT for INTEGER UNSIGNED",
}
LEGEND = (
    "the types are BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT, REAL, DOUBLE, DECIMAL(p, s), "
    "VARCHAR, BINARY, DATE, TIMESTAMP, TIMESTAMP WITH TIME ZONE, type[], STRUCT<name type, …> and "
    "MAP<type, type>"
)


class UnknownTypeError(ValueError):
    """A text names no type that a column can have; its words say what to write instead."""


def read_type(text: str) -> pa.DataType:
    """Return the type that a text names.

    Raises:
        UnknownTypeError: When it names none.

    Example:
        >>> read_type("DECIMAL(10, 2)"), read_type("bigint[]")
        (Decimal128Type(decimal128(10, 2)), ListType(list<item: int64>))
    """
    reader = _Reader(text)
    found = reader.type()
    if reader.peek():
        raise UnknownTypeError(LEGEND)
    return found


def type_name(kind: pa.DataType) -> str:
    """Return a type as it is written in SQL: for messages that say what to cast to.

    Example:
        >>> type_name(pa.date32()), type_name(pa.decimal128(10, 2)), type_name(pa.list_(pa.utf8()))
        ('DATE', 'DECIMAL(10, 2)', 'VARCHAR[]')
    """
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pa.types.is_list(kind):
        return f"{type_name(kind.value_type)}[]"
    return next((word for word, each in _WORDS.items() if each == kind), "the column's type")


class _Reader:
    """Reads a type from left to right."""

    def __init__(self, text: str) -> None:
        self._pieces = [
            (quoted or word or sign, bool(quoted)) for quoted, word, sign in _PIECE.findall(text)
        ]
        self._position = 0

    def peek(self, ahead: int = 0) -> str:
        at = self._position + ahead
        return self._pieces[at][0].upper() if at < len(self._pieces) else ""

    def type(self) -> pa.DataType:
        """Read one type, with the brackets after it."""
        found = self._single()
        while self._take("["):
            self._expect("]")
            found = pa.list_(pa.field("item", found))
        return found

    def _single(self) -> pa.DataType:
        word = self._next().upper()
        if word in _DECIMALS:
            return self._decimal()
        if word == "ARRAY" and self._take("<"):
            return self._closed(pa.list_(pa.field("item", self.type())))
        if word == "MAP" and self._take("<"):
            key = self.type()
            self._expect(",")
            return self._closed(pa.map_(key, self.type()))
        if word == "STRUCT" and self._take("<"):
            return self._closed(self._struct())
        return self._named(word)

    def _named(self, word: str) -> pa.DataType:
        for longer in _LONGER:
            first, second = longer.split()
            if word == first and self._take(second):
                word = longer
        if self._take("("):
            # A length or a precision: kept are texts of any length, and microseconds.
            self._number()
            self._expect(")")
        for zone in _ZONES:
            words = zone.split()
            if [self.peek(ahead) for ahead in range(len(words))] == words:
                self._position += len(words)
                word = f"{word} {zone}"
        if self.peek() in _INSTEAD:
            word = self._next().upper()
        if word not in _WORDS:
            raise UnknownTypeError(_INSTEAD.get(word, LEGEND))
        return _WORDS[word]

    def _decimal(self) -> pa.DataType:
        digits, scale = _DEFAULT_DECIMAL
        if self._take("("):
            digits, scale = self._number(), 0
            if self._take(","):
                scale = self._number()
            self._expect(")")
        if not 1 <= digits <= _MAX_DIGITS or scale > digits:
            raise UnknownTypeError(
                f"a decimal has 1 to {_MAX_DIGITS} digits, and no more behind its point"
            )
        return pa.decimal128(digits, scale)

    def _struct(self) -> pa.DataType:
        fields: list[pa.Field] = []
        while not fields or self._take(","):
            name, is_quoted = self._pieces[self._position] if self.peek() else ("", False)
            self._position += 1
            self._take(":")
            fields.append(pa.field(name if is_quoted else name.lower(), self.type()))
        return pa.struct(fields)

    def _closed(self, found: pa.DataType) -> pa.DataType:
        self._expect(">")
        return found

    def _number(self) -> int:
        text = self._next()
        if not text.isdecimal():
            raise UnknownTypeError(LEGEND)
        return int(text)

    def _next(self) -> str:
        if not self.peek():
            raise UnknownTypeError(LEGEND)
        self._position += 1
        return str(self._pieces[self._position - 1][0])

    def _take(self, word: str) -> bool:
        if self.peek() != word:
            return False
        self._position += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise UnknownTypeError(LEGEND)
