"""What joining a federation leaves behind at a member, and the loop that keeps it alive."""

import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from auth import InvalidTokenError, PublicKey, RotatingKey
from flight_member import protocol
from flight_member.errors import ConfigurationError
from flight_member.leadership import Leadership
from flight_member.logs import get_logger
from flight_member.memberstate import MemberState
from flight_member.noderow import NodeRow
from flight_member.profiles import write_private
from flight_member.revocationlog import RevocationLog
from flight_member.sampling import NodeSampler
from flight_sql import RemoteError

_log = get_logger(__name__)
_FILE = "membership.json"
_WATCH_S = 0.25
# Less than a MoM that was away waits for members before it takes them for dead.
_LONGEST_PAUSE_S = 10.0


class Membership(BaseModel):
    """The federation that a member belongs to: public facts, kept beside its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    federation: str
    mom: str
    uri: str
    mom_keys: tuple[str, ...]
    ca_certificate: str
    named: tuple[str, ...] = ()
    """Further addresses that the settings name."""
    learned: tuple[str, ...] = ()
    """Where the MoM's replicas answer, as one of them told."""

    def is_of_one_join(self, other: Self) -> bool:
        """Whether the two differ in nothing but what was heard of the MoM since."""
        heard = {"mom_keys": other.mom_keys, "learned": other.learned}
        return self.model_copy(update=heard) == other

    @property
    def uris(self) -> tuple[str, ...]:
        """Where the MoM is asked, in this order; encrypted all of them, or none."""
        is_tls = self.uri.startswith("grpc+tls")
        others = (*self.named, *self.learned)
        fitting = (uri for uri in others if uri.startswith("grpc+tls") == is_tls)
        return tuple(dict.fromkeys((self.uri, *fitting)))

    @property
    def tls_root_certs(self) -> bytes | None:
        """What the MoM's certificate is checked with, or None for plaintext on loopback."""
        return self.ca_certificate.encode() if self.uri.startswith("grpc+tls") else None

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """Read the membership of a state directory; None before the member has joined.

        Raises:
            ConfigurationError: When the file is there but unusable.
        """
        file = directory / _FILE
        try:
            return cls.model_validate_json(file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise ConfigurationError([f"{file}: not a membership; join again"]) from None

    def save(self, directory: Path) -> None:
        """Write the membership, replacing an older one at once."""
        kept = self.model_dump(exclude={"named"}, exclude_defaults=True)
        write_private(directory / _FILE, json.dumps(kept, indent=2) + "\n")


def _nothing(*_told: object) -> None:
    """Tell nobody."""


def pause_after(failures: int, interval_s: float) -> float:
    """Return how long to wait after so many beats in a row that did not get through.

    Longer each time, up to ten seconds, and never the same for two members: those that lost the
    MoM together do not come back together.
    """
    longer: int = 2 ** min(failures - 1, 6)
    pause_s = min(interval_s * longer, _LONGEST_PAUSE_S)
    return pause_s * random.uniform(0.5, 1.0)  # noqa: S311  scatter, not secrecy


class Heart:
    """Beats every interval, and at once when there is something new to report.

    The MoM's being away changes nothing for the member's own users: the heart goes on trying,
    with pauses that grow and scatter, so that a thousand members do not come back at once.
    """

    def __init__(
        self,
        *,
        leadership: Leadership,
        uri: str,
        key: RotatingKey,
        interval_s: float,
        state: MemberState,
        revoked: RevocationLog,
        sampler: NodeSampler,
        send: Callable[[str, bytes], bytes],
        is_joined: Callable[[], bool],
        learned: Callable[[protocol.HeartbeatReply], None],
        rescan: Callable[[], bool],
        nodes: Callable[[], tuple[NodeRow, ...]] = tuple,
        heard: Callable[[int, tuple[PublicKey, ...]], object] = _nothing,
        disowned: Callable[[], object] = _nothing,
    ) -> None:
        """Keep what a beat needs.

        Args:
            leadership: Only the leader beats.
            uri: Where this member answers.
            key: Its keys are published; a new one signs once the MoM knows it.
            interval_s: Seconds between beats.
            state: What is reported.
            revoked: Told what the MoM took back.
            sampler: Measures this node.
            send: Sends one action to the MoM.
            is_joined: Whether there is a MoM to report to.
            learned: Told each reply: it names the MoM's public keys and addresses.
            rescan: Looks for changed files of external tables; returns whether there were any.
            nodes: Returns the rows of the cluster's other nodes.
            heard: Told the MoM's epoch, and which keys it knows, when it has answered.
            disowned: Told when the MoM knows this member no more.
        """
        self._leadership = leadership
        self._uri = uri
        self._key = key
        self._interval_s = interval_s
        self._state = state
        self._revoked = revoked
        self._sampler = sampler
        self._send = send
        self._is_joined = is_joined
        self._learned = learned
        self._rescan = rescan
        self._nodes = nodes
        self._heard = heard
        self._disowned = disowned
        self._reported = ""
        self._beating = threading.Lock()
        self._stopping = threading.Event()
        self._hurrying = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating; returns when the last beat is over."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def hurry(self) -> None:
        """Beat as soon as possible, whatever pause there was to be."""
        self._hurrying.set()

    def tell_news(self) -> None:
        """Have the MoM know the present state before this returns, if it answers.

        Who was added a moment ago is then known there when they sign in.
        """
        if not self._leadership.is_leader or self._state.report.version == self._reported:
            return
        try:
            self.beat()
        except Exception as error:  # noqa: BLE001  the next beat may succeed
            _log.warning("news_not_told", code=str(getattr(error, "code", type(error).__name__)))

    def beat(self) -> None:
        """Report once, and the whole state when the MoM has another."""
        with self._beating:
            self._beat()

    def _beat(self) -> None:
        report = self._state.report
        published = self._key.published
        heartbeat = protocol.Heartbeat(
            uri=self._uri,
            nodes=(self._sampler.sample(), *self._nodes()),
            report_version=report.version,
            read_at=report.read_at or 0.0,
            policy_epoch=self._revoked.epoch,
            public_keys=tuple(key.to_text() for key in published),
            leader_number=self._leadership.number,
        )
        sent_s = time.monotonic()
        reply = protocol.HeartbeatReply.read(self._send(protocol.HEARTBEAT, heartbeat.write()))
        self._sampler.note_latency(time.monotonic() - sent_s)
        self._key.acknowledge(published)
        self._revoked.learn(reply.revocations, reply.policy_epoch)
        self._heard(reply.policy_epoch, published)
        self._learned(reply)
        if reply.wants_report:
            told = report.model_copy(update={"leader_number": heartbeat.leader_number})
            self._send(protocol.REPORT, told.write())
            _log.info("reported", version=report.version)
        self._reported = report.version

    def _run(self) -> None:
        due_s, since_beat_s, failures = 0.0, 0.0, 0
        while not self._stopping.is_set():
            try:
                is_new = self._state.report.version != self._reported
                if not self._leadership.is_leader:
                    # What was reported meanwhile is another's word; this one's is due at once.
                    due_s, failures = 0.0, 0
                    self._hurrying.wait(_WATCH_S)
                    self._hurrying.clear()
                    continue
                if self._hurrying.is_set():
                    self._hurrying.clear()
                    due_s = 0.0
                if since_beat_s >= due_s or (is_new and self._is_joined() and not failures):
                    since_beat_s = 0.0
                    with self._leadership.leading():
                        if self._rescan():
                            self._state.refresh()
                    if self._is_joined():
                        self.beat()
                    due_s, failures = self._interval_s, 0
            except Exception as error:  # noqa: BLE001  whatever it was, the heart goes on
                failures += 1
                if isinstance(error, RemoteError) and error.code == InvalidTokenError.code:
                    # The MoM knows this member's key no more.
                    self._revoked.disown()
                    self._disowned()
                due_s = pause_after(failures, self._interval_s)
                _log.warning(
                    "heartbeat_failed",
                    code=str(getattr(error, "code", type(error).__name__)),
                    again_in_s=round(due_s, 1),
                )
            self._stopping.wait(_WATCH_S)
            since_beat_s += _WATCH_S
