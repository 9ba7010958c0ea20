"""The engine's own way to the files of object stores."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from datafusion.object_store import AmazonS3

from storage.objectstore import ObjectStore

_PREFIX = "AWS_"
_making = threading.Lock()


def remote_stores(stores: Iterable[ObjectStore]) -> dict[str, AmazonS3]:
    """Return what the engine reads each store with, by bucket."""
    with _making, _nothing_from_outside():
        return {
            store.bucket: AmazonS3(
                store.bucket,
                region=store.region,
                access_key_id=store.key_id,
                secret_access_key=store.secret,
                endpoint=store.endpoint,
                allow_http=store.is_plaintext,
            )
            for store in stores
        }


@contextmanager
def _nothing_from_outside() -> Iterator[None]:
    """Hide what the environment says of object stores: the library would mix it in."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_PREFIX)}
    try:
        yield
    finally:
        os.environ.update(hidden)
