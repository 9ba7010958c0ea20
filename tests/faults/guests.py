"""A third member that joins while something fails, and is removed again."""

import itertools
import shutil

from flight_member import protocol
from flight_member.configuration import load_settings
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.settings import MemberSettings
from flight_mom.membercommands import change_member
from flight_mom.momhome import ADMIN
from flight_sql import Client
from tests.faults.federation import MOM, Federation
from tests.faults.oracle import Oracle

_HOST = "127.0.0.1"
_numbers = itertools.count(1)


def join_and_leave(federation: Federation, oracle: Oracle) -> None:
    """Have a member join, check that the MoM knows it as it was told, and remove it.

    Raises:
        RemoteError: When the MoM refused, or did not answer.
        FlightMemberError: When joining failed.
    """
    name = f"guest{next(_numbers)}"
    directory = federation.directory / name
    flags = {"cluster.name": name, "state.directory": str(directory), "server.host": _HOST}
    home = MemberHome.create(load_settings(MemberSettings, None, flags).settings)
    try:
        with federation.client(ADMIN, MOM) as admin:
            named = protocol.MembersRequest(action="add", cluster=name, hosts=(_HOST,))
            token = str(change_member(admin, named).join_token)
            joined = join_federation(home, token)
            if joined.mom != MOM:
                oracle.find(f"a guest joined {joined.mom}")
            if name not in _known(admin):
                oracle.find("a member that has joined is not known")
            _change(admin, "remove", name)
            if name in _known(admin):
                oracle.find("a member that was removed is known")
    finally:
        shutil.rmtree(directory)


def _change(admin: Client, action: str, name: str) -> None:
    change_member(admin, protocol.MembersRequest(action=action, cluster=name, hosts=(_HOST,)))


def _known(admin: Client) -> set[str]:
    rows = admin.query("SHOW CLUSTERS").read_all().to_pylist()
    return {row["cluster_name"] for row in rows}
