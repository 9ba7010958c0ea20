"""What `flight-member node serve` does: here the whole server is loaded."""

from collections.abc import Mapping
from pathlib import Path

from flight_member.configuration import load_settings
from flight_member.errors import ConfigurationError
from flight_member.logs import configure_logging
from flight_member.nodehome import SETTINGS_FILE, NodeHome, NodePlace
from flight_member.nodejoining import join_cluster
from flight_member.nodeserver import NodeServer
from flight_member.process import run_until_stopped
from flight_member.settings import NodeSettings
from flight_member.terminal import read_secret


def serve_node(
    directory: Path,
    config: Path | None,
    flags: Mapping[str, object],
    *,
    controller: str | None,
    token_file: Path | None,
    with_parent: bool,
) -> None:
    """Serve a data node until it is stopped or drained; for the first time, join its cluster.

    Args:
        directory: The node's state directory; made when it is missing.
        config: Another settings file than the one in it, or None.
        flags: What the command line says of the settings.
        controller: Where the controller answers; None: as is known, or as the token says.
        token_file: Holds the join token, `-` for standard input; of no use after the first time.
        with_parent: Stop when standard input ends.

    Raises:
        ConfigurationError: When the node has joined nothing and there is no token.
    """
    known = NodePlace.load(directory)
    if known is None and token_file is None:
        fault = "this node has joined no cluster; give --token-file with what node add printed"
        raise ConfigurationError([f"{directory}: {fault}"])
    settings = _settings(directory, config, flags, known)
    if known is None:
        secret = None if str(token_file) == "-" else token_file
        text = read_secret(secret, "join token")
        known = join_cluster(NodeHome(directory), settings.server, text, controller)
        settings = _settings(directory, config, flags, known)
    elif controller is not None and known.controllers != (controller,):
        known = known.model_copy(update={"controllers": (controller,)})
        known.save(directory)
    configure_logging(settings.log, cluster=f"{known.cluster}/{known.node}")
    run_until_stopped(
        NodeServer(directory, settings),
        with_parent=with_parent,
        drain_timeout_s=settings.server.drain_timeout_s,
    )


def _settings(
    directory: Path, config: Path | None, flags: Mapping[str, object], known: NodePlace | None
) -> NodeSettings:
    file = config or directory / SETTINGS_FILE
    # Whose node it is, the controller says: before that, the settings name nobody.
    cluster = "joining" if known is None else known.cluster
    given = {"cluster.name": cluster, "state.directory": str(directory), **flags}
    return load_settings(NodeSettings, file if config or file.exists() else None, given).settings
