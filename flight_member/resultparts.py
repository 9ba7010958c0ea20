"""Results that are fetched in parts, each from a node of its own, and where each part is read.

Any node can read any part. Each is read at the node that it is called after, as long as that one
answers: so that one that comes or goes changes which files the others read as little as can be.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from auth import Ticket
from flight_member.querytickets import can_be_shared
from flight_member.routing import AskedRoute, asked_route
from flight_sql import REUSE_CONNECTION, Call
from planner import Plan
from storage.metastore import Table


def is_shared(call: Call, plan: Plan, tables: Sequence[Table]) -> bool:
    """Whether a result is handed out in parts, where there are several nodes.

    Args:
        call: Who asks for it with `x-route: parallel`.
        plan: The statement's.
        tables: What it reads.
    """
    return asked_route(call) is AskedRoute.PARALLEL and can_be_shared(plan, tables)


def part_of(ticket: Ticket) -> str | None:
    """Return the name of the part that a ticket is for; None for the whole result."""
    return None if ticket.shard is None else ticket.shard.names[ticket.shard.part]


def parts_of(places: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return where each part is read when every place reads one; see `part_locations`."""
    return {name: part_locations(name, places) for name in places}


def part_locations(part: str, places: Mapping[str, str]) -> tuple[str, ...]:
    """Return where a part is read, the best place first.

    Args:
        part: The name of the part: that of a node, which may be gone.
        places: Where rows can be read, by the names of the nodes.
    """
    names = sorted(places)
    # Each part goes on to another node where its own is gone.
    start = bisect_left(names, part)
    ordered = (*names[start:], *names[:start])
    return tuple(dict.fromkeys((*(places[name] for name in ordered), REUSE_CONNECTION)))
