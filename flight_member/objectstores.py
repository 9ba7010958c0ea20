"""The object stores that the settings of a process name, with their secrets."""

from flight_member.errors import ConfigurationError
from flight_member.settings import TablesSection
from storage.objectstore import ObjectStore, ObjectStores


def read_object_stores(tables: TablesSection) -> ObjectStores:
    """Return the object stores that tables may lie in; their secrets are read from their files.

    Raises:
        ConfigurationError: When a secret cannot be read.
    """
    faults: list[str] = []
    stores: list[ObjectStore] = []
    for section in tables.object_stores:
        try:
            secret = section.secret_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            secret = ""
        if not secret:
            faults.append(
                f"tables.object_stores: {section.secret_file} holds no secret that can be read"
            )
        stores.append(
            ObjectStore(section.url, section.answers_at, section.region, section.key_id, secret)
        )
    if faults:
        raise ConfigurationError(faults)
    return ObjectStores(stores)
