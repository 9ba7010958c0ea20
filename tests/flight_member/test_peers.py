from collections.abc import Iterator
from pathlib import Path

import pytest

from auth import KeyRing, RotatingKey, SigningKey, rotate
from flight_member.clock import utc_now
from flight_member.peers import Peers
from flight_member.peerstore import PeerStore, metadata
from flight_member.statestore import Database
from tests.databases import state_url
from tests.flight_member.test_statestore import OWNER

CLUSTER = "headquarters"


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Database]:
    database = Database(state_url(tmp_path), OWNER, metadata)
    yield database
    database.close()


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Server:
    def __init__(self, database: Database, directory: Path, name: str) -> None:
        self.name = name
        self.directory = directory / name
        self.directory.mkdir()
        SigningKey.generate().save(self.directory / "signing.key")
        self.key = RotatingKey(self.directory, utc_now)
        self.ticks = Ticks()
        self.peers = Peers(database, name, "replica", self.key, self.ticks, is_shared=True)

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1/{self.name}"

    @property
    def kids(self) -> set[str]:
        return {key.kid for key in self.key.ring(CLUSTER).keys_of(CLUSTER)}


@pytest.fixture
def pair(shared: Database, tmp_path: Path) -> tuple[Server, Server]:
    one, other = Server(shared, tmp_path, "one"), Server(shared, tmp_path, "other")
    for server in (one, other):
        server.peers.start(server.uri)
    one.peers.look()
    return one, other


def test_keys_of_all_servers_count_at_each(pair: tuple[Server, Server]) -> None:
    one, other = pair
    assert one.kids == other.kids == {one.key.kid, other.key.kid}
    assert {key.kid for key in one.key.published} == one.kids
    assert one.key.published[0].kid == one.key.kid
    assert [peer.uri for peer in one.peers.live] == [other.uri]


def test_key_is_joined_once_and_the_ring_stays_one_object(pair: tuple[Server, Server]) -> None:
    one, _ = pair
    ring = one.key.ring(CLUSTER)
    assert not one.peers.look()
    assert one.key.ring(CLUSTER) is ring


def test_next_key_of_one_is_known_at_the_other_before_it_signs(
    pair: tuple[Server, Server],
) -> None:
    one, other = pair
    now = utc_now()
    rotate(one.directory, now, overlap=now - now, signs_from=None)
    one.key.notice()
    one.peers.look()
    assert other.peers.look()
    coming = one.key.chain.coming
    assert coming is not None
    assert other.kids == {one.key.kid, coming.key.kid, other.key.kid}
    one.key.acknowledge(other.key.published)
    one.peers.look()
    assert other.peers.look()
    # No overlap: what the key before signed counts no more, here and there.
    assert other.kids == {coming.key.kid, other.key.kid} == one.kids


def test_server_that_was_removed_counts_no_more(
    pair: tuple[Server, Server], shared: Database
) -> None:
    one, other = pair
    with shared.change() as connection:
        assert PeerStore(connection).remove(other.name)
        assert not PeerStore(connection).remove(other.name)
    assert one.peers.look()
    assert one.kids == {one.key.kid}
    assert one.peers.others == ()
    # It does not write itself down again.
    other.ticks.now += 60
    other.peers.look()
    assert other.peers.is_removed
    assert not one.peers.is_removed
    assert one.peers.look() is False


def test_silent_server_is_not_live_but_its_signatures_count(pair: tuple[Server, Server]) -> None:
    one, other = pair
    # This server has not read the rows for a while: it knows nothing of the others' life.
    one.ticks.now += 60
    assert one.peers.live == ()
    assert other.key.kid in one.kids


def test_server_gone_for_a_month_is_forgotten(
    pair: tuple[Server, Server], shared: Database
) -> None:
    one, other = pair
    with shared.change() as connection:
        PeerStore(connection).forget_silent(86_400)
    one.peers.look()
    assert [peer.name for peer in one.peers.all] == [one.name, other.name]
    with shared.change() as connection:
        PeerStore(connection).forget_silent(-1)
    one.peers.look()
    assert not one.peers.all


def test_first_server_signs_at_once_and_others_when_they_are_known(
    shared: Database, tmp_path: Path
) -> None:
    one = Server(shared, tmp_path, "one")
    one.peers.publish()
    assert one.peers.unpublished_s(15) == 0
    other = Server(shared, tmp_path, "other")
    assert other.peers.unpublished_s(15) == 15
    other.peers.publish()
    assert 0 < other.peers.unpublished_s(15) <= 15
    assert other.peers.unpublished_s(0) == 0


def test_alone_nothing_is_written(shared: Database, tmp_path: Path) -> None:
    key_home = Server(shared, tmp_path, "one")
    alone = Peers(shared, "one", "replica", key_home.key, is_shared=False)
    alone.start("grpc://127.0.0.1:1")
    alone.publish()
    with shared.read() as connection:
        assert PeerStore(connection).all() == []
    assert isinstance(key_home.key.ring(CLUSTER), KeyRing)
    assert alone.unpublished_s(15) == 0
