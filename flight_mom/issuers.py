"""Outside identity providers: their published keys, fetched, kept and renewed.

Keys come from a file, which is read again when it changes, or from a URL: at first need, then when
they are an hour old, or a token names a key that is not among them (at most once a minute, so that
nobody can make the MoM ask for ever). While an issuer does not answer, the keys that it last gave
count for a day.
"""

import threading
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO

from auth import (
    AuthUnavailableError,
    Identity,
    InvalidTokenError,
    IssuerKeys,
    OutsideIssuer,
    OutsideToken,
    open_outside_token,
)
from flight_member.clock import Moment
from flight_member.logs import get_logger
from flight_mom.settings import IssuerSection

_log = get_logger(__name__)
_RENEW_AFTER = timedelta(hours=1)
_RETRY_AFTER = timedelta(minutes=1)
_KEEP_FOR = timedelta(days=1)
_TIMEOUT_S = 5.0
_MAX_BYTES = 1_048_576


class OutsideIssuers:
    """The configured issuers of one MoM. Safe to use from many threads."""

    def __init__(self, sections: Iterable[IssuerSection], now: Moment) -> None:
        """Take the configuration; nothing is fetched before it is needed."""
        self._now = now
        self._known = {
            section.issuer: _Published(section, now, _source_of(section)) for section in sections
        }

    def open(self, text: str) -> Identity:
        """Return the user whom one of the issuers vouches for.

        Raises:
            InvalidTokenError: When the token is no issuer's, or does not count here.
            ExpiredTokenError: When its time is over.
            AuthUnavailableError: When the issuer's keys cannot be had; retryable.
        """
        token = OutsideToken.parse(text)
        published = self._known.get(token.issuer)
        if published is None:
            raise InvalidTokenError("this token is not of an issuer that counts here; sign in")
        keys = published.keys_for(token.kid)
        return open_outside_token(token, published.issuer, keys, now=self._now())

    def names(self, text: str) -> bool:
        """Whether a token claims to be of one of the issuers; nothing is verified."""
        if not self._known:
            return False
        try:
            return OutsideToken.parse(text).issuer in self._known
        except InvalidTokenError:
            return False


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: IssuerKeys
    at: datetime
    mark: object
    """Equal marks mean equal keys; None: not known."""


class _Published:
    """One issuer's keys, as they were last fetched."""

    def __init__(self, section: IssuerSection, now: Moment, source: "_Source") -> None:
        self.issuer = OutsideIssuer(
            issuer=section.issuer,
            audience=section.audience,
            clusters=frozenset(section.clusters),
            user_claim=section.user_claim,
            user_suffix=section.user_suffix,
            cluster_claim=section.cluster_claim,
            groups_claim=section.groups_claim,
        )
        self._now = now
        self._source = source
        self._fetching = threading.Lock()
        self._fetched: _Fetched | None = None
        self._asked_at: datetime | None = None

    def keys_for(self, kid: str) -> IssuerKeys:
        """Return the keys, renewed where that is due or this one is not among them.

        Raises:
            AuthUnavailableError: When there are none that count.
        """
        fetched = self._fetched
        if fetched is None or self._is_due(fetched, kid):
            with self._fetching:
                # Whoever waited finds what another has fetched.
                if self._fetched is fetched or self._fetched is None:
                    self._fetch()
                fetched = self._fetched
        if fetched is None or self._now() - fetched.at > _KEEP_FOR:
            raise AuthUnavailableError(
                "the token's issuer cannot be asked for its keys; try again in a minute"
            )
        return fetched.keys

    def _is_due(self, fetched: _Fetched, kid: str) -> bool:
        mark = self._source.mark()
        if mark is not None:
            return mark != fetched.mark
        now = self._now()
        if self._asked_at is not None and now - self._asked_at < _RETRY_AFTER:
            return False
        return now - fetched.at > _RENEW_AFTER or fetched.keys.find(kid) is None

    def _fetch(self) -> None:
        now = self._now()
        # The first fetch is tried as often as it is needed: nothing works without it.
        self._asked_at = now
        try:
            mark = self._source.mark()
            keys = IssuerKeys.parse(self._source.read())
        except (OSError, HTTPException, ValueError, InvalidTokenError) as error:
            _log.warning(
                "issuer_keys_not_fetched", issuer=self.issuer.issuer, fault=type(error).__name__
            )
            return
        self._fetched = _Fetched(keys, now, mark)
        _log.info("issuer_keys_fetched", issuer=self.issuer.issuer, key_count=len(keys))


class _Source:
    """Where an issuer's key set lies."""

    def mark(self) -> object:
        """Return what changes with the keys, where that can be told at once; else None."""
        return None

    def read(self) -> bytes:
        """Return the key set as it is now.

        Raises:
            OSError: When it cannot be had.
        """
        raise NotImplementedError


class _FileSource(_Source):
    def __init__(self, file: Path) -> None:
        self._file = file

    def mark(self) -> object:
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size

    def read(self) -> bytes:
        return self._file.read_bytes()


class _UrlSource(_Source):
    def __init__(self, url: str) -> None:
        self._url = url
        # No redirects: they could lead from https to plaintext, or into the MoM's own network.
        self._opener = urllib.request.build_opener(_NoRedirects)

    def read(self) -> bytes:
        request = urllib.request.Request(  # noqa: S310  the settings take https alone, or loopback
            self._url, headers={"Accept": "application/json"}
        )
        with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
            text: bytes = answer.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ValueError("the key set is too long")
        return text


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Follow nothing: the answer is an error then."""


def _source_of(section: IssuerSection) -> _Source:
    if section.jwks_file is not None:
        return _FileSource(section.jwks_file)
    return _UrlSource(section.jwks_url)
