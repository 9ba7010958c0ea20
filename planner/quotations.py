"""Where a quotation or a comment is opened that does not end."""

import re

_PIECE = re.compile(
    r"'[^']*(?:''[^']*)*'|\"[^\"]*(?:\"\"[^\"]*)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$"
    r"|(?P<open>'|\"|`|/\*|\$\w*\$)",
    re.DOTALL,
)
_KINDS = {
    "'": "a text is opened and not closed; close it with ', and write a quotation mark inside a "
    "text twice, as in 'it''s'",
    '"': 'a name is opened and not closed; close it with "',
    "`": "a name is opened and not closed; close it with `",
    "/": "a comment is opened and not closed; close it with */",
    "$": "a text is opened and not closed; close it with the same sign",
}


def open_quotation(sql: str) -> tuple[int, str]:
    """Return where something is opened that does not end, and what to do about it.

    Args:
        sql: A text that cannot be cut into tokens.
    """
    for found in _PIECE.finditer(sql):
        if found["open"] is not None:
            return found.start(), _KINDS[found["open"][0]]
    return 0, "a quotation or a comment is opened and not closed; close it with the same sign"
