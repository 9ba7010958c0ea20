"""How a place in an object store is written: `s3://bucket/prefix`.

Pure and light to import, so that settings can be read without loading what reads the store.
"""

import re

SCHEME = "s3://"
# The engine takes `*`, `?` and `[` in a place for patterns; what is encoded has two spellings.
_SEGMENT = re.compile(r"[\w.=+@,-]+", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def is_remote(location: str) -> bool:
    """Whether a place is written as one of an object store."""
    return location.lower().startswith(SCHEME)


def read_url(url: str) -> tuple[str, tuple[str, ...]]:
    """Return the bucket and the parts of the prefix of `s3://bucket/prefix`.

    Raises:
        ValueError: When it is none; the text says what to write.
    """
    bucket, *segments = url.removeprefix(SCHEME).removesuffix("/").split("/")
    is_plain = all(_SEGMENT.fullmatch(part) and part.strip(".") for part in segments)
    if not url.startswith(SCHEME) or not _BUCKET.fullmatch(bucket) or not is_plain:
        raise ValueError(
            "is no place in an object store; write s3://bucket/prefix of letters, digits and ._=-"
        )
    return bucket, tuple(segments)
