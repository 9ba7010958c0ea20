"""Sessions that count from one address: over replicas, restarts, renewals and proxies."""

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from auth import Identity, InvalidTokenError, SessionToken
from auth.bindingstore import BindingStore
from flight_mom.binding import AddressBinding
from flight_sql import Call
from tests.flight_member.factories import NOW, Clock, make_identity
from tests.flight_mom.factories import Mom
from tests.flight_mom.test_signin import PASSWORD, Gate

HERE, THERE = Call(peer="ipv4:10.0.0.7:40000"), Call(peer="ipv4:10.0.0.8:40000")


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Gate]:
    """The sign-in of a MoM that binds sessions, and believes one proxy."""
    mom = Mom(tmp_path / "mom", auth__bind_address=True, auth__trusted_proxies=["10.0.0.1"])
    gate = Gate(mom)
    yield gate
    gate.relay.close()
    gate.audit.close()
    mom.database.close()


def make_session(token_id: str = "t1", address: str | None = None) -> SessionToken:
    identity = make_identity()
    identity = Identity(
        user=identity.user,
        cluster=identity.cluster,
        groups=identity.groups,
        is_admin=False,
        token_id=token_id,
        issued_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    return SessionToken(identity, NOW, NOW, address)


def replica(mom: Mom) -> AddressBinding:
    return AddressBinding(mom.database, ("10.0.0.1",), mom.clock)


def test_first_address_stays_and_every_replica_knows_it(mom: Mom) -> None:
    one, other = replica(mom), replica(mom)
    one.check(make_session(), HERE)
    for binding in (one, other):
        binding.check(make_session(), HERE)
        with pytest.raises(InvalidTokenError, match="another address"):
            binding.check(make_session(), THERE)
    other.check(make_session("t2"), THERE)


def test_session_that_carries_its_address_needs_no_record(mom: Mom) -> None:
    replica(mom).check(make_session(address="10.0.0.7"), HERE)
    with pytest.raises(InvalidTokenError):
        replica(mom).check(make_session(address="10.0.0.7"), THERE)
    with mom.database.read() as connection:
        assert BindingStore(connection).find("t1") is None


def test_of_many_who_use_a_session_first_at_once_one_address_wins(mom: Mom) -> None:
    outcomes: list[str] = []

    def use(number: int) -> None:
        try:
            replica(mom).check(make_session(), Call(peer=f"ipv4:10.0.1.{number}:1"))
            outcomes.append("bound")
        except InvalidTokenError:
            outcomes.append("refused")

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["bound", *["refused"] * 5]


def test_what_has_expired_is_forgotten(mom: Mom) -> None:
    replica(mom).check(make_session(), HERE)
    mom.clock.move(2 * 3600)
    replica(mom).check(make_session("t2"), HERE)
    with mom.database.read() as connection:
        assert BindingStore(connection).find("t1") is None


def test_address_behind_a_trusted_proxy_is_the_clients(mom: Mom) -> None:
    binding = replica(mom)
    proxied = Call(peer="ipv4:10.0.0.1:5", headers={"x-forwarded-for": "192.0.2.4"})
    binding.check(make_session(), proxied)
    with pytest.raises(InvalidTokenError):
        binding.check(
            make_session(), Call(peer="ipv4:10.0.0.1:5", headers={"x-forwarded-for": "192.0.2.5"})
        )
    with pytest.raises(InvalidTokenError):
        binding.check(make_session(), Call(peer=THERE.peer, headers=proxied.headers))


def test_renewed_session_is_bound_as_the_old_one_was(bound: Gate) -> None:
    token = bound.authority.sign_in("auditor", PASSWORD, HERE)
    identity = bound.authority.authenticate(token, "")
    bound.clock.move(2000)
    # Not before it is known where it counts.
    assert bound.authority.renew(token, identity) is None
    bound.authority.confirm(Call(identity=identity, bearer=token, peer=HERE.peer))
    fresh = bound.authority.renew(token, identity)
    assert fresh is not None
    assert bound.session(fresh).address == "10.0.0.7"
    renewed = bound.authority.authenticate(fresh, "")
    bound.authority.confirm(Call(identity=renewed, bearer=fresh, peer=HERE.peer))
    with pytest.raises(InvalidTokenError):
        bound.authority.confirm(Call(identity=renewed, bearer=fresh, peer=THERE.peer))


def test_binding_outlives_the_process(bound: Gate) -> None:
    token = bound.authority.sign_in("auditor", PASSWORD, HERE)
    identity = bound.authority.authenticate(token, "")
    bound.authority.confirm(Call(identity=identity, bearer=token, peer=HERE.peer))
    with closing(bound.mom.home.open_database()) as database:
        binding = AddressBinding(database, (), Clock(NOW))
        with pytest.raises(InvalidTokenError):
            binding.check(bound.session(token), THERE)


def test_without_the_setting_a_session_counts_from_anywhere(mom: Mom) -> None:
    gate = Gate(mom)
    token = gate.authority.sign_in("auditor", PASSWORD, HERE)
    identity = gate.authority.authenticate(token, "")
    for call in (HERE, THERE):
        gate.authority.confirm(Call(identity=identity, bearer=token, peer=call.peer))
    gate.relay.close()
    gate.audit.close()
