"""What `flight-mom serve` does once its settings are read: here the whole server is loaded."""

from flight_member.configuration import LoadedSettings
from flight_member.logs import configure_logging
from flight_member.process import run_until_stopped
from flight_mom.handlerloading import check_heartbeats
from flight_mom.server import MomServer
from flight_mom.settings import MomSettings


def serve_mom(loaded: LoadedSettings[MomSettings], *, with_parent: bool) -> None:
    """Serve the MoM until it is stopped.

    Raises:
        ConfigurationError: When a handler of heartbeats cannot be used.
    """
    settings = loaded.settings
    configure_logging(settings.log, cluster=settings.cluster.name)
    check_heartbeats(loaded)
    run_until_stopped(
        MomServer(settings),
        with_parent=with_parent,
        drain_timeout_s=settings.server.drain_timeout_s,
    )
