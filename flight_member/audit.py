"""The audit of one server: refusals and changes at once, allowed reads a second behind at most.

Once an hour, and when it starts and stops, the server notes the newest row in its log (the event
`audit_head`): what was noted elsewhere proves later that nothing before it was changed. Then, too,
records older than the setting are forgotten.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from auth import AuditRecord, AuditUnavailableError, AuditWriter
from auth.auditstore import AuditStore
from flight_member.clock import Moment
from flight_member.logs import get_logger
from flight_member.settings import AuditSection
from flight_member.statestore import Database

_log = get_logger(__name__)
_KEEPING_INTERVAL_S = 3600.0
_CLOSE_TIMEOUT_S = 5.0


class AuditTrail:
    """Where a server writes what it decided."""

    def __init__(
        self,
        cluster: str,
        database: Database,
        settings: AuditSection,
        now: Moment,
        *,
        keeping_interval_s: float = _KEEPING_INTERVAL_S,
        is_keeper: Callable[[], bool] = lambda: True,
    ) -> None:
        """Start the batching writer, and what looks after the log.

        Args:
            cluster: Whose log this is.
            database: Holds the audit log.
            settings: Whether it is required, and how long it is kept.
            now: The clock.
            keeping_interval_s: Seconds between two looks after the log.
            is_keeper: Whether it is this server that forgets what is too old, of those over the
                database.
        """
        self._is_keeper = is_keeper
        self._cluster = cluster
        self._database = database
        self._settings = settings
        self._now = now
        self._writer = AuditWriter(self._write, is_required=settings.required)
        self._interval_s = keeping_interval_s
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="audit-keeper", daemon=True)
        self._keeper.start()

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
        if self._settings.required:
            raise AuditUnavailableError("the audit log cannot be written; try again later")

    def act(self, record: AuditRecord) -> None:
        """Record what is about to be done; it is durable when this returns.

        Raises:
            AuditUnavailableError: As for a refusal: then it must not be done.
        """
        self.refuse(record)

    def settle(self) -> None:
        """Write what is waiting, so that whoever reads the audit finds it; if it can be written."""
        with suppress(AuditUnavailableError):
            self._writer.flush()

    def close(self) -> None:
        """Write what is waiting and stop."""
        self._closing.set()
        self._keeper.join(_CLOSE_TIMEOUT_S)
        self._writer.close()
        self._look_after()

    def _write(self, records: Sequence[AuditRecord]) -> None:
        with self._database.change() as connection:
            AuditStore(connection).append_all(records)

    def _keep(self) -> None:
        while not self._closing.is_set():
            self._look_after()
            self._closing.wait(self._interval_s)

    def _look_after(self) -> None:
        try:
            self._trim()
            with self._database.read() as connection:
                head = AuditStore(connection).head()
        except Exception:  # noqa: BLE001  the next look may succeed; nothing depends on this one
            _log.exception("audit_not_looked_after")
        else:
            _log.info("audit_head", anchor=f"{head.last_id}:{head.digest}", first=head.first_id)

    def _trim(self) -> None:
        if self._settings.keep_days is None or not self._is_keeper():
            return
        now = self._now()
        with self._database.change() as connection:
            store = AuditStore(connection)
            count = store.trim(now - timedelta(days=self._settings.keep_days))
            if count:
                store.append(
                    AuditRecord(
                        at=now,
                        actor=self._cluster,
                        source="server",
                        action="trim audit",
                        object=f"{count} records",
                        allowed=True,
                        rule=f"audit.keep_days = {self._settings.keep_days}",
                    )
                )
