"""The audit of one server: refusals and changes at once, allowed reads a second behind at most."""

from collections.abc import Sequence

from auth import AuditRecord, AuditUnavailableError, AuditWriter
from auth.auditstore import AuditStore
from flight_member.logs import get_logger
from flight_member.statestore import Database

_log = get_logger(__name__)


class AuditTrail:
    """Where a server writes what it decided."""

    def __init__(self, database: Database, *, is_required: bool) -> None:
        """Start the batching writer.

        Args:
            database: Holds the audit log.
            is_required: Whether reads are refused when they cannot be audited.
        """
        self._database = database
        self._is_required = is_required
        self._writer = AuditWriter(self._write, is_required=is_required)

    def allow(self, record: AuditRecord) -> None:
        """Record an allowed read; written within a second."""
        self._writer.append(record)

    def refuse(self, record: AuditRecord) -> None:
        """Record a refusal; it is durable when this returns.

        Raises:
            AuditUnavailableError: When the audit is required and cannot be written; otherwise the
                refusal is given all the same, and the log says that its record is lost.
        """
        try:
            self._write([record])
        except Exception:  # noqa: BLE001  whatever failed: the refusal stands, unrecorded
            _log.exception("audit_write_failed", action=record.action, actor=record.actor)
        else:
            return
        if self._is_required:
            raise AuditUnavailableError("the audit log cannot be written; try again later")

    def close(self) -> None:
        """Write what is waiting and stop."""
        self._writer.close()

    def _write(self, records: Sequence[AuditRecord]) -> None:
        with self._database.change() as connection:
            AuditStore(connection).append_all(records)
