"""Reads which files a scan reads from the engine's own encoding of its plan.

The printed plan names no more than a few files of each group; the encoded one names all, each with
its size. Nothing but these two is looked at: a message is a sequence of tag, value pairs as in
protocol buffers, and the files lie at one fixed path of field numbers.

Source: the engine's `datafusion.proto`: PhysicalPlanNode.parquet_scan, base_conf, file_groups,
files, each of them field 1 of its message; PartitionedFile.path is field 1 and size field 2;
FileScanExecConf.object_store_url is field 8.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_SCAN = _CONFIG = _GROUP = _FILE = _PATH = 1
_SIZE = 2
_STORE = 8


def scanned_files(encoded: bytes) -> dict[str, int]:
    """Return the files of an encoded scan of Parquet: path without its leading slash, and size.

    A file that several threads share is there once.

    Raises:
        ValueError: When it is no such message.
    """
    files: dict[str, int] = {}
    for scan in _messages(encoded, _SCAN):
        for config in _messages(scan, _CONFIG):
            for group in _messages(config, _GROUP):
                for file in _messages(group, _FILE):
                    path = next(_messages(file, _PATH), b"")
                    sizes = (value for number, value in _fields(file) if number == _SIZE)
                    files[path.decode()] = int(next(sizes, 0))
    return files


def scanned_store(encoded: bytes) -> str:
    """Return where the files of an encoded scan lie: `file:///`, or `s3://bucket/`.

    Raises:
        ValueError: When it is no such message.
    """
    return next(
        store.decode()
        for scan in _messages(encoded, _SCAN)
        for config in _messages(scan, _CONFIG)
        for store in _messages(config, _STORE)
    )


def count_scanned_parts(encoded: bytes) -> int:
    """Return how many files an encoded scan of Parquet reads; each range of a shared one counts.

    Raises:
        ValueError: When it is no such message.
    """
    return sum(
        1
        for scan in _messages(encoded, _SCAN)
        for config in _messages(scan, _CONFIG)
        for group in _messages(config, _GROUP)
        for _ in _messages(group, _FILE)
    )


def _messages(data: bytes, number: int) -> Iterator[bytes]:
    for field, value in _fields(data):
        if field == number and isinstance(value, bytes):
            yield value


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        value: bytes | int
        if kind == _VARINT:
            value, position = _varint(data, position)
        else:
            if kind == _BYTES:
                length, position = _varint(data, position)
            elif kind in _WIDTHS:
                length = _WIDTHS[kind]
            else:
                raise ValueError("not an encoded plan")
            value, position = data[position : position + length], position + length
        yield tag >> 3, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  the last byte lacks the eighth bit
            return value, position
        shift += 7
    raise ValueError("the encoded plan ends in a number")
