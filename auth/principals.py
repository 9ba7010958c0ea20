"""Who can hold grants, and who is calling.

User and group names start with a letter or digit, then letters, digits, `_`, `.` and `-`, at most
63 characters (ASCII, so that no two look alike). They are case-insensitive and kept in lower case.

A group belongs to a home cluster (`GROUP analysts@shanghai`, as that cluster says) or to the
federation (`GROUP traders`, kept at the MoM). The two never meet: a member that calls one of its
own groups `traders` gives nobody what was granted to the federation's.

`VISITORS` is everybody of all other clusters; only the owner of an object speaks of them, to deny.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Self

from auth.errors import NotFoundError
from storage.names import InvalidNameError, fold_name

PrincipalKind = Literal["user", "group", "visitors"]
PrincipalKey = tuple[str, str, str | None]

MAX_PRINCIPAL_LENGTH = 63
_VISITORS = "visitors"
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_PRINCIPAL_LENGTH - 1}}}", re.ASCII)
_WRITTEN = re.compile(
    r"""(?P<group>GROUP\s+)?"?(?P<name>[^\s"@]+)"?(?:@"?(?P<cluster>[^\s"@]+)"?)?""",
    re.IGNORECASE,
)


def fold_principal(name: str) -> str:
    """Return the name of a user or group, without its cluster, in lower case.

    Raises:
        NotFoundError: When nobody can be called so.
    """
    if not _NAME.fullmatch(name):
        raise NotFoundError(
            f"{name[:MAX_PRINCIPAL_LENGTH]!r} is not the name of a user or group: letters, "
            f"digits, '_', '.' and '-', at most {MAX_PRINCIPAL_LENGTH}"
        )
    return name.lower()


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """A user or a group that can hold grants. Equal when written alike but for case."""

    kind: PrincipalKind
    name: str
    cluster: str | None = None
    """The home cluster; None for a group of the federation."""

    def __post_init__(self) -> None:
        if self.kind == "user" and self.cluster is None:
            raise NotFoundError(f"user {self.name!r} needs a cluster: write {self.name}@cluster")
        object.__setattr__(self, "name", fold_principal(self.name))
        if self.cluster is not None:
            object.__setattr__(self, "cluster", _fold_cluster(self.cluster))

    @classmethod
    def parse(cls, text: str, cluster: str | None = None) -> Self:
        """Read `user1@shanghai`, `GROUP analysts@shanghai`, `GROUP traders` or `VISITORS`.

        Args:
            text: What was written; `GROUP` in any case.
            cluster: The cluster of a user or group that is written without one. When it is
                None, a group is the federation's and `VISITORS` is no user.

        Raises:
            NotFoundError: When it is none of these forms, or a user without a cluster.
        """
        written = _WRITTEN.fullmatch(text.strip())
        if written is None:
            raise NotFoundError(
                f"{text.strip()[:MAX_PRINCIPAL_LENGTH]!r} is not a user or group: write "
                "user1@shanghai, GROUP analysts@shanghai or GROUP traders"
            )
        named, cluster = written["name"], written["cluster"] or cluster
        if cluster is None and not written["group"] and named.lower() == _VISITORS:
            return cls("visitors", _VISITORS)
        return cls("group" if written["group"] else "user", named, cluster)

    @property
    def key(self) -> PrincipalKey:
        """The same principal as a tuple, which hashes faster."""
        return (self.kind, self.name, self.cluster)

    def __str__(self) -> str:
        if self.kind == "visitors":
            return self.name.upper()
        prefix = "GROUP " if self.kind == "group" else ""
        return prefix + self.name + (f"@{self.cluster}" if self.cluster else "")


VISITORS = Principal("visitors", _VISITORS)


@dataclass(frozen=True, slots=True)
class Identity:
    """The authenticated caller of this call, as their home cluster vouches for them."""

    user: str
    cluster: str
    groups: frozenset[str]
    """Names of the groups of the home cluster, without the cluster."""
    is_admin: bool
    """Administers the home cluster; use `administers`, which asks of which cluster."""
    token_id: str
    expires_at: datetime
    issued_at: datetime = datetime.fromtimestamp(0, UTC)  # noqa: RUF009  immutable
    """When the token was made; left out, it counts as older than every revocation."""
    _home_keys: tuple[PrincipalKey, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "user", fold_principal(self.user))
        object.__setattr__(self, "cluster", _fold_cluster(self.cluster))
        object.__setattr__(self, "groups", frozenset(fold_principal(g) for g in self.groups))
        keys = [("user", self.user, self.cluster)]
        keys += [("group", group, self.cluster) for group in sorted(self.groups)]
        object.__setattr__(self, "_home_keys", tuple(keys))

    @property
    def name(self) -> str:
        """`user1@shanghai`."""
        return f"{self.user}@{self.cluster}"

    @property
    def principal(self) -> Principal:
        """The user as one that can hold grants."""
        return Principal("user", self.user, self.cluster)

    @property
    def home_keys(self) -> tuple[PrincipalKey, ...]:
        """The keys of the user, first, and of their groups at home."""
        return self._home_keys

    def principals(self, mom_groups: Mapping[str, frozenset[str]] | None = None) -> list[Principal]:
        """Return everyone whose grants this caller holds: the user first, then groups by name.

        Args:
            mom_groups: The federation's groups, each with the names of its members
                (`{"traders": {"user1@shanghai"}}`).
        """
        home = [Principal("group", group, self.cluster) for group in sorted(self.groups)]
        federated = sorted(
            Principal("group", group)
            for group, members in (mom_groups or {}).items()
            if self.name in members
        )
        return [self.principal, *home, *federated]

    def administers(self, cluster: str) -> bool:
        """Whether the caller is an administrator of this cluster (their own is the only one)."""
        return self.is_admin and self.cluster == cluster


def groups_by_member(mom_groups: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Turn `{group: members}` into `{member: groups}`, folded, groups in order."""
    found: dict[str, list[str]] = {}
    for group, member in _pairs(mom_groups):
        found.setdefault(member, []).append(group)
    return {member: tuple(sorted(set(groups))) for member, groups in found.items()}


def _pairs(mom_groups: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str]]:
    for group, members in mom_groups.items():
        for member in members:
            yield fold_principal(group), str(Principal.parse(member))


def _fold_cluster(cluster: str) -> str:
    try:
        return fold_name(cluster)
    except InvalidNameError as fault:
        text = str(fault)
    raise NotFoundError(text)
