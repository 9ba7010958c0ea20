"""The demo's three processes: made once, started, watched, and stopped together."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from flight_member import protocol
from flight_member.configuration import load_settings
from flight_member.errors import StartupError
from flight_member.joining import join_federation
from flight_member.memberhome import MemberHome
from flight_member.membership import Membership
from flight_member.profiles import Profile, write_private, write_profile
from flight_member.settings import MemberSettings
from flight_mom.membercommands import change_member
from flight_mom.momhome import ADMIN, MomHome
from flight_mom.settings import MomSettings
from flight_sql import Client, RemoteError

MOM, HANGZHOU, SHANGHAI = "headquarters", "hangzhou", "shanghai"
MEMBERS = (HANGZHOU, SHANGHAI)
USERS = {"user1": SHANGHAI, "user2": HANGZHOU}

_HOST = "127.0.0.1"
_TOKEN_LIFE = timedelta(hours=12)
_START_S = 30.0
_STOP_S = 4.5
_HEARTBEAT_S = 1.0
_COMMIT_S = 2.0


@dataclass
class Process:
    """One server of the demo. It ends when its standard input does, so never outlives us."""

    name: str
    uri: str
    process: "subprocess.Popen[bytes]"


@dataclass
class DemoFederation:
    """The federation under one directory."""

    directory: Path
    port: int
    roots: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    """By cluster: where its state is, when not in its directory."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """By package: the module that is run in its place, such as one that speaks an older version."""
    heartbeat_s: float = _HEARTBEAT_S
    processes: dict[str, Process] = field(default_factory=dict)

    def create(self) -> None:
        """Make what is not there yet: the MoM, the members, their users."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mom = MomHome(self._mom_settings())
        if not mom.signing_key_file.exists():
            MomHome.create(mom.settings)
        for name in MEMBERS:
            MemberHome.create(self.member_home(name).settings)

    def member_home(self, name: str) -> MemberHome:
        """Return the state directory of a member, with the demo's settings."""
        flags = {
            "cluster.name": name,
            "server.port": 0,
            "state.directory": str(self.directory / name),
            "state.database": self.databases.get(name),
            "tables.roots": [str(root) for root in self.roots.get(name, ())],
        }
        return MemberHome(load_settings(MemberSettings, None, flags).settings)

    def password(self, user: str) -> str:
        """Return a demo user's password, made when first asked for."""
        if user == ADMIN:
            return MomHome(self._mom_settings()).password_file.read_text("utf-8").strip()
        file = self.directory / "passwords" / user
        if not file.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(file, secrets.token_urlsafe(12) + "\n")
        return file.read_text("utf-8").strip()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run all three processes for the time of a `with` block."""
        try:
            self._start_all()
            yield
        finally:
            self.stop()

    def uri(self, name: str) -> str:
        """Return where a cluster answers now."""
        return self.processes[name].uri

    def client(self, user: str, cluster: str, *, at: str) -> Client:
        """Return a client that has signed in as a user at one of the servers."""
        client = Client(self.uri(at))
        client.sign_in(f"{user}@{cluster}", self.password(user))
        return client

    def check_alive(self) -> None:
        """Raise when a process has ended by itself.

        Raises:
            StartupError: Naming the cluster and its log.
        """
        for one in self.processes.values():
            if one.process.poll() is not None:
                raise StartupError(
                    f"{one.name} ended by itself; its log is {self._log_file(one.name)}"
                )

    def write_profiles(self) -> None:
        """Write the profiles of the demo's users, each with a fresh token."""
        homes = {ADMIN: MOM, **USERS}
        for user, home in homes.items():
            with self.client(user, home, at=home) as client:
                token = client.token
            profile = Profile(
                uri=self.uri(MOM),
                home_uri=self.uri(home),
                username=f"{user}@{home}",
                password=self.password(user),
                token=token,
                expires_at=(datetime.now(UTC) + _TOKEN_LIFE).isoformat(timespec="seconds"),
                tls_root_certs=None,
                cluster=home,
            )
            write_profile(self.profile_file(user), profile)

    def profile_file(self, user: str) -> Path:
        """Return where a user's profile is."""
        return self.directory / "profiles" / f"{user}.json"

    def stop(self) -> None:
        """Stop every process; whatever does not stop by itself in time is killed."""
        for one in self.processes.values():
            if one.process.stdin is not None:
                one.process.stdin.close()
        deadline = time.monotonic() + _STOP_S
        for one in self.processes.values():
            try:
                one.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
            if one.process.stdout is not None:
                one.process.stdout.close()
        self.processes.clear()

    def _start_all(self) -> None:
        self._start(MOM, "flight_mom", ["--port", str(self.port)], {})
        with self.client(ADMIN, MOM, at=MOM) as admin:
            for name in MEMBERS:
                home = self.member_home(name)
                if Membership.load(home.directory) is None:
                    request = protocol.MembersRequest(action="add", cluster=name, hosts=(_HOST,))
                    join_federation(home, str(change_member(admin, request).join_token))
                route = protocol.MembersRequest(action="set", cluster=name, route="direct")
                change_member(admin, route)
                environment = {"FLIGHT_MEMBER_MOM__ADDRESS": self.uri(MOM)}
                self._start(name, "flight_member", ["--port", "0"], environment)
            self._wait_for_reports(admin)

    def _start(
        self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        prefix = "FLIGHT_MOM" if module == "flight_mom" else "FLIGHT_MEMBER"
        life_s = str(int(_TOKEN_LIFE.total_seconds()))
        demo = {
            f"{prefix}_AUTH__IDENTITY_TTL_S": life_s,
            f"{prefix}_AUTH__SESSION_TTL_S": life_s,
            f"{prefix}_HEARTBEAT__INTERVAL_S": str(self.heartbeat_s),
        }
        if module == "flight_mom":
            demo["FLIGHT_MOM_HEARTBEAT__COMMIT_S"] = str(_COMMIT_S)
        program = self.programs.get(module, module)
        command = [sys.executable, "-m", program, "serve", "--with-parent"]
        log: IO[bytes]
        with self._log_file(name).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  our own module, our own arguments
                [*command, "--dir", str(self.directory / name), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **demo, **environment},
            )
        self.processes[name] = Process(name, "", process)
        # One line says where it serves; the end of the stream says that it ended instead.
        line = process.stdout.readline().decode() if process.stdout is not None else ""
        if not line.startswith("serving "):
            process.wait()
            raise StartupError(f"{name} did not start; its log is {self._log_file(name)}")
        self.processes[name].uri = line.removeprefix("serving ").strip()

    def _wait_for_reports(self, admin: Client) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            self.check_alive()
            try:
                rows = admin.query("SHOW CLUSTERS").read_all().to_pylist()
            except RemoteError:
                rows = []
            reported = {
                row["cluster_name"]
                for row in rows
                if row["last_heartbeat_at"] and row["table_count"]
            }
            if reported.issuperset(MEMBERS):
                return
            if time.monotonic() > deadline:
                raise StartupError("the members did not report in time; see the logs")
            time.sleep(0.1)

    def _log_file(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _mom_settings(self) -> MomSettings:
        flags = {
            "cluster.name": MOM,
            "server.port": self.port,
            "state.directory": str(self.directory / MOM),
            "state.database": self.databases.get(MOM),
        }
        return load_settings(MomSettings, None, flags).settings
