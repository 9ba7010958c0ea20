"""The demo's story: who asks what, what comes back, and what should have come back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from rich.console import Console

from auth import seal_identity_token
from flight_member.terminal import print_arrow
from flight_mom.demo.data import FLIGHT_COUNT, QUOTE_COUNT
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_mom.momhome import ADMIN
from flight_sql import Client, RemoteError

FLIGHTS = f"aviation.nyc.flights@{HANGZHOU}"
_READER = f"user1@{SHANGHAI}"
_GRANT = f'grant("{_READER}", TABLE_READ, "{FLIGHTS}")'
_DENY = f"DENY SCHEMA_READ ON aviation.nyc@{HANGZHOU} TO {_READER}"
_UNDO = (
    f"REVOKE SCHEMA_READ ON aviation.nyc@{HANGZHOU} FROM {_READER}",
    f"REVOKE TABLE_READ ON {FLIGHTS} FROM {_READER}",
)
_FLIGHTS_BY_CARRIER = (
    "select carrier, count(*) as flights, round(avg(arr_delay), 1) as mean_delay "
    f"from {FLIGHTS} group by carrier order by flights desc, carrier"
)
_CARRIER_COUNT = 16


@dataclass(frozen=True)
class Step:
    """One statement of the story.

    `expected` is what the answer must satisfy: a code for a refusal, else a check of the rows
    that returns what differs, or an empty text.
    """

    title: str
    who: str
    at: str
    client: Client
    sql: str
    expected: str | Callable[[pa.Table], str]


class Story:
    """Plays the steps in order and remembers what differed."""

    def __init__(self, federation: DemoFederation, console: Console) -> None:
        self._federation = federation
        self._console = console
        self._first_answer: pa.Table | None = None
        self._differences: list[str] = []

    def play(self) -> Sequence[str]:
        """Play the whole story; returns what differed from what it should be."""
        federation = self._federation
        with (
            federation.client("user1", SHANGHAI, at=MOM) as at_mom,
            federation.client("user1", SHANGHAI, at=SHANGHAI) as at_home,
            federation.client(ADMIN, MOM, at=MOM) as admin,
            Client(federation.uri(MOM), token=_forged(str(at_home.token))) as forged,
            Client(federation.uri(MOM), token=self._expired()) as expired,
        ):
            for statement in _UNDO:
                admin.update(statement)
            steps = [
                *self._reading(at_mom, at_home, admin),
                *_refusals(at_mom, admin, forged, expired),
            ]
            for number, step in enumerate(steps, 1):
                self._tell(number, len(steps), step)
        return self._differences

    def _reading(self, at_mom: Client, at_home: Client, admin: Client) -> list[Step]:
        home_count = "select count(*) as quotes from trading.stock.quote"
        return [
            Step("A home table, at home", _READER, "home", at_home, home_count, _counts_quotes),
            Step(
                "Another cluster's table: for them it does not exist",
                *(_READER, "the MoM", at_mom, _FLIGHTS_BY_CARRIER, "not-found"),
            ),
            Step("The administrator grants it", _admin(), "the MoM", admin, _GRANT, _is_done),
            Step(
                "The same statement answers",
                *(_READER, "the MoM", at_mom, _FLIGHTS_BY_CARRIER, self._remember_flights),
            ),
            Step(
                "And it answers alike when asked at home",
                *(_READER, "home", at_home, _FLIGHTS_BY_CARRIER, self._same_flights),
            ),
            Step("A DENY on the schema", _admin(), "the MoM", admin, _DENY, _is_done),
            Step(
                "stops it",
                *(_READER, "the MoM", at_mom, _FLIGHTS_BY_CARRIER, "not-found"),
            ),
            Step("The DENY is revoked", _admin(), "the MoM", admin, _UNDO[0], _is_done),
            Step(
                "and it answers again",
                *(_READER, "the MoM", at_mom, _FLIGHTS_BY_CARRIER, self._same_flights),
            ),
        ]

    def _tell(self, number: int, count: int, step: Step) -> None:
        show = self._console.print
        show(f"\n[bold]{number}/{count} {step.title}[/bold]", highlight=False)
        show(f"{step.who} at {step.at}:", style="cyan", highlight=False)
        show(f"  {step.sql}", markup=False, highlight=False, soft_wrap=True)
        try:
            table = step.client.query(step.sql).read_all()
        except RemoteError as error:
            code = error.code
            show(f"  refused: {error}", style="yellow", markup=False, highlight=False)
            difference = "" if step.expected == code else f"refused with {code}"
        else:
            print_arrow(table.slice(0, 5), as_json=False)
            if table.num_rows > 5:  # noqa: PLR2004  as many as are shown
                show(f"  … {table.num_rows} rows", style="dim", highlight=False)
            difference = "answered" if isinstance(step.expected, str) else step.expected(table)
        if difference:
            wanted = step.expected if isinstance(step.expected, str) else "rows"
            self._differences.append(f"step {number}: {difference}; expected {wanted}")
            show(f"  differs: {self._differences[-1]}", style="bold red", markup=False)

    def _remember_flights(self, table: pa.Table) -> str:
        self._first_answer = table
        total = sum(table["flights"].to_pylist())
        if table.num_rows != _CARRIER_COUNT or total != FLIGHT_COUNT:
            return f"{table.num_rows} carriers with {total} flights"
        return ""

    def _same_flights(self, table: pa.Table) -> str:
        is_same = self._first_answer is not None and table.equals(self._first_answer)
        return "" if is_same else "other rows than the first time"

    def _expired(self) -> str:
        """Return a token that the home cluster really signed, for an hour that is over."""
        key = self._federation.member_home(SHANGHAI).load_key()
        earlier = datetime.now(UTC) - timedelta(hours=2)
        return seal_identity_token("user1", (), key, issuer=SHANGHAI, now=earlier, ttl_s=3600)


def _refusals(at_mom: Client, admin: Client, forged: Client, expired: Client) -> list[Step]:
    del admin
    quotes = f"trading.stock.quote@{SHANGHAI}"
    join = f"select a.carrier from {FLIGHTS} a join {FLIGHTS} b on a.tailnum = b.tailnum"
    union = f"select carrier from {FLIGHTS} union all select symbol from {quotes}"
    insert = f"insert into {FLIGHTS} select * from {FLIGHTS}"
    count = f"select count(*) from {FLIGHTS}"
    return [
        Step("A join is refused", _READER, "the MoM", at_mom, join, "join-not-supported"),
        Step(
            "Two clusters in one statement are refused",
            *(_READER, "the MoM", at_mom, union, "multi-cluster-query"),
        ),
        Step(
            "Writing across clusters is refused",
            *(_READER, "the MoM", at_mom, insert, "cross-cluster-read-only"),
        ),
        Step("A forged token is refused", "nobody", "the MoM", forged, count, "invalid-token"),
        Step("An expired token is refused", _READER, "the MoM", expired, count, "expired-token"),
    ]


def _admin() -> str:
    return f"{ADMIN}@{MOM}"


def _counts_quotes(table: pa.Table) -> str:
    counted = table["quotes"].to_pylist()
    return "" if counted == [QUOTE_COUNT] else f"counted {counted}"


def _is_done(table: pa.Table) -> str:
    rows = table.to_pylist()
    is_done = len(rows) == 1 and rows[0]["status"] in {"granted", "denied", "revoked 1"}
    return "" if is_done else f"answered {rows}"


def _forged(token: str) -> str:
    """Return a token with one character of its signature changed."""
    at = token.rindex(".") + 10
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
