"""What `flight-member serve` does once its settings are read: here the whole server is loaded."""

from flight_member.logs import configure_logging
from flight_member.process import run_until_stopped
from flight_member.server import MemberServer
from flight_member.settings import MemberSettings


def serve_member(settings: MemberSettings, *, with_parent: bool) -> None:
    """Serve a member until it is stopped."""
    configure_logging(settings.log, cluster=settings.cluster.name)
    run_until_stopped(
        MemberServer(settings),
        with_parent=with_parent,
        drain_timeout_s=settings.server.drain_timeout_s,
    )
