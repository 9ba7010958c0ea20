"""The state of a cluster as its data nodes hold it: all that verifying and running a ticket takes.

More than the MoM gets: where files lie and what views are made of. Less than a controller has: no
password, no right to write, nothing that was dropped.
"""

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from auth import (
    NO_PASSWORD,
    AuthError,
    Effect,
    Grant,
    GrantSet,
    HomeRules,
    Principal,
    Privilege,
)
from auth.userstore import User
from flight_member.errors import BadRequestError
from flight_member.memberstate import MemberSnapshot, reported
from flight_member.nodeprotocol import NodeReplica
from flight_member.protocol import ReportedGrant, ReportedUser
from storage.metastore import Metastore, Table
from storage.names import ObjectName
from storage.replica import read_replica, write_replica


def node_replica(snapshot: MemberSnapshot) -> NodeReplica:
    """Return a state for nodes; equal states give equal versions."""
    tables = snapshot.metastore.all_tables()
    replica = NodeReplica(
        version="",
        metastore=base64.b64encode(write_replica(snapshot.metastore)).decode(),
        locations={one.id: one.location for one in tables if one.location is not None},
        definitions={one.id: one.definition for one in tables if one.definition is not None},
        users=snapshot.reported_users(),
        # Nothing is written at a node.
        grants=tuple(reported(one) for one in snapshot.rules if one.privilege.is_federated),
        vetoes=tuple(map(reported, snapshot.vetoes)),
        epoch=snapshot.epoch,
    )
    version = hashlib.sha256(replica.write()).hexdigest()[:32]
    return replica.model_copy(update={"version": version})


def read_node_replica(cluster: str, replica: NodeReplica) -> MemberSnapshot:
    """Read the state that a controller sent.

    Raises:
        BadRequestError: When it is not well formed, or another cluster's.
    """
    try:
        told = read_replica(base64.b64decode(replica.metastore, validate=True), cluster=cluster)
        metastore = Metastore(
            cluster,
            told.version,
            [_placed(table, replica) for table in told.all_tables()],
            told.places.values(),
        )
        grants = [_grant(index, cluster, one) for index, one in enumerate(replica.grants)]
        vetoes = [_grant(index, cluster, one) for index, one in enumerate(replica.vetoes)]
        users = {one.name: _user(one) for one in replica.users}
    except (ValueError, OverflowError, OSError, AuthError):
        pass
    else:
        return MemberSnapshot(
            metastore=metastore,
            users=MappingProxyType(users),
            rules=HomeRules(GrantSet(grants, replica.epoch), metastore.owners()),
            vetoes=GrantSet(vetoes, replica.epoch),
        )
    raise BadRequestError("not well formed: the state of the cluster")


def _placed(table: Table, replica: NodeReplica) -> Table:
    return replace(
        table,
        location=replica.locations.get(table.id),
        definition=replica.definitions.get(table.id),
    )


def _user(told: ReportedUser) -> User:
    return User(
        id=told.id,
        name=told.name,
        password_hash=NO_PASSWORD,
        is_admin=told.is_admin,
        is_locked=told.is_locked,
        groups=frozenset(told.groups),
        changed_at=datetime.fromtimestamp(told.changed_at, UTC),
    )


def _grant(index: int, cluster: str, told: ReportedGrant) -> Grant:
    return Grant(
        id=index,
        principal=Principal.parse(told.principal),
        effect=Effect(told.effect),
        privilege=Privilege(told.privilege),
        securable=ObjectName.parse(told.securable, cluster=cluster),
        granted_by=f"home rules of {cluster}",
        granted_at=datetime.fromtimestamp(0, UTC),
        until=None if told.until is None else datetime.fromtimestamp(told.until, UTC),
    )
