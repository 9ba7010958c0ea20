"""Disks that fill up and stall: a small file system for each server, or limits on what it writes.

With a file system of its own a server meets `ENOSPC` as on any full disk, and a frozen one keeps
whoever writes waiting, as a disk does that answers late.
"""

import os
import resource
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

_SIZE = "192M"


class Disk(Protocol):
    """Where one server keeps its state."""

    @property
    def path(self) -> Path:
        """Where the server's directories are."""

    def fill(self, pid: int) -> None:
        """Leave no space."""

    def stall(self) -> None:
        """Let everybody who writes wait."""

    def heal(self, pid: int | None) -> None:
        """Write as ever."""

    def close(self) -> None:
        """Leave nothing behind."""


class LoopDisk:
    """A small ext4 in a file, mounted in this run's own namespace of mounts."""

    can_stall = True

    def __init__(self, directory: Path) -> None:
        self.path = directory / "disk"
        self.path.mkdir()
        self._image = directory / "disk.img"
        self._is_stalled = False
        with self._image.open("wb") as image:
            image.truncate(int(_SIZE.removesuffix("M")) << 20)
        # Lazily, so that no kernel thread writes what nobody reads.
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0", str(self._image))
        _run("mount", "-o", "loop,noatime", str(self._image), str(self.path))
        shutil.rmtree(self.path / "lost+found")

    def fill(self, pid: int) -> None:
        assert pid
        with (self.path / "ballast").open("ab") as ballast:
            for size in (1 << 20, 4096):
                with suppress(OSError):
                    while True:
                        os.write(ballast.fileno(), bytes(size))

    def stall(self) -> None:
        _run("fsfreeze", "--freeze", str(self.path))
        self._is_stalled = True

    def heal(self, pid: int | None) -> None:
        assert pid is None or pid > 0
        if self._is_stalled:
            _run("fsfreeze", "--unfreeze", str(self.path))
            self._is_stalled = False
        (self.path / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        self.heal(None)
        _run("umount", "--lazy", str(self.path))
        self._image.unlink()


class LimitedDisk:
    """A directory; a server that meets a full disk may write no file further than it is."""

    can_stall = False

    def __init__(self, directory: Path) -> None:
        self.path = directory / "disk"
        self.path.mkdir()

    def fill(self, pid: int) -> None:
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))

    def stall(self) -> None:
        raise NotImplementedError("stalling a disk needs a file system of its own")

    def heal(self, pid: int | None) -> None:
        if pid is not None:
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))

    def close(self) -> None:
        shutil.rmtree(self.path)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603  ours
