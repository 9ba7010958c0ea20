"""What a member reports of itself, read: its tables, users, home rules and vetoes."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from types import MappingProxyType

from auth import (
    AuthError,
    Effect,
    Grant,
    GrantSet,
    HomeRules,
    Principal,
    Privilege,
    check_veto,
    fold_principal,
)
from flight_member.errors import BadRequestError
from flight_member.places import is_reserved
from flight_member.protocol import DepartedPlace, Report, ReportedGrant, ReportedUser
from storage.metastore import Metastore
from storage.names import Level, ObjectName
from storage.replica import read_replica


@dataclass(frozen=True, slots=True)
class Departure:
    """A schema or catalog that was dropped, or got another name."""

    place: ObjectName
    new_place: ObjectName | None
    """None when it was dropped."""


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What a report says, read."""

    version: str
    metastore: Metastore
    users: Mapping[str, ReportedUser]
    rules: HomeRules
    vetoes: GrantSet
    departed: Mapping[str, Departure]
    """By the id of the event, oldest first."""
    read_at: float
    """When the member read all this of itself, by its own clock; infinity when it does not say."""


def read_report(cluster: str, report: Report) -> ReadReport:
    """Read a report, which may only speak of the reporting cluster itself.

    Raises:
        BadRequestError: When anything in it cannot be read, or is another cluster's.
    """
    try:
        metastore = _without_reserved(
            read_replica(base64.b64decode(report.metastore, validate=True), cluster=cluster)
        )
        rules = [_home_rule(index, cluster, rule) for index, rule in enumerate(report.grants)]
        vetoes = [_veto(index, cluster, rule) for index, rule in enumerate(report.vetoes)]
        users = {fold_principal(user.name): user for user in report.users}
        departed = {one.id: _departure(cluster, one) for one in report.departed}
        named = [name for rule in rules for name in (rule.principal, rule.securable)]
        strangers = [str(name) for name in named if name.cluster != cluster]
    except (ValueError, OverflowError, OSError, AuthError) as error:
        # Of these only the package's own errors have texts that are meant to be read.
        fault = (
            error.text if isinstance(error, AuthError) else "it is damaged, or another cluster's"
        )
    else:
        if strangers:
            fault = f"{strangers[0]} is not of {cluster}"
        elif len(users) != len(report.users):
            fault = "two users have one name"
        else:
            return ReadReport(
                version=report.version,
                metastore=metastore,
                users=MappingProxyType(users),
                # Nothing is written through the MoM: what else a member tells of decides nothing.
                rules=HomeRules(GrantSet(rules), metastore.owners()),
                vetoes=GrantSet(vetoes),
                departed=MappingProxyType(departed),
                read_at=inf if report.read_at is None else report.read_at,
            )
    raise BadRequestError(f"the report of {cluster} cannot be read: {fault}")


def _without_reserved(metastore: Metastore) -> Metastore:
    """Return a metastore without what no member of this version makes: its names are taken."""
    if not any(is_reserved(name) for name in metastore.places):
        return metastore
    tables = [table for table in metastore.all_tables() if not is_reserved(table.name)]
    places = [place for place in metastore.places.values() if not is_reserved(place.name)]
    return Metastore(metastore.cluster, metastore.version, tables, places)


def nothing_reported(cluster: str) -> ReadReport:
    """Return what is known of a member that has not reported yet: nothing."""
    return ReadReport("", Metastore(cluster, 0, ()), {}, HomeRules(), GrantSet(), {}, 0)


def _departure(cluster: str, departed: DepartedPlace) -> Departure:
    place, new_name = _place(cluster, departed.name), departed.new_name
    new_place = None if new_name is None else _place(cluster, new_name)
    if new_place is not None and new_place.level is not place.level:
        raise ValueError("a schema does not become a catalog")
    return Departure(place, new_place)


def _place(cluster: str, text: str) -> ObjectName:
    place = ObjectName.parse(text, cluster=cluster)
    if place.level not in {Level.SCHEMA, Level.CATALOG} or place.cluster != cluster:
        raise ValueError("not a schema or catalog of the member")
    return place


def _home_rule(index: int, cluster: str, rule: ReportedGrant) -> Grant:
    return Grant(
        id=index,
        principal=Principal.parse(rule.principal, cluster=cluster),
        effect=Effect(rule.effect),
        privilege=Privilege(rule.privilege),
        securable=ObjectName.parse(rule.securable, cluster=cluster),
        granted_by=f"home rules of {cluster}",
        granted_at=datetime.fromtimestamp(0, UTC),
        until=None if rule.until is None else datetime.fromtimestamp(rule.until, UTC),
    )


def _veto(index: int, cluster: str, rule: ReportedGrant) -> Grant:
    veto = Grant(
        id=index,
        principal=Principal.parse(rule.principal),
        effect=Effect(rule.effect),
        privilege=Privilege(rule.privilege),
        securable=ObjectName.parse(rule.securable, cluster=cluster),
        granted_by=f"the owner, {cluster}",
        granted_at=datetime.fromtimestamp(0, UTC),
        until=None if rule.until is None else datetime.fromtimestamp(rule.until, UTC),
    )
    check_veto(veto, cluster)
    return veto
