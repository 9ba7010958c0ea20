"""Who asks for a statement, from where, and what stands for its text."""

from dataclasses import dataclass

from auth import Identity
from flight_sql import Call


@dataclass(frozen=True, slots=True)
class Asked:
    """One statement as the gates and the audit see it."""

    call: Call
    caller: Identity
    digest: str
