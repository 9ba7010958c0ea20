"""Changes of a cluster's own users and groups, each inside a transaction with its audit rows.

Who asks for one, at the terminal or by a statement, is another matter: see `users` and
`homeusers`.
"""

from collections.abc import Iterable

from auth import AlreadyExistsError, NotFoundError, Principal
from flight_member.changing import Change


def forget_user(change: Change, user: Principal) -> None:
    """Forget a user, and what was allowed to them; denials stay by name.

    Raises:
        NotFoundError: When there is no such user.
    """
    change.users.remove(user.name)
    change.record("remove user", user)
    _end_allows(change, user)


def disown_user(change: Change, user: Principal) -> None:
    """Take from a user who is gone what they own, lest whoever gets the name next has it."""
    for name in change.owners.disown(str(user)):
        change.record("change owner", name, rule=f"{user} was removed: its administrators' now")


def make_group(change: Change, group: Principal) -> None:
    """Make a group without members.

    Raises:
        AlreadyExistsError: When there is one of that name.
    """
    if _is_group(change, group.name):
        raise AlreadyExistsError(f"there is {group} already")
    change.groups.add(group.name)
    change.record("create group", group)


def drop_group(change: Change, group: Principal) -> None:
    """Forget a group, and what was allowed to it; who was in it signs in again.

    Raises:
        NotFoundError: When there is none of that name.
    """
    if not _is_group(change, group.name):
        raise NotFoundError(f"{group} does not exist")
    for user in change.users.all():
        if group.name in user.groups:
            change.users.set_groups(user.name, user.groups - {group.name}, now=change.at)
    change.groups.remove(group.name)
    change.record("drop group", group)
    _end_allows(change, group)


def regroup(
    change: Change, user: Principal, groups: Iterable[Principal], *, is_added: bool
) -> list[str]:
    """Put a user into groups or take them out; they sign in again if that changes anything.

    Returns:
        What came of each.

    Raises:
        NotFoundError: When there is no such user or group.
    """
    found = change.users.find(user.name)
    if found is None:
        raise NotFoundError(f"{user} does not exist")
    groups = tuple(groups)
    for group in groups:
        if not _is_group(change, group.name):
            raise NotFoundError(f"{group} does not exist; make it with CREATE GROUP {group.name}")
    outcomes, now_in = [], found.groups
    for group in groups:
        is_in = group.name in now_in
        if is_in is is_added:
            outcomes.append("is a member already" if is_added else "is no member")
            continue
        now_in = now_in | {group.name} if is_added else now_in - {group.name}
        outcomes.append("added" if is_added else "removed")
        action = "add to group" if is_added else "remove from group"
        change.record(action, group, rule=f"{user}: {outcomes[-1]}")
    if now_in != found.groups:
        change.users.set_groups(user.name, now_in, now=change.at)
    return outcomes


def _is_group(change: Change, name: str) -> bool:
    return name in change.groups.all() or any(name in one.groups for one in change.users.all())


def _end_allows(change: Change, principal: Principal) -> None:
    for grant in change.grants.remove_allows_to(principal):
        change.record(
            "revoke", grant.securable, rule=f"{grant}: removed", epoch=change.grants.epoch()
        )
