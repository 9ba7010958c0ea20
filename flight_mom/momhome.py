"""The MoM's state directory: what lies where, and how a federation comes into being."""

import secrets
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from auth import AuditRecord, CertificateAuthority, SigningKey, TlsKey, hash_password, make_request
from auth.auditstore import AuditStore
from auth.auditstore import metadata as audit_tables
from auth.bindingstore import metadata as binding_tables
from auth.grantstore import metadata as grant_tables
from auth.groupstore import metadata as group_tables
from auth.revocationstore import metadata as revocation_tables
from auth.userstore import UserStore
from auth.userstore import metadata as user_tables
from flight_member.errors import ConfigurationError
from flight_member.jobstore import metadata as job_tables
from flight_member.leasestore import metadata as lease_tables
from flight_member.memberhome import settings_text
from flight_member.peerstore import metadata as peer_tables
from flight_member.profiles import make_private_directory, write_private
from flight_member.protocol import ReplicaJoinReply
from flight_member.statestore import Database
from flight_mom.jobplacestore import metadata as job_place_tables
from flight_mom.memberstatestore import metadata as member_state_tables
from flight_mom.memberstore import metadata as member_tables
from flight_mom.replicastore import ReplicaStore
from flight_mom.replicastore import metadata as replica_tables
from flight_mom.settings import SETTINGS_FILE, MomSettings
from flight_mom.tableidstore import metadata as table_id_tables
from storage.tablestore import metadata as metastore_tables

ADMIN = "admin"
_SIGNING_KEY = "signing.key"
_CA_KEY, _CA_CERTIFICATE = "ca.key", "ca.pem"
_TLS_KEY, _TLS_CERTIFICATE = "tls.key", "tls.pem"
_FEDERATION = "federation.id"
_ADMIN_PASSWORD = "admin.password"  # noqa: S105  the name of a file
CERTIFICATE_DAYS = 365
LOOPBACK = ("127.0.0.1", "localhost")
"""Hosts that every certificate of the MoM is for."""


class MomHome:
    """The files of one MoM, by their place under the state directory."""

    def __init__(self, settings: MomSettings) -> None:
        self.settings = settings
        self.directory = settings.state.directory

    @classmethod
    def create(cls, settings: MomSettings) -> "MomHome":
        """Make a federation: its id, CA, keys, database and administrator.

        Raises:
            ConfigurationError: When the directory already holds one; nothing is changed then.
        """
        home = cls(settings)
        home.require_new()
        now = datetime.now(UTC)
        make_private_directory(home.directory)
        authority = CertificateAuthority.create(settings.cluster.name, now=now)
        authority.save(*home.authority_files)
        home._make_certificate(authority, now)
        write_private(home.directory / _FEDERATION, secrets.token_hex(16) + "\n")
        home._add_administrator(now)
        file = home.directory / SETTINGS_FILE
        if not file.exists():
            write_private(file, settings_text(settings, settings.role, now))
        # Last, because its presence says that the federation is whole.
        SigningKey.generate().save(home.signing_key_file)
        return home

    @classmethod
    def create_replica(
        cls,
        settings: MomSettings,
        key: SigningKey,
        tls_key: TlsKey,
        authority_key: bytes,
        reply: ReplicaJoinReply,
    ) -> "MomHome":
        """Keep what joining as a replica brought.

        Raises:
            ConfigurationError: When the directory already holds a federation.
            KeyFileError: When the CA's key and certificate do not belong together.
        """
        home = cls(settings)
        home.require_new()
        make_private_directory(home.directory)
        key_file, certificate_file = home.authority_files
        write_private(key_file, authority_key.decode())
        write_private(certificate_file, reply.ca_certificate)
        home.load_authority()
        certificate_file, tls_key_file = home.tls_files
        tls_key.save(tls_key_file)
        write_private(certificate_file, reply.certificate)
        write_private(home.directory / _FEDERATION, reply.federation + "\n")
        file = home.directory / SETTINGS_FILE
        if not file.exists():
            write_private(file, settings_text(settings, settings.role, datetime.now(UTC)))
        # Last, because its presence says that all of it is there.
        key.save(home.signing_key_file)
        return home

    def require_new(self) -> None:
        """Check that the directory is nobody's yet.

        Raises:
            ConfigurationError: When it holds a federation.
        """
        if self.signing_key_file.exists():
            raise ConfigurationError([f"{self.directory} already holds a federation"])

    @property
    def signing_key_file(self) -> Path:
        """The private key that signs the MoM's tickets and tokens; mode 0600."""
        return self.directory / _SIGNING_KEY

    @property
    def password_file(self) -> Path:
        """The administrator's first password; mode 0600, to be read once and removed."""
        return self.directory / _ADMIN_PASSWORD

    @property
    def tls_files(self) -> tuple[Path, Path]:
        """The TLS certificate and its private key."""
        return self.directory / _TLS_CERTIFICATE, self.directory / _TLS_KEY

    @property
    def authority_files(self) -> tuple[Path, Path]:
        """The CA's private key and its certificate."""
        return self.directory / _CA_KEY, self.directory / _CA_CERTIFICATE

    @property
    def tables_directory(self) -> Path:
        """Where the MoM's own tables lie."""
        return self.settings.tables.directory or self.directory / "tables"

    @property
    def snapshot_directory(self) -> Path:
        """Where versions of them are laid out to be read."""
        return self.tables_directory / ".snapshots"

    @property
    def spill_directory(self) -> Path:
        """Where the engine puts what does not fit into memory."""
        return self.directory / "spill"

    @property
    def spool_directory(self) -> Path:
        """Where rows of heartbeats wait to be written into their table."""
        return self.directory / "heartbeats"

    @property
    def federation(self) -> str:
        """The federation's id: 32 hex digits."""
        return (self.directory / _FEDERATION).read_text("utf-8").strip()

    def load_key(self) -> SigningKey:
        """Read the signing key.

        Raises:
            ConfigurationError: When this is no MoM's directory yet.
        """
        if not self.signing_key_file.exists():
            raise ConfigurationError(
                [f"{self.directory}: not a MoM's directory; run flight-mom init first"]
            )
        return SigningKey.load(self.signing_key_file)

    def publication_s(self) -> float | None:
        """A new key signs when every member that is alive has heard of it."""
        return self.settings.heartbeat.timeout_s

    def load_authority(self) -> CertificateAuthority:
        """Read the federation's certificate authority."""
        return CertificateAuthority.load(*self.authority_files)

    def open_database(self) -> Database:
        """Open the durable state; missing tables are made."""
        return Database(
            self.settings.state.database_url,
            f"the MoM {self.settings.cluster.name}",
            audit_tables,
            binding_tables,
            grant_tables,
            group_tables,
            user_tables,
            revocation_tables,
            member_tables,
            member_state_tables,
            table_id_tables,
            job_tables,
            job_place_tables,
            metastore_tables,
            lease_tables,
            peer_tables,
            replica_tables,
        )

    def require_named_replica(self, database: Database) -> None:
        """Check that this server is the first MoM, or a replica that administrators know.

        Raises:
            ConfigurationError: When it was removed.
        """
        name = self.settings.server_name
        with database.read() as connection:
            if name == self.settings.cluster.name or name in ReplicaStore(connection).all():
                return
        database.close()
        fault = f"{name} is no replica of {self.settings.cluster.name} any more; add and join anew"
        raise ConfigurationError([f"state.server: {fault}"])

    def _make_certificate(self, authority: CertificateAuthority, now: datetime) -> None:
        certificate_file, key_file = self.tls_files
        key = TlsKey.generate()
        key.save(key_file)
        request = make_request(key, self.settings.cluster.name, self.hosts)
        certificate_file.write_bytes(self.certify(authority, request, now))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the MoM's own certificate is for."""
        advertised = self.settings.server.advertised_host
        return tuple(dict.fromkeys((advertised, *self.settings.server.names, *LOOPBACK)))

    def certify(self, authority: CertificateAuthority, request: bytes, now: datetime) -> bytes:
        """Have the CA sign the MoM's own certificate request; both in PEM."""
        return authority.sign_request(
            request,
            common_name=self.settings.cluster.name,
            hosts=self.hosts,
            now=now,
            days=CERTIFICATE_DAYS,
        )

    def _add_administrator(self, now: datetime) -> None:
        password = secrets.token_urlsafe(18)
        with closing(self.open_database()) as database, database.change() as connection:
            users = UserStore(connection)
            if users.find(ADMIN) is not None:
                # Of an `init` that did not come to its end.
                users.remove(ADMIN)
            users.add(ADMIN, hash_password(password), is_admin=True, groups=(), now=now)
            AuditStore(connection).append(
                AuditRecord(
                    at=now,
                    actor="flight-mom init",
                    source="terminal",
                    action="add user",
                    object=f"{ADMIN}@{self.settings.cluster.name}",
                    allowed=True,
                )
            )
        write_private(self.password_file, password + "\n")
