"""Types in the words of whoever reads a refusal."""

import re

_WORDS = (
    (re.compile(r"(?:Large)?Utf8(?:View)?|String"), "text"),
    (re.compile(r"U?Int\d+|Integer"), "a whole number"),
    (re.compile(r"Float\d+|Float"), "a number"),
    (re.compile(r"Decimal.*"), "a decimal number"),
    (re.compile(r"Boolean"), "true or false"),
    (re.compile(r"Date(?:32|64)?"), "a date"),
    (re.compile(r"Timestamp.*"), "a timestamp"),
    (re.compile(r"Time(?:32|64).*"), "a time"),
    (re.compile(r"(?:Interval|Duration).*"), "an interval"),
    (re.compile(r"(?:Large|FixedSize)?List.*"), "a list"),
    (re.compile(r"Struct.*"), "a struct"),
    (re.compile(r"Map.*"), "a map"),
    (re.compile(r"(?:Large|FixedSize)?Binary.*"), "bytes"),
    (re.compile(r"Null"), "NULL"),
)


def type_word(name: str) -> str:
    """Return the word for a type that the engine names.

    Example:
        >>> type_word("LargeUtf8"), type_word("Float64"), type_word("List(Int64)")
        ('text', 'a number', 'a list')
    """
    name = name.strip()
    for pattern, word in _WORDS:
        if pattern.fullmatch(name):
            return word
    return "another type"
