"""What a session holds: the cluster, catalog and schema that complete names.

It lies in a signed cookie at the client, so that any replica knows it and nothing is kept here.
The cookie is its user's alone, ends with the session, and gives no rights: it completes names, and
what is named is decided on anew. One that is forged, expired or somebody else's is refused once,
and replaced by an empty one with the refusal: to go on without it would read another table under
the same name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from auth import (
    ExpiredTokenError,
    Identity,
    InvalidTokenError,
    SigningKey,
    TokenKind,
    open_sealed,
    seal,
)
from flight_member.clock import Moment
from flight_member.errors import BadRequestError, NotFoundError
from flight_member.tokencache import TokenCache
from flight_sql import EMPTY_SESSION, Call, OptionError, OptionValue
from planner import Use
from storage.names import InvalidNameError, ObjectName, fold_name

OPTIONS = ("cluster", "catalog", "schema")
_MAX_LIFE = timedelta(days=30)
_EMPTY_NOW = "it is empty now, USE chooses again"
_NO_COOKIES = (
    "the session is kept in a cookie, and this client sent none back; switch cookies on (ADBC: "
    "adbc.flight.sql.rpc.with_cookie_middleware=true), or send the headers x-cluster, x-catalog "
    "and x-schema"
)


@dataclass(frozen=True, slots=True)
class SessionNames:
    """What completes names that are not written out; None where nothing was chosen."""

    cluster: str | None = None
    catalog: str | None = None
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    user: str
    names: SessionNames
    expires_at: datetime


def _expiry(opened: _Opened) -> datetime:
    return opened.expires_at


class Sessions:
    """Reads and writes the cookies of one server and its replicas."""

    def __init__(
        self,
        cluster: str,
        key: SigningKey,
        life: timedelta,
        now: Moment,
    ) -> None:
        """Keep what it takes; a cookie lives for `life`, and is believed if our keys signed it."""
        self._cluster = cluster
        self._key = key
        self._life = min(life, _MAX_LIFE)
        self._now = now
        self._known: TokenCache[_Opened] = TokenCache(_expiry)

    def names(self, call: Call, caller: Identity) -> SessionNames:
        """Return what the caller's session holds; nothing for a client without one.

        Raises:
            InvalidTokenError: When the cookie is forged or another user's.
            ExpiredTokenError: When its time is over.
        """
        if call.session is None or call.session == EMPTY_SESSION:
            return SessionNames()
        cookie, now = call.session, self._now()
        keys = self._key.ring(self._cluster)
        fault: Exception
        try:
            opened = self._known.open(cookie, (keys,), now, lambda: self._open(cookie, now))
        except ExpiredTokenError:
            fault = ExpiredTokenError(f"the session has ended; {_EMPTY_NOW}")
        except InvalidTokenError:
            fault = InvalidTokenError(f"the session is not one of this server's; {_EMPTY_NOW}")
        else:
            if opened.user == caller.name:
                return opened.names
            fault = InvalidTokenError(f"the session is another user's; {_EMPTY_NOW}")
        call.keep_session(EMPTY_SESSION)
        raise fault

    def check(self, call: Call) -> None:
        """Refuse to choose names where the choice would not last.

        Raises:
            BadRequestError: When the client keeps no cookies, or sends headers that win over them.
        """
        if call.session is None:
            raise BadRequestError(_NO_COOKIES)
        sent = [f"x-{part}" for part in OPTIONS if call.headers.get(f"x-{part}")]
        if sent:
            raise BadRequestError(
                f"this client sends the header {sent[0]}, which wins over the session; leave it out"
            )

    def keep(self, call: Call, caller: Identity, names: SessionNames) -> None:
        """Have the client keep what its session holds from now on."""
        life_s = self._life.total_seconds()
        chosen = {part: getattr(names, part) for part in OPTIONS}
        cookie = seal(
            TokenKind.COOKIE,
            {"sub": caller.name, "names": chosen},
            self._key,
            issuer=self._cluster,
            audience=self._cluster,
            now=self._now(),
            ttl_s=life_s,
        )
        call.keep_session(cookie, int(life_s))

    def _open(self, cookie: str, now: datetime) -> _Opened:
        claims = open_sealed(
            TokenKind.COOKIE, cookie, self._key.ring(self._cluster), audience=self._cluster, now=now
        )
        return _Opened(
            claims["sub"],
            SessionNames(**claims["names"]),
            datetime.fromtimestamp(claims["exp"], UTC),
        )


def header_names(call: Call) -> SessionNames:
    """Return the names that a call's headers give; a catalog may bring its cluster.

    Raises:
        NotFoundError: When one of them is no name, or two clusters are named.
    """
    sent = {part: call.headers.get(f"x-{part}") for part in OPTIONS}
    try:
        cluster = fold_name(sent["cluster"]) if sent["cluster"] else None
        catalog, named = _catalog(sent["catalog"]) if sent["catalog"] else (None, None)
        schema = fold_name(sent["schema"]) if sent["schema"] else None
    except InvalidNameError:
        pass
    else:
        if named is None or cluster in {None, named}:
            return SessionNames(cluster or named, catalog, schema)
    raise NotFoundError("the headers x-cluster, x-catalog and x-schema must hold names")


def names_of_use(use: Use, is_known: Callable[[ObjectName], bool]) -> SessionNames | ObjectName:
    """Return what a session holds after USE, or the name that its caller may not know of."""
    if use.target is None:
        return SessionNames()
    for name in (use.target, use.otherwise):
        if name is not None and is_known(name):
            return SessionNames(name.cluster, name.catalog, name.schema)
    return use.target


def names_of_options(
    names: SessionNames,
    home: str,
    options: Mapping[str, OptionValue],
    is_known: Callable[[ObjectName], bool],
) -> tuple[SessionNames, Mapping[str, OptionError]]:
    """Return what a session holds after options were set, and which could not be.

    A wider option is set before a narrower one, and drops those that belonged to the old one.

    Args:
        names: What it holds until now.
        home: The cluster of a session that has chosen none.
        options: What is set; None or an empty text erases.
        is_known: Whether the caller may know of a cluster, catalog or schema.
    """
    errors = {name: OptionError.INVALID_NAME for name in options if name not in OPTIONS}
    for option in OPTIONS:
        if option not in options:
            continue
        changed = _changed(names, option, options[option])
        if changed is None or (options[option] and not is_known(_innermost(changed, home))):
            errors[option] = OptionError.INVALID_VALUE
        else:
            names = changed
    return names, errors


def _changed(names: SessionNames, option: str, value: OptionValue) -> SessionNames | None:
    """Return the names with one option set; None when its value cannot be a name."""
    if value is not None and not isinstance(value, str):
        return None
    try:
        if option == "cluster":
            return SessionNames(fold_name(value) if value else None)
        if option == "catalog":
            catalog, cluster = _catalog(value) if value else (None, None)
            return SessionNames(cluster or names.cluster, catalog)
        if value and names.catalog is None:
            return None
        return replace(names, schema=fold_name(value) if value else None)
    except InvalidNameError:
        return None


def _catalog(value: str) -> tuple[str, str | None]:
    name, at, cluster = value.partition("@")
    return fold_name(name), fold_name(cluster) if at else None


def _innermost(names: SessionNames, home: str) -> ObjectName:
    return ObjectName(names.cluster or home, names.catalog, names.schema)
