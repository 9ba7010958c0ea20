"""The federation that is measured: the demo's processes, with lineitem as hangzhou's table."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.adbc import Account
from flight_member.memberhome import MemberHome
from flight_member.tables import TableDesk
from flight_member.users import UserDesk
from flight_mom.demo.federation import HANGZHOU, MEMBERS, MOM, SHANGHAI, USERS, DemoFederation
from flight_mom.momhome import ADMIN
from flight_sql import Client

_CATALOG = "bench"
_VISITOR, _OWNER = f"user1@{SHANGHAI}", f"user2@{HANGZHOU}"


def table_name(layout: str) -> str:
    """Return what the federation calls a layout of lineitem."""
    return f"{_CATALOG}.tpch.lineitem_{layout}"


class MeasuredFederation:
    """A MoM and two members, made once; its processes run for one `with` block at a time."""

    def __init__(self, directory: Path, layouts: Mapping[str, Path]) -> None:
        """Make it: users, and one table for each layout."""
        roots = {cluster: list(layouts.values()) for cluster in MEMBERS}
        self._demo = DemoFederation(directory, 0, roots)
        self._demo.create()
        # Shanghai has the tables too: a member that has none counts as not reporting yet.
        for cluster in MEMBERS:
            desk = TableDesk.open(self._demo.member_home(cluster))
            for layout, location in layouts.items():
                desk.attach(table_name(layout), location)
        for user, cluster in USERS.items():
            home = self._demo.member_home(cluster)
            UserDesk(home).add(user, self._demo.password(user), readable=("*",))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the processes, with the visitor's grant made."""
        with self._demo.running():
            with self._demo.client(ADMIN, MOM, at=MOM) as admin:
                grant = f"GRANT CATALOG_READ ON {_CATALOG}@{HANGZHOU} TO {_VISITOR}"
                admin.query(grant).read_all()
            yield

    def visitor_client(self) -> Client:
        """Return a client of another member's user at the MoM; to be closed."""
        return self._demo.client("user1", SHANGHAI, at=MOM)

    def owner(self) -> Account:
        """Return the member's own user, asking the member."""
        return self._account(_OWNER, HANGZHOU, {})

    def visitor(self, route: str) -> Account:
        """Return another member's user, asking the MoM for rows by this route."""
        return self._account(_VISITOR, MOM, {"x-route": route})

    @property
    def member_home(self) -> MemberHome:
        """The state of the member that holds the data."""
        return self._demo.member_home(HANGZHOU)

    @property
    def member_uri(self) -> str:
        """Where that member answers, while it runs."""
        return self._demo.uri(HANGZHOU)

    @property
    def member_pid(self) -> int:
        """The process that holds the data."""
        return self._demo.processes[HANGZHOU].process.pid

    @property
    def mom_pid(self) -> int:
        """The MoM's process."""
        return self._demo.processes[MOM].process.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """All processes that measured rows pass through."""
        return self.member_pid, self.mom_pid

    def _account(self, name: str, at: str, headers: Mapping[str, str]) -> Account:
        user = name.partition("@")[0]
        return Account(self._demo.uri(at), name, self._demo.password(user), headers)


def qualified(layout: str) -> str:
    """Return the name under which everybody in the federation asks for a layout."""
    return f"{table_name(layout)}@{HANGZHOU}"
