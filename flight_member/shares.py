"""How the places of one server are shared out: how many each user and each cluster holds.

Pure: it counts and compares. One user gets no more than their share, nor do all users of another
cluster together, so that what somebody sends at once leaves places for everybody else.
"""

from collections import Counter

from flight_member.settings import LimitsSection


class Shares:
    """How many places are held, by whom."""

    def __init__(self, limits: LimitsSection, cluster: str) -> None:
        """Begin with none.

        Args:
            limits: How many there are.
            cluster: Whose server it is: all places are for its own users.
        """
        self._limits = limits
        self._cluster = cluster
        self._users: Counter[str] = Counter()
        self._clusters: Counter[str] = Counter()
        self.total = 0

    def add(self, user: str) -> None:
        """Count a place for `user1@shanghai`."""
        self.total += 1
        self._users[user] += 1
        self._clusters[_cluster_of(user)] += 1

    def remove(self, user: str) -> None:
        """Count it no longer."""
        self.total -= 1
        for counts, name in ((self._users, user), (self._clusters, _cluster_of(user))):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]

    def of(self, user: str) -> int:
        """Return how many a user holds."""
        return self._users[user]

    def obstacle(self, user: str) -> str:
        """Return what a user has no place for, as part of a sentence; nothing if they have one."""
        limits, cluster = self._limits, _cluster_of(user)
        if self.total >= limits.max_running:
            return f"{self.total} statements run here"
        if self._users[user] >= limits.max_running_per_user:
            return f"{self._users[user]} of your statements run here"
        is_foreign = cluster != self._cluster
        if is_foreign and self._clusters[cluster] >= limits.max_running_per_cluster:
            return f"{self._clusters[cluster]} statements of {cluster} run here"
        return ""


def _cluster_of(user: str) -> str:
    return user.rpartition("@")[2]
