"""What was said once is understood for good: fields are only ever added, with defaults."""

import subprocess
import sys

import pytest

from flight_member import protocol
from flight_member.errors import BadRequestError
from tests.versions.speaking import FIELDS, OLD


@pytest.mark.parametrize("name", FIELDS)
def test_message_has_the_fields_that_it_had_and_others_need_not_be_there(name: str) -> None:
    kind: type[protocol.Message] = getattr(protocol, name)
    assert set(FIELDS[name]) <= set(kind.model_fields)
    for field, what in kind.model_fields.items():
        assert field in FIELDS[name] or not what.is_required(), field


def test_one_minor_version_apart_is_understood_and_more_is_refused_by_name() -> None:
    major, minor = protocol.PROTOCOL_MAJOR, protocol.PROTOCOL_MINOR
    assert abs(minor - OLD[1]) <= 1

    def beat(version: tuple[int, int]) -> protocol.Heartbeat:
        return protocol.Heartbeat(
            protocol=version, uri="", nodes=(), report_version="", policy_epoch=0
        )

    for near in (minor - 1, minor, minor + 1):
        beat((major, near)).check_protocol("shanghai")
    for far in ((major, minor + 2), (major + 1, minor)):
        with pytest.raises(BadRequestError, match="shanghai speaks protocol"):
            beat(far).check_protocol("shanghai")


def test_old_side_says_and_hears_what_there_was() -> None:
    """In a process of its own: it changes how every message of it is read and written."""
    code = (
        "from tests.versions.speaking import restrict; restrict()\n"
        "from flight_member.protocol import Heartbeat, HeartbeatReply\n"
        "beat = Heartbeat(uri='', nodes=(), report_version='', policy_epoch=0, leader_number=7)\n"
        "assert b'leader' not in beat.write() and b'[1, 0]' in beat.write()\n"
        "said = HeartbeatReply(state='', policy_epoch=0, mom_keys=(), wants_report=False)\n"
        "told = said.model_copy(update={'mom_addresses': ('grpc://h:1',)}).model_dump_json()\n"
        "assert HeartbeatReply.read(told.encode()).mom_addresses == ()\n"
    )
    done = subprocess.run(  # noqa: S603  our own text
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
