"""Settings of the MoM: those of every server, and what only the MoM has."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import SettingsConfigDict

from flight_member.settings import (
    AuditSection,
    AuthSection,
    ClusterName,
    HeartbeatSection,
    LimitsSection,
    Section,
    ServerSection,
    ServerSettings,
    is_loopback,
)
from storage.names import INFORMATION_SCHEMA, SYSTEM_CATALOG, Level, ObjectName

SETTINGS_FILE = "flight-mom.toml"
"""What the MoM's settings file in its state directory is called."""


def _read_table_name(text: str) -> str:
    name = ObjectName.parse(text, cluster="here")
    is_reserved = name.catalog == SYSTEM_CATALOG or name.schema == INFORMATION_SCHEMA
    if name.level is not Level.TABLE or "@" in text or is_reserved:
        raise ValueError(f"write catalog.schema.table without a cluster, not in {SYSTEM_CATALOG}")
    return name.local


TableName = Annotated[str, AfterValidator(_read_table_name)]


class IssuerSection(Section):
    """An outside identity provider: `[[auth.issuer]]`, once for each."""

    issuer: str = Field(min_length=1, description="its `iss`, exactly as its tokens have it")
    audience: str = Field(min_length=1, description="the `aud` that its tokens must name")
    clusters: tuple[ClusterName, ...] = Field(
        min_length=1, description="the clusters whose users it may speak for"
    )
    jwks_file: Path | None = Field(default=None, description="its published keys, as a file")
    jwks_url: str = Field(default="", description="its published keys, by https")
    user_claim: str = Field(default="sub", description="the claim with the user's name at home")
    user_suffix: str = Field(
        default="", description="what is cut from the end of the claim, as @example.org"
    )
    cluster_claim: str | None = Field(
        default=None, description="the claim with the cluster, where it may speak for several"
    )
    groups_claim: str | None = Field(default=None, description="the claim that lists groups")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.jwks_file is None) == (not self.jwks_url):
            raise ValueError("give jwks_file or jwks_url, one of them")
        if self.cluster_claim is None and len(self.clusters) > 1:
            raise ValueError("an issuer of several clusters needs cluster_claim")
        parts = urlsplit(self.jwks_url)
        is_local = parts.scheme == "http" and is_loopback(parts.hostname or "")
        if self.jwks_url and not (parts.scheme == "https" and parts.hostname) and not is_local:
            raise ValueError("jwks_url must begin with https://; plain http is for loopback")
        return self

    def __str__(self) -> str:
        return f"{self.issuer} for {', '.join(self.clusters)}"


class MomAuthSection(AuthSection):
    """How long proofs of identity last, and whose word counts besides the members'."""

    issuer: tuple[IssuerSection, ...] = Field(
        default=(), description="outside identity providers; see the page on security"
    )
    bind_address: bool = Field(
        default=False,
        description="whether a session counts from one address alone: the first that used it",
    )

    @model_validator(mode="after")
    def _issuers_differ(self) -> Self:
        if len({one.issuer for one in self.issuer}) != len(self.issuer):
            raise ValueError("two issuers have one name")
        return self


class MomAuditSection(AuditSection):
    """As for every server, and how much of the audit one statement may look at."""

    max_record_count: int = Field(
        default=200_000,
        ge=1,
        description="how many records one statement over system.federation.audit may look at",
    )


class MomHeartbeatSection(HeartbeatSection):
    """As for every server, and what becomes of what members report."""

    handlers: tuple[str, ...] = Field(
        default=("keep",),
        description="what is called with the rows of heartbeats, in this order: `module:function`, "
        "or `keep`, which appends them to `heartbeat.table`",
    )
    table: TableName = Field(
        default="monitor.heartbeat.cluster_perf",
        description="the MoM's own table that `keep` appends to; it is made when it is missing",
    )
    data_node: str = Field(
        default="", description="the node that holds it; empty means the MoM's only one"
    )
    commit_s: float = Field(
        default=30, gt=0, description="seconds between two additions to the table"
    )
    keep_days: int = Field(
        default=30, ge=1, description="how many days it keeps, and states of members are kept"
    )
    max_waiting_rows: int = Field(
        default=100_000,
        ge=1,
        description="how many rows may wait for a handler that is slow; of more, the oldest are "
        "dropped",
    )


class MomServerSection(ServerSection):
    """As for every server, and what else its certificate is for."""

    names: tuple[str, ...] = Field(
        default=(),
        description="further hosts that clients reach it by, such as a balancer's; its certificate "
        "is for them too",
    )


class MomTablesSection(Section):
    """Where the MoM's own tables lie."""

    directory: Path | None = Field(
        default=None,
        description="directory of managed tables, the same for all servers over one database; "
        "without it, `tables` in the state directory",
    )


class MomLimitsSection(LimitsSection):
    """As for every server; most of what runs at the MoM is relayed, and costs it little."""

    max_running: int = Field(
        default=128,
        ge=1,
        description="statements that run at once, those included that the MoM relays",
    )
    max_running_per_user: int = Field(
        default=32, ge=1, description="of them, statements of one user"
    )
    max_running_per_cluster: int = Field(
        default=96, ge=1, description="of them, statements of all users of one other cluster"
    )


class MomSettings(ServerSettings):
    """The settings of the Master of Masters."""

    model_config = SettingsConfigDict(env_prefix="FLIGHT_MOM_")

    role: Literal["mom"] = Field(default="mom", description="what this cluster is")
    server: MomServerSection = Field(default_factory=MomServerSection)
    tables: MomTablesSection = Field(default_factory=MomTablesSection)
    auth: MomAuthSection = Field(default_factory=MomAuthSection)
    heartbeat: MomHeartbeatSection = Field(default_factory=MomHeartbeatSection)
    limits: MomLimitsSection = Field(default_factory=MomLimitsSection)
    audit: MomAuditSection = Field(default_factory=MomAuditSection)
