"""Changes of the MoM's own users: those of every cluster, and the tickets that die of them."""

from auth import Principal, Revocation
from flight_member.changing import Change
from flight_member.users import UserDesk


class MomUserDesk(UserDesk):
    """What `flight-mom user` does."""

    def note_departure(self, change: Change, principal: Principal) -> None:
        """Do nothing: the MoM's own tables are nobody's."""

    def note_change(self, change: Change, principal: Principal) -> None:
        """Revoke the user's tickets: members hear of it with their next heartbeat."""
        change.revocations.append(Revocation(change.grants.bump(), change.at, principal))
