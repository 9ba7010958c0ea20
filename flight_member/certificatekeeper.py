"""Renews a server's TLS certificate when two thirds of its time are over.

The key stays the same: only the certificate is written, in one step, so that the two always fit
together. The server is then replaced while its streams run on. A renewal that fails is tried again
a minute later, as long as it takes.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from auth import TlsKey, certificate_lifetime, is_certificate_of, make_request
from flight_member.clock import Moment
from flight_member.errors import BadRequestError
from flight_member.logs import get_logger
from flight_member.profiles import write_private

_log = get_logger(__name__)
_SPENT = 2 / 3
_INTERVAL_S = 3600.0
_RETRY_S = 60.0
_STOP_TIMEOUT_S = 5.0


class CertificateKeeper:
    """Looks at the certificate every hour, and at once when it starts."""

    def __init__(
        self,
        *,
        name: str,
        hosts: Sequence[str],
        files: tuple[Path, Path],
        authority: Callable[[], bytes],
        sign: Callable[[bytes], bytes],
        renewed: Callable[[], None],
        now: Moment,
    ) -> None:
        """Keep what a renewal needs.

        Args:
            name: The server's cluster.
            hosts: What the certificate is asked for.
            files: The certificate and its private key.
            authority: Returns the certificate of the federation's CA, in PEM.
            sign: Has the federation's CA sign a certificate request; both in PEM.
            renewed: Told when there is another certificate.
            now: The clock.
        """
        self._name = name
        self._hosts = hosts
        self._certificate_file, self._key_file = files
        self._authority = authority
        self._sign = sign
        self._renewed = renewed
        self._now = now
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="certificate-keeper", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join(_STOP_TIMEOUT_S)

    def renew_if_due(self) -> bool:
        """Renew the certificate when its time has come; returns whether it was renewed.

        Raises:
            BadRequestError: When what was signed is no newer certificate of this server's key.
        """
        starts_at, ends_at = certificate_lifetime(self._certificate_file.read_bytes())
        if self._now() < starts_at + (ends_at - starts_at) * _SPENT:
            return False
        key = TlsKey.load(self._key_file)
        fresh = self._sign(make_request(key, self._name, self._hosts))
        is_ours = is_certificate_of(key, fresh, self._authority())
        if not is_ours or certificate_lifetime(fresh)[1] <= ends_at:
            raise BadRequestError("what was signed is no newer certificate of this server's key")
        write_private(self._certificate_file, fresh.decode())
        self._renewed()
        _log.info("certificate_renewed", ends_at=certificate_lifetime(fresh)[1].isoformat())
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause_s = _INTERVAL_S
            try:
                self.renew_if_due()
            except Exception as error:  # noqa: BLE001  whatever it was, it is tried again
                pause_s = _RETRY_S
                # Its text may hold a path.
                fault = str(getattr(error, "code", type(error).__name__))
                _log.error("certificate_not_renewed", code=fault)
            self._stopping.wait(pause_s)
