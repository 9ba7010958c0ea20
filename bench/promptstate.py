"""The federation that the benchmark of promptness runs: as it is served, beating every 5 s."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from flight_member.tables import TableDesk
from flight_member.users import UserDesk
from flight_mom.demo.federation import HANGZHOU, MEMBERS, MOM, SHANGHAI, USERS, DemoFederation
from flight_mom.momhome import ADMIN
from flight_sql import Client

CATALOG: Final = "bench"
OWN: Final = f"{CATALOG}.prompt.numbers@{HANGZHOU}"
_LOCAL: Final = f"{CATALOG}.prompt.numbers"
_ROWS: Final = 10_000
_OWNER: Final = "owner"
_BEAT_S: Final = 5.0


class PromptFederation:
    """A MoM and two members, made once; its processes run inside one `with` block."""

    def __init__(self, directory: Path) -> None:
        """Make it: a table, its owner, who administers hangzhou, and a visitor."""
        self._demo = DemoFederation(directory, 0, heartbeat_s=_BEAT_S)
        self._demo.create()
        numbers = pa.table({"n": pa.array(range(_ROWS), pa.int64())})
        # Shanghai has it too: a member that has no table counts as not reporting yet.
        for cluster in MEMBERS:
            TableDesk.open(self._demo.member_home(cluster)).load_batches(
                _LOCAL, numbers.to_batches(), partition_by=(), progress=lambda _: None
            )
        for user, cluster in USERS.items():
            UserDesk(self._demo.member_home(cluster)).add(user, self._demo.password(user))
        UserDesk(self._demo.member_home(HANGZHOU)).add(
            _OWNER, self._demo.password(_OWNER), readable=("*",), is_admin=True
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the processes, with the visitor's grant made."""
        with self._demo.running():
            with self.admin() as admin:
                admin.query(
                    f"GRANT CATALOG_READ ON {CATALOG}@{HANGZHOU} TO user1@{SHANGHAI}"
                ).read_all()
            yield

    def owner(self) -> Client:
        """Return a client of the member's administrator at home; to be closed."""
        return self._demo.client(_OWNER, HANGZHOU, at=HANGZHOU)

    def visitor(self) -> Client:
        """Return a client of another member's user at the MoM; to be closed."""
        return self._demo.client("user1", SHANGHAI, at=MOM)

    def admin(self) -> Client:
        """Return a client of the federation's administrator at the MoM; to be closed."""
        return self._demo.client(ADMIN, MOM, at=MOM)

    def desk(self) -> TableDesk:
        """Return the member's tables as another process changes them."""
        return TableDesk.open(self._demo.member_home(HANGZHOU))

    @property
    def member_pid(self) -> int:
        """The process that holds the data."""
        return self._demo.processes[HANGZHOU].process.pid
