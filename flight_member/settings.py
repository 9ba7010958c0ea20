"""Settings: those of every server, and what only a member has.

Secrets are only ever named by `*_file` settings.
"""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.names import fold_name
from storage.objecturl import read_url

SETTINGS_FILE = "flight-member.toml"
"""What a member's settings file in its state directory is called."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, seen by nobody else."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Section(BaseModel):
    """One table of the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ClusterName = Annotated[str, AfterValidator(fold_name)]
Network = Annotated[str, AfterValidator(lambda text: str(ip_network(text, strict=False)))]


class ClusterSection(Section):
    """Who this cluster is."""

    name: ClusterName = Field(description="the cluster's name in the federation")


class ServerSection(Section):
    """Where the server listens and what it tells others of that."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; beyond loopback TLS is on"
    )
    port: int = Field(
        default=32010, ge=0, le=65535, description="port to listen on; 0 takes a free one"
    )
    advertise: str = Field(default="", description="host that others are told; empty means `host`")
    tls: bool = Field(default=False, description="serve TLS on loopback too")
    drain_timeout_s: float = Field(
        default=20,
        ge=0,
        description="seconds that running streams get when the server is told to stop",
    )
    insecure_plaintext: bool = Field(
        default=False, description="serve beyond loopback without TLS: tokens travel readable"
    )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    @property
    def uses_tls(self) -> bool:
        """Whether the server speaks TLS."""
        return self.tls or not (self.is_loopback or self.insecure_plaintext)

    @property
    def advertised_host(self) -> str:
        """The host that locations name."""
        return self.advertise or self.host

    def uri(self, port: int) -> str:
        """Return where the server answers, for others, when it listens on a port."""
        host = self.advertised_host
        bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{'grpc+tls' if self.uses_tls else 'grpc'}://{bracketed}:{port}"


class StateSection(Section):
    """Where everything is kept that must survive."""

    directory: Path = Field(default=Path(), description="keys, certificates and the database")
    server: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$|^$",
        description="this server's name among several over one database; empty means the cluster's",
    )
    database: str = Field(
        default="", description="SQLAlchemy URL; empty means SQLite in `directory`"
    )

    @field_validator("database")
    @classmethod
    def _has_no_password(cls, url: str) -> str:
        if urlsplit(url).password is not None:
            raise ValueError(
                "holds a password, which everybody who reads the settings would see; keep it in "
                "the database's own password file (PGPASSFILE)"
            )
        return url

    @property
    def database_url(self) -> str:
        """The database that holds the durable state."""
        return self.database or f"sqlite:///{self.directory / 'state.db'}"


class HeartbeatSection(Section):
    """How often members report and when silence counts."""

    interval_s: float = Field(default=5.0, gt=0, description="seconds between two heartbeats")
    timeout_s: float = Field(default=15.0, gt=0, description="silence after which a member is dead")


class HaSection(Section):
    """How several servers over one database stand in for each other."""

    lease_s: float = Field(
        default=5.0,
        ge=1,
        le=300,
        description="seconds after which another takes over from a server that is paused, cut off "
        "from the database or gone",
    )


class AuthSection(Section):
    """How long proofs of identity last."""

    identity_ttl_s: int = Field(
        default=3600, ge=60, description="life of an identity token in seconds"
    )
    session_ttl_s: int = Field(
        default=3600, ge=60, description="life of a session token in seconds"
    )
    session_max_h: float = Field(
        default=12, gt=0, le=744, description="hours until a session must prove anew"
    )
    long_session_agents: tuple[str, ...] = Field(
        default=("grpc-java",),
        description="user agents that cannot take a renewed token (JDBC): theirs lasts "
        "`session_max_h` at once",
    )
    relayed_agents: tuple[str, ...] = Field(
        default=("grpc-java",),
        description="user agents that sign in with the password at every address an answer names "
        "(JDBC): their rows come through the MoM, whatever the member's route",
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(),
        description="addresses or networks whose `x-forwarded-for` is believed",
    )
    ticket_ttl_s: int = Field(
        default=300, ge=5, le=3600, description="life of a query ticket in seconds"
    )
    prepared_ttl_s: int = Field(
        default=86_400,
        ge=5,
        le=2_073_600,
        description="life of a prepared statement in seconds; it gives no right",
    )


class WireSection(Section):
    """In what form rows travel to a client that does not say."""

    signed_agents: tuple[str, ...] = Field(
        default=("grpc-java",),
        description="user agents that read unsigned integers as signed ones (JDBC): they get wider "
        "signed types, as with `x-wire: signed`",
    )


class LimitsSection(Section):
    """What one statement and all statements together may take."""

    max_text_bytes: int = Field(default=262_144, ge=1024, description="longest statement in bytes")
    max_height: int = Field(
        default=250, ge=10, description="deepest expression, left-deep chains counted"
    )
    max_tokens: int = Field(
        default=12_288,
        ge=100,
        description="words, signs and literals of one statement, without commas",
    )
    max_plan_steps: int = Field(
        default=400_000,
        ge=10_000,
        description="steps of planning one statement, each about a microsecond",
    )
    max_grouping_sets: int = Field(
        default=4096, ge=1, description="sets of columns that one GROUP BY may stand for"
    )
    max_running: int = Field(
        default=32,
        ge=1,
        description="statements that run at once, those included that the MoM relays",
    )
    max_running_per_user: int = Field(
        default=16, ge=1, description="of them, statements of one user"
    )
    max_running_per_cluster: int = Field(
        default=24, ge=1, description="of them, statements of all users of one other cluster"
    )
    max_planning: int = Field(
        default=4, ge=2, description="statements that are read and planned at once"
    )
    max_queued: int = Field(default=64, ge=0, description="statements that may wait for a place")
    queue_timeout_s: float = Field(
        default=30, ge=0, description="longest wait for a place in seconds"
    )
    slow_reader_s: float = Field(
        default=5,
        ge=0,
        description="seconds after which a statement whose reader takes no rows lends its place",
    )
    max_slow_readers: int = Field(
        default=64, ge=0, description="statements that may have lent their places"
    )
    max_calls: int = Field(
        default=512, ge=16, description="calls that are answered at once, statements or not"
    )
    statement_timeout_s: float = Field(
        default=3600, gt=0, description="time limit of a home statement"
    )
    visitor_timeout_s: float = Field(
        default=600, gt=0, description="time limit of a visitor's statement"
    )
    memory_limit_mib: int = Field(
        default=4096, ge=64, description="the engine's memory before it spills"
    )


class AuditSection(Section):
    """What happens to reads when the audit cannot be written, and how long it is kept."""

    required: bool = Field(default=True, description="refuse reads that cannot be audited")
    keep_days: int | None = Field(
        default=None, ge=1, description="forget records older than this; without it, none"
    )


class JobsSection(Section):
    """How long what statements came to is remembered."""

    keep_days: int = Field(
        default=30, ge=1, description="forget jobs that were asked for longer ago than this"
    )
    max_count: int = Field(
        default=1_000_000, ge=1_000, description="jobs that are remembered at most, the newest"
    )


class LogSection(Section):
    """How the log is written."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level"
    )
    format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto is text on a terminal and JSON elsewhere"
    )


class MomSection(Section):
    """The federation that this member belongs to."""

    address: str = Field(
        default="", description="URI of the MoM, where it differs from the one of joining"
    )
    addresses: tuple[str, ...] = Field(
        default=(),
        description="further URIs of the MoM, in the order in which they are tried; where its "
        "replicas answer is learned from them all the same",
    )


class ObjectStoreSection(Section):
    """An object store, or a part of one, that external tables may lie in."""

    url: str = Field(description="`s3://bucket`, or a prefix in it; one entry for each bucket")
    endpoint: str = Field(default="", description="URI that it answers at; empty means AWS")
    region: str = Field(default="us-east-1", min_length=1, description="its region")
    key_id: str = Field(min_length=1, description="id of the key that it is read with")
    secret_file: Path = Field(description="file with the secret of that key")
    insecure_plaintext: bool = Field(
        default=False,
        description="ask beyond loopback over `http`: rows and places travel readable",
    )

    @property
    def answers_at(self) -> str:
        """Where it is asked."""
        return self.endpoint.rstrip("/") or f"https://s3.{self.region}.amazonaws.com"

    @field_validator("url")
    @classmethod
    def _is_a_place(cls, url: str) -> str:
        read_url(url)
        return url.rstrip("/")

    @model_validator(mode="after")
    def _is_private(self) -> "ObjectStoreSection":
        parts = urlsplit(self.answers_at)
        is_uri = parts.scheme in {"http", "https"} and parts.hostname and not parts.path
        if not is_uri or "@" in parts.netloc:
            raise ValueError("endpoint is not https://host:port")
        is_safe = parts.scheme == "https" or is_loopback(str(parts.hostname))
        if not is_safe and not self.insecure_plaintext:
            raise ValueError("endpoint has no TLS; use https, or set insecure_plaintext")
        return self


class TablesSection(Section):
    """Where tables may lie."""

    directory: Path | None = Field(
        default=None,
        description="directory of managed tables, the same for all servers over one database; "
        "without it, `tables` in the state directory",
    )
    roots: tuple[Path, ...] = Field(
        default=(),
        description="directories that external tables may lie in, beside the state directory",
    )
    object_stores: tuple[ObjectStoreSection, ...] = Field(
        default=(),
        description="object stores that external tables may lie in, each with `url`, `endpoint`, "
        "`region`, `key_id`, `secret_file` and `insecure_plaintext`; see tables.md",
    )

    @field_validator("object_stores")
    @classmethod
    def _names_each_bucket_once(
        cls, stores: tuple[ObjectStoreSection, ...]
    ) -> tuple[ObjectStoreSection, ...]:
        buckets = [read_url(store.url)[0] for store in stores]
        if len(set(buckets)) != len(buckets):
            raise ValueError("a bucket is there twice; name a prefix that holds both places")
        return stores


class ProcessSettings(BaseSettings):
    """What every process of a cluster has."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_nested_delimiter="__")

    cluster: ClusterSection
    server: ServerSection = Field(default_factory=ServerSection)
    state: StateSection = Field(default_factory=StateSection)
    wire: WireSection = Field(default_factory=WireSection)
    limits: LimitsSection = Field(default_factory=LimitsSection)
    log: LogSection = Field(default_factory=LogSection)


class ServerSettings(ProcessSettings):
    """What the MoM and a member have in common."""

    ha: HaSection = Field(default_factory=HaSection)
    heartbeat: HeartbeatSection = Field(default_factory=HeartbeatSection)
    auth: AuthSection = Field(default_factory=AuthSection)
    audit: AuditSection = Field(default_factory=AuditSection)
    jobs: JobsSection = Field(default_factory=JobsSection)

    @property
    def server_name(self) -> str:
        """This server's name among those over its database."""
        return self.state.server or self.cluster.name


class NodeSettings(ProcessSettings):
    """The settings of a data node; what its statements may take, its controllers say."""

    model_config = SettingsConfigDict(env_prefix="FLIGHT_NODE_")

    role: Literal["node"] = Field(default="node", description="what this process is")
    tables: TablesSection = Field(default_factory=TablesSection)


class MemberSettings(ServerSettings):
    """The settings of a member cluster."""

    model_config = SettingsConfigDict(env_prefix="FLIGHT_MEMBER_")

    role: Literal["member"] = Field(default="member", description="what this cluster is")
    mom: MomSection = Field(default_factory=MomSection)
    tables: TablesSection = Field(default_factory=TablesSection)
