"""The rotation of a cluster's signing key, and what there is to see of it."""

from datetime import timedelta
from pathlib import Path
from typing import Protocol

from auth import RotatingKey, rotate
from flight_member.changing import Home, changing
from flight_member.clock import utc_now


class KeyHome(Home, Protocol):
    """A state directory with a signing key."""

    @property
    def directory(self) -> Path:
        """Where it is."""

    def publication_s(self) -> float | None:
        """Seconds from publishing a key to signing with it; None: until others say they know it."""


def rotate_key(home: KeyHome, overlap: timedelta) -> None:
    """Make a cluster's next key, with its audit row.

    Raises:
        AlreadyExistsError: While an earlier rotation is under way.
    """
    with changing(home) as change:
        wait_s = home.publication_s()
        signs_from = None if wait_s is None else change.at + timedelta(seconds=wait_s)
        chain = rotate(home.directory, change.at, overlap=overlap, signs_from=signs_from)
        fresh = chain.signing if chain.coming is None else chain.coming.key
        change.record("rotate key", home.settings.cluster.name, rule=fresh.kid)


def key_rows(home: KeyHome) -> list[dict[str, object]]:
    """Return each key that counts, with what it is for and until when."""
    chain = RotatingKey(home.directory, utc_now).chain
    rows: list[dict[str, object]] = [{"kid": chain.signing.kid, "state": "signs", "until": None}]
    if chain.coming is not None:
        moment = chain.coming.signs_from
        when = "once the MoM knows it" if moment is None else f"from {moment:%Y-%m-%d %H:%M:%S} UTC"
        rows.append({"kid": chain.coming.key.kid, "state": f"signs {when}", "until": None})
    rows += [{"kid": key.kid, "state": "ends", "until": key.ends_at} for key in chain.earlier]
    return rows
