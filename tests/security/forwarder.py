"""A way to a server from another address of this machine."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit


@contextlib.contextmanager
def coming_from(address: str, uri: str, heard: bytearray | None = None) -> Iterator[str]:
    """Forward connections for the time of a `with` block; the server sees them from `address`.

    What passes by is added to `heard`, in both directions. Yields the URI to connect to.
    """
    target = urlsplit(uri)
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as opened:
        thread = threading.Thread(
            target=_accept,
            args=(listener, (str(target.hostname), int(target.port or 0)), address, opened, heard),
            daemon=True,
        )
        thread.start()
        yield f"{target.scheme}://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _accept(
    listener: socket.socket,
    target: tuple[str, int],
    address: str,
    opened: contextlib.ExitStack,
    heard: bytearray | None,
) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        far = socket.create_connection(target, timeout=10, source_address=(address, 0))
        far.settimeout(None)
        opened.callback(_close, near)
        opened.callback(_close, far)
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=(one, other, heard), daemon=True).start()


def _copy(one: socket.socket, other: socket.socket, heard: bytearray | None) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65_536):
            if heard is not None:
                heard += data
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
