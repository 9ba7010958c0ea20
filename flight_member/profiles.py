"""Profiles: one small file that tells a client where to go and who it is.

A profile holds secrets, so it is written with mode 0600 and refused when others can read it.
"""

import json
import os
import stat
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from auth.keyfiles import write_private as write_private_bytes
from flight_member.errors import ConfigurationError

_MAX_BYTES = 1 << 20
_PRIVATE_DIRECTORY = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Profile(BaseModel):
    """How one user reaches the federation.

    `uri` is the MoM, `other_uris` are where else it answers, `home_uri` is the user's own cluster;
    `tls_root_certs` is the PEM text of the federation's CA, or None where the servers speak
    plaintext on loopback.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    other_uris: tuple[str, ...] = ()
    home_uri: str
    username: str
    password: str | None = None
    token: str | None = None
    expires_at: str | None = None
    tls_root_certs: str | None = None
    cluster: str

    def __repr__(self) -> str:
        return f"Profile({self.username!r} at {self.uri!r})"

    __str__ = __repr__


def read_profile(file: Path) -> Profile:
    """Read a profile.

    Raises:
        ConfigurationError: When the file is missing, open to others, or no profile.
    """
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(_MAX_BYTES)
    except OSError as error:
        raise ConfigurationError([f"profile {file}: {error.strerror}"]) from None
    if mode & _OTHERS:
        raise ConfigurationError([f"profile {file}: others can read it; run chmod 600 {file}"])
    try:
        return Profile.model_validate_json(text)
    except ValidationError as error:
        fields = sorted({".".join(map(str, fault["loc"])) or "text" for fault in error.errors()})
        raise ConfigurationError([f"profile {file}: unusable {', '.join(fields)}"]) from None


def write_profile(file: Path, profile: Profile) -> None:
    """Write a profile for its owner's eyes only, replacing an older one at once."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, json.dumps(profile.model_dump(), indent=2) + "\n")


def write_private(file: Path, text: str) -> None:
    """Write a file with mode 0600; a reader sees the old text or the new, never a part.

    Raises:
        KeyFileError: When it cannot be written; what was there before stays.
    """
    write_private_bytes(file, text.encode())


def make_private_directory(directory: Path) -> None:
    """Make a directory that only its owner may enter; one that is there becomes such a one.

    Raises:
        ConfigurationError: When that cannot be.
    """
    try:
        directory.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        if directory.stat().st_mode & _OTHERS:
            directory.chmod(_PRIVATE_DIRECTORY)
    except OSError as error:
        fault = error.strerror or "cannot be used"
    else:
        return
    raise ConfigurationError([f"{directory}: {fault}"])
