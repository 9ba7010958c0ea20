"""A user who comes and goes while the federation runs."""

from dataclasses import dataclass
from pathlib import Path

from flight_mom.demo.federation import MOM, DemoFederation
from flight_sql import Client
from tests.e2e.commands import try_member, try_mom

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class TerminalUser:
    """One user, and the terminal of their cluster."""

    federation: DemoFederation
    name: str
    cluster: str
    secrets: Path

    @property
    def full_name(self) -> str:
        return f"{self.name}@{self.cluster}"

    def run(self, command: str, *arguments: str) -> str:
        """Run `user …` for this user at their cluster's terminal."""
        run = try_mom if self.cluster == MOM else try_member
        directory = str(self.federation.directory / self.cluster)
        done = run("user", command, self.name, *arguments, "--dir", directory)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add(self, *arguments: str) -> None:
        self.run("add", "--password-file", str(self.secret(PASSWORD)), *arguments)

    def change(self, change: str) -> None:
        arguments = {
            "groups": ("others",),
            "password": ("--password-file", str(self.secret("another password"))),
        }.get(change, ())
        self.run(change, *arguments)

    def secret(self, password: str) -> Path:
        file = self.secrets / "password"
        file.write_text(password + "\n")
        return file

    def client(self, at: str, password: str = PASSWORD) -> Client:
        client = Client(self.federation.uri(at))
        client.sign_in(self.full_name, password)
        return client
