"""Which part of a table's files is whose, when several nodes read one table together.

Rendezvous hashing: each file goes to the name that draws the highest number for it. Every process
draws the same numbers, in every version of this program; nobody has to agree on anything but the
names. When a name comes or goes, only the files move that it draws, or drew: its share.

Pure: what a file is called is all that counts, and neither the order of the names nor anybody's
state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

# Tickets that are on their way tell the parts by it: another one needs another claim in them.
_DRAWN_BYTES = 8


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of the files of every table that a statement reads.

    Attributes:
        part: Which, counted from 0: the files of this name.
        names: What the parts are called; no two are called the same.
    """

    part: int
    names: tuple[str, ...]

    def holds(self, file: str) -> bool:
        """Whether a file lies in this part; of all parts of these names, it lies in one."""
        return shard_of(file, self.names) == self.names[self.part]


def shard_of(file: str, names: Sequence[str]) -> str:
    """Return the name that a file belongs to.

    Args:
        file: Its path below the table, with `/` between folders.
        names: Those that share the files, in any order; at least one.
    """
    return max(names, key=lambda name: (_drawn(name, file), name))


def _drawn(name: str, file: str) -> bytes:
    text = file.encode("utf-8", "surrogateescape")
    return blake2b(text, digest_size=_DRAWN_BYTES, key=_key_of(name)).digest()


@lru_cache(maxsize=1024)
def _key_of(name: str) -> bytes:
    # A key, so that name and file never run together as one text, however they are spelt.
    return blake2b(name.encode(), digest_size=32).digest()
