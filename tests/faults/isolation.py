"""A place of its own for a run: namespaces of Linux that end with it, whatever ends it.

Inside, the run has its own network, mounts and process ids, so that it may cut lines, fill disks
and count processes; nothing of it is left when it is over. Where the machine does not allow that,
faults are made with what every user may do; docs/reliability.md says what is different.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

INSIDE = "--inside"
_NAMESPACES = ("--net", "--mount", "--propagation", "private", "--pid", "--fork")
_ENDING = ("--kill-child", "--mount-proc")
# What a run needs of the machine: lines between namespaces, routes that lose packets, file systems.
_TRIAL = """set -e
ip link set lo up
ip link add trial0 type veth peer name trial1
ip rule add from 10.0.0.1 to 10.0.0.2 blackhole
image=$(mktemp); place=$(mktemp -d); trap 'umount $place; rm -f $image; rmdir $place' EXIT
truncate -s 8M $image; mkfs.ext4 -q $image; mount -o loop $image $place
fsfreeze -f $place; fsfreeze -u $place
"""


def can_isolate() -> bool:
    """Whether this machine and user allow what an isolated run does."""
    if shutil.which("unshare") is None:
        return False
    trial = ["unshare", *_NAMESPACES, *_ENDING, "sh", "-c", _TRIAL]
    done = subprocess.run(trial, check=False, capture_output=True, timeout=60)  # noqa: S603  ours
    return done.returncode == 0


def enter(arguments: Sequence[str]) -> None:
    """Replace this process by the same command inside namespaces of its own."""
    command = ["unshare", *_NAMESPACES, *_ENDING, sys.executable, "-m", "tests.faults", INSIDE]
    os.execvp("unshare", [*command, *arguments])  # noqa: S606, S607  no shell; where it lies differs
