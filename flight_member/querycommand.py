"""The `query` command of both programs: SQL in, a table, CSV, JSON, Parquet or Arrow out."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flight_member.errors import ConfigurationError

if TYPE_CHECKING:
    from flight_member.profiles import Profile
    from flight_sql import Client

PROFILE_VARIABLE = "FLIGHT_MOM_PROFILE"


def find_profile(file: Path | None) -> "Profile":
    """Read the profile that a command was given, or the one that the environment names.

    Raises:
        ConfigurationError: When there is none, or it cannot be used.
    """
    from flight_member.profiles import read_profile

    named = file or (Path(value) if (value := os.environ.get(PROFILE_VARIABLE)) else None)
    if named is None:
        raise ConfigurationError(
            [f"no profile: give --profile FILE, or set {PROFILE_VARIABLE} to one"]
        )
    return read_profile(named)


def connect(profile: "Profile", *, at_home: bool = False) -> "Client":
    """Open a client in the name of a profile, by its token or else its password.

    Args:
        profile: Who, and where.
        at_home: Ask the home cluster instead of the MoM.
    """
    from flight_sql import Client

    certificates = profile.tls_root_certs.encode() if profile.tls_root_certs else None
    uris = (profile.home_uri,) if at_home else (profile.uri, *profile.other_uris)
    if profile.password is None:
        return Client(uris, token=profile.token, tls_root_certs=certificates)
    client = Client(uris, tls_root_certs=certificates)
    client.sign_in(profile.username, profile.password)
    return client


def read_sql(statement: str | None, file: Path | None) -> str:
    """Return the statement that was typed, or the text of the file; `-` is standard input.

    Raises:
        ConfigurationError: When there is neither, or both.
    """
    if (statement is None) == (file is None):
        raise ConfigurationError(["give one statement, or a file with --file (not both)"])
    if statement is not None:
        return statement
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return Path(str(file)).read_text("utf-8")
    except OSError as error:
        raise ConfigurationError([f"{file}: {error.strerror}"]) from None


def run_query(client: "Client", sql: str, kind: str, output: Path | None) -> None:
    """Run one statement and write its rows.

    Args:
        client: Signed in.
        sql: The statement.
        kind: One of `resultwriter.FORMATS`.
        output: A file, or None for standard output; Parquet and Arrow need one.

    Raises:
        ConfigurationError: When the format needs a file, or the file cannot be written.
        RemoteError: What the server refused.
    """
    from flight_member.resultwriter import require_format, write_result

    require_format(kind, output)
    stream = client.query(sql)
    write_result(stream.arrow_schema, stream, kind, output)
