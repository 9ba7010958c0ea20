"""A data node's state directory: its keys, its certificate, and whose node it is."""

import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from auth import SigningKey
from flight_member.errors import ConfigurationError
from flight_member.profiles import make_private_directory, write_private
from flight_member.settings import NodeSettings

SETTINGS_FILE = "flight-node.toml"
_SIGNING_KEY = "signing.key"
_TLS_KEY, _TLS_CERTIFICATE = "tls.key", "tls.pem"
_PLACE = "node.json"


class NodePlace(BaseModel):
    """What joining leaves behind: whose node this is, and what it trusts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str
    node: str
    controllers: tuple[str, ...]
    cluster_keys: tuple[str, ...]
    ca_certificate: str = ""

    @property
    def tls_root_certs(self) -> bytes | None:
        """What certificates of controllers are checked with; None for plaintext on loopback."""
        return self.ca_certificate.encode() or None

    @classmethod
    def load(cls, directory: Path) -> Self | None:
        """Read what joining left behind; None before it.

        Raises:
            ConfigurationError: When the file is there but unusable.
        """
        file = directory / _PLACE
        try:
            return cls.model_validate_json(file.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise ConfigurationError([f"{file}: cannot be read; join again"]) from None

    def save(self, directory: Path) -> None:
        """Write it, replacing an older one at once."""
        write_private(directory / _PLACE, json.dumps(self.model_dump(), indent=2) + "\n")


class NodeHome:
    """The files of one node, by their place under the state directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def make(self) -> SigningKey:
        """Make the directory and the node's key, if they are not there; returns the key."""
        make_private_directory(self.directory)
        file = self.directory / _SIGNING_KEY
        if not file.exists():
            SigningKey.generate().save(file)
        return SigningKey.load(file)

    def load_key(self) -> SigningKey:
        """Read the node's key."""
        return SigningKey.load(self.directory / _SIGNING_KEY)

    @property
    def tls_files(self) -> tuple[Path, Path]:
        """The TLS certificate and its private key."""
        return self.directory / _TLS_CERTIFICATE, self.directory / _TLS_KEY

    @property
    def spill_directory(self) -> Path:
        """Where the engine puts what does not fit into memory."""
        return self.directory / "spill"

    def require_certificate(self, settings: NodeSettings) -> None:
        """Check that there is what TLS needs, where TLS is on.

        Raises:
            ConfigurationError: Saying how to come by it.
        """
        if settings.server.uses_tls and not all(file.exists() for file in self.tls_files):
            fault = "no TLS certificate yet; join with a new token, or listen on loopback"
            raise ConfigurationError([f"{self.directory}: {fault}"])
