"""What is written down about a decision or an administrative act."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Who did what, from where, to what, whether it was allowed and by which rule.

    Statements appear as digests; passwords and tokens never.
    """

    at: datetime
    actor: str
    """`user1@shanghai`, or what was typed where nobody is known yet."""
    source: str
    """The address it came from."""
    action: str
    object: str = ""
    allowed: bool
    rule: str = ""
    epoch: int = 0
    ticket_id: str = ""
    statement_digest: str = ""
    detail: str = ""
