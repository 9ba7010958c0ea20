"""A member's state directory: what lies where, and how it comes into being."""

import json
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from auth import SigningKey
from auth.auditstore import metadata as audit_tables
from auth.grantstore import metadata as grant_tables
from auth.homegroupstore import metadata as group_tables
from auth.revocationstore import metadata as revocation_tables
from auth.userstore import metadata as user_tables
from flight_member.configuration import load_settings
from flight_member.errors import ConfigurationError
from flight_member.jobstore import metadata as job_tables
from flight_member.leasestore import metadata as lease_tables
from flight_member.membership import Membership
from flight_member.nodestore import metadata as node_tables
from flight_member.objectstores import read_object_stores
from flight_member.peerstore import metadata as peer_tables
from flight_member.profiles import make_private_directory, write_private
from flight_member.settings import SETTINGS_FILE, MemberSettings, ServerSettings
from flight_member.sharedstore import metadata as shared_tables
from flight_member.statestore import Database
from storage.objectstore import ObjectStores
from storage.tablestore import metadata as metastore_tables

_SIGNING_KEY = "signing.key"
_TLS_KEY, _TLS_CERTIFICATE = "tls.key", "tls.pem"


class MemberHome:
    """The files of one member, by their place under the state directory."""

    def __init__(self, settings: MemberSettings) -> None:
        self.settings = settings
        self.directory = settings.state.directory

    @classmethod
    def create(cls, settings: MemberSettings) -> "MemberHome":
        """Make the directory, the signing key and the database; what is there is kept.

        Raises:
            ConfigurationError: When the directory is another cluster's, or cannot be made.
        """
        home = cls(settings)
        home._require_same_cluster()
        make_private_directory(home.directory)
        make_private_directory(home.tables_directory)
        if not home.signing_key_file.exists():
            SigningKey.generate().save(home.signing_key_file)
        home.open_database().close()
        file = home.directory / SETTINGS_FILE
        if not file.exists():
            write_private(file, settings_text(settings, settings.role, datetime.now(UTC)))
        return home

    @property
    def signing_key_file(self) -> Path:
        """The private key that signs this member's tokens; mode 0600."""
        return self.directory / _SIGNING_KEY

    @property
    def tls_files(self) -> tuple[Path, Path]:
        """The TLS certificate and its private key."""
        return self.directory / _TLS_CERTIFICATE, self.directory / _TLS_KEY

    @property
    def tables_directory(self) -> Path:
        """Where the files of managed tables lie; the same for all controllers and nodes."""
        return self.settings.tables.directory or self.directory / "tables"

    @property
    def spill_directory(self) -> Path:
        """Where the engine puts what does not fit into memory."""
        return self.directory / "spill"

    @property
    def snapshot_directory(self) -> Path:
        """Where versions of managed tables are laid out to be read."""
        return self.tables_directory / ".snapshots"

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where tables may lie."""
        return (self.tables_directory, *self.settings.tables.roots)

    @cached_property
    def object_stores(self) -> ObjectStores:
        """The object stores that tables may lie in; their secrets are read once.

        Raises:
            ConfigurationError: When a secret cannot be read.
        """
        return read_object_stores(self.settings.tables)

    def load_key(self) -> SigningKey:
        """Read the signing key.

        Raises:
            ConfigurationError: When this is no member's directory yet.
        """
        if not self.signing_key_file.exists():
            raise ConfigurationError(
                [f"{self.directory}: not a member's directory; run flight-member init first"]
            )
        return SigningKey.load(self.signing_key_file)

    def publication_s(self) -> float | None:
        """A new key signs once the MoM knows it; at once where there is no MoM to know it."""
        return 0 if Membership.load(self.directory) is None else None

    def require_certificate(self) -> None:
        """Check that there is what TLS needs, where TLS is on.

        Raises:
            ConfigurationError: Saying how to come by it.
        """
        if self.settings.server.uses_tls and not all(file.exists() for file in self.tls_files):
            fault = "no TLS certificate yet; run flight-member join first, or listen on loopback"
            raise ConfigurationError([f"{self.directory}: {fault}"])

    def open_database(self) -> Database:
        """Open the durable state; missing tables are made."""
        return Database(
            self.settings.state.database_url,
            f"the member {self.settings.cluster.name}",
            audit_tables,
            grant_tables,
            group_tables,
            user_tables,
            revocation_tables,
            metastore_tables,
            job_tables,
            lease_tables,
            node_tables,
            peer_tables,
            shared_tables,
        )

    def _require_same_cluster(self) -> None:
        file = self.directory / SETTINGS_FILE
        if not file.exists():
            return
        known = load_settings(MemberSettings, file).settings.cluster.name
        if known != self.settings.cluster.name:
            raise ConfigurationError([f"{self.directory} is the directory of {known} already"])


def settings_text(settings: ServerSettings, role: str, now: datetime) -> str:
    """Return the settings file that `init` leaves in a server's state directory, as TOML."""
    sections: dict[str, dict[str, str | int]] = {
        "cluster": {"name": settings.cluster.name},
        "server": {"host": settings.server.host, "port": settings.server.port},
    }
    state = {"database": settings.state.database, "server": settings.state.server}
    sections["state"] = {name: value for name, value in state.items() if value}
    if isinstance(settings, MemberSettings) and settings.tables.directory is not None:
        sections["tables"] = {"directory": str(settings.tables.directory.absolute())}
    # What JSON writes of a string or a number is TOML as well.
    written = (
        f"\n[{section}]\n"
        + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        for section, values in sections.items()
        if values
    )
    return (
        f"# Made by flight-{role} init at {now.isoformat(timespec='seconds')}.\n"
        f"# `flight-{role} check-config` shows every setting with its value and source.\n"
        f'role = "{role}"\n' + "".join(written)
    )
