import pytest

from auth import (
    Principal,
    Revocation,
    RevocationSet,
    RevokedTicketError,
    RevokedTokenError,
)
from storage.names import ObjectName
from tests.auth.factories import NOW, later, make_identity, make_ticket


def revoke(
    principal: str | None = None, securable: str | None = None, epoch: int = 18, at: float = 0
) -> Revocation:
    return Revocation(
        epoch=epoch,
        at=later(at),
        principal=Principal.parse(principal) if principal else None,
        securable=ObjectName.parse(securable) if securable else None,
    )


@pytest.mark.parametrize(
    "principal, securable, kills",
    [
        ("user1@shanghai", None, True),
        ("GROUP analysts@shanghai", None, True),
        (None, "trading.stock.quote@hangzhou", True),
        (None, "trading.stock@hangzhou", True),
        (None, "*@hangzhou", True),
        ("user1@shanghai", "trading@hangzhou", True),
        ("user2@shanghai", None, False),
        ("user1@beijing", None, False),
        ("GROUP others@shanghai", None, False),
        ("GROUP analysts@beijing", None, False),
        (None, "trading.stock.trade@hangzhou", False),
        (None, "*@beijing", False),
        ("user1@shanghai", "trading.bond@hangzhou", False),
        ("user2@shanghai", "trading.stock.quote@hangzhou", False),
    ],
)
def test_a_ticket_dies_when_a_later_revocation_touches_its_caller_or_a_table(
    principal: str | None, securable: str | None, kills: bool
) -> None:
    ticket = make_ticket(epoch=17)
    revoked = RevocationSet([revoke(principal, securable, epoch=18)])
    if kills:
        with pytest.raises(RevokedTicketError):
            revoked.check_ticket(ticket)
    else:
        revoked.check_ticket(ticket)
    RevocationSet([revoke(principal, securable, epoch=17)]).check_ticket(ticket)


def test_every_later_revocation_counts_and_not_only_the_newest() -> None:
    revoked = RevocationSet(
        [revoke("user2@shanghai", epoch=30), revoke("user1@shanghai", epoch=18)]
    )
    with pytest.raises(RevokedTicketError):
        revoked.check_ticket(make_ticket(epoch=17))
    revoked.check_ticket(make_ticket(epoch=18))


def test_a_group_of_the_federation_counts_for_those_who_were_in_it() -> None:
    revoked = RevocationSet([revoke("GROUP traders", "trading.stock@hangzhou")])
    trader = make_ticket(mom_groups=frozenset({"traders"}))
    with pytest.raises(RevokedTicketError):
        revoked.check_ticket(trader)
    revoked.check_ticket(make_ticket())
    revoked.check_ticket(make_ticket(mom_groups=frozenset({"brokers"})))
    RevocationSet([revoke("GROUP traders", "*@beijing")]).check_ticket(trader)


def test_a_token_dies_when_its_user_changes_at_or_after_its_issue() -> None:
    identity = make_identity(issued_at=NOW)
    for at in (0, 1):
        with pytest.raises(RevokedTokenError):
            RevocationSet([revoke("user1@shanghai", at=at)]).check_identity(identity)
    RevocationSet([revoke("user1@shanghai", at=-1)]).check_identity(identity)
    RevocationSet([revoke("user2@shanghai", at=1)]).check_identity(identity)
    RevocationSet([revoke("user1@shanghai", "*@hangzhou", at=1)]).check_identity(identity)


def test_the_newest_change_of_a_user_counts_whatever_their_order() -> None:
    both = [revoke("user1@shanghai", at=10, epoch=1), revoke("user1@shanghai", at=-10, epoch=2)]
    for revoked in (RevocationSet(both), RevocationSet(both[::-1])):
        with pytest.raises(RevokedTokenError):
            revoked.check_identity(make_identity(issued_at=later(5)))


def test_revocations_are_handed_on_since_an_epoch_and_forgotten_by_time() -> None:
    old, new = revoke("user1@shanghai", epoch=5, at=-100), revoke("user2@shanghai", epoch=6)
    revoked = RevocationSet([new]).with_more([old, new])
    assert list(revoked) == [old, new]
    assert revoked.since(4) == (old, new)
    assert revoked.since(5) == (new,)
    assert revoked.since(6) == ()
    assert list(revoked.with_more([], forget_before=NOW)) == [new]
    assert len(revoked) == 2


def test_a_revocation_names_something() -> None:
    with pytest.raises(ValueError, match="principal or a securable"):
        Revocation(1, NOW)
