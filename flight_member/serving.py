"""The Flight SQL server that a backend is served by, as the settings of its cluster have it."""

from pathlib import Path

from flight_member.settings import ServerSettings
from flight_member.sqlfacts import sql_facts
from flight_sql import Authenticator, Backend, FlightSqlServer, ReplaceableServer, TlsFiles


def make_flight_server(
    settings: ServerSettings,
    tls_files: tuple[Path, Path],
    backend: Backend,
    authenticator: Authenticator,
    *,
    joins: bool,
) -> ReplaceableServer:
    """Return the server, which listens and does not answer yet.

    Args:
        settings: Where it listens, and whether with TLS.
        tls_files: The certificate and its key, read anew whenever the server is replaced.
        backend: What knows statements and tables.
        authenticator: What knows tokens and passwords.
        joins: Whether its own users may join its own tables.
    """
    server = settings.server
    tls = TlsFiles(*tls_files) if server.uses_tls else None
    return ReplaceableServer(
        lambda port: FlightSqlServer(
            backend,
            authenticator,
            host=server.host,
            port=port,
            tls=tls,
            sql_info=sql_facts(settings, joins=joins),
            signed_agents=settings.wire.signed_agents,
            max_calls=settings.limits.max_calls,
        ),
        server.port,
    )
