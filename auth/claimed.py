"""Whom a token names, without looking whether it is right: for the audit of refusals alone."""

import re

from auth.encoding import EncodingFaultError, decode_base64url, decode_json_object
from auth.sealing import MAX_TOKEN_BYTES, TokenKind, kind_of

_NAME = re.compile(r"[\w.@-]{1,128}", re.ASCII)


def claimed_name(token: str) -> str:
    """Return `user1@shanghai`, or a cluster, as a token of ours claims it; else an empty text.

    Nothing of what a stranger wrote comes back that could be mistaken for something else than a
    name, and nothing that could be used as a token.
    """
    kind, data = kind_of(token), token.encode("utf-8", "replace")
    if kind is None or len(data) > MAX_TOKEN_BYTES:
        return ""
    try:
        claims = decode_json_object(decode_base64url([*data.split(b"."), b""][1]))
    except EncodingFaultError:
        return ""
    issuer, user = claims.get("iss"), claims.get("sub")
    match kind:
        case TokenKind.IDENTITY:
            name = f"{user}@{issuer}"
        case TokenKind.SESSION:
            name = f"{user}@{claims.get('cluster')}"
        case TokenKind.SERVICE:
            name = str(issuer)
        case _:
            name = ""
    return name if _NAME.fullmatch(name) else ""
