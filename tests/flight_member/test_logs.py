import json
import subprocess
import sys
from typing import Any

PREAMBLE = """
import logging
from flight_member.logs import configure_logging, get_logger
from flight_member.settings import LogSection
configure_logging(LogSection(format="json", level="info"), cluster="shanghai")
log = get_logger("test")
"""


def logged(code: str) -> list[dict[str, Any]]:
    """Return the lines that a process of its own logs: the configuration is the process's."""
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", PREAMBLE + code], capture_output=True, text=True, check=True
    )
    assert not done.stdout
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_line_is_json_with_its_cluster_whoever_wrote_it() -> None:
    lines = logged(
        "log.info('ours', query_id='q')\n"
        "logging.getLogger('library').warning('theirs', extra={'query_id': 'r'})\n"
        "log.debug('too little')\n"
    )
    assert [(line["event"], line["query_id"]) for line in lines] == [("ours", "q"), ("theirs", "r")]
    for line in lines:
        assert line["cluster"] == "shanghai"
        assert line["level"]
        assert line["at"]


def test_secrets_are_withheld_whoever_logs_them_and_however_deep() -> None:
    lines = logged(
        "log.info('e', password='hunter22', join_token='hunter22', Authorization='hunter22')\n"
        "log.info('e', headers={'authorization': 'hunter22', 'x-route': 'relay'})\n"
        "logging.getLogger('library').warning('e', extra={'ticket': 'hunter22'})\n"
        "log.info('e', token_id='visible')\n"
    )
    assert "hunter22" not in json.dumps(lines)
    assert lines[0]["password"] == "withheld"
    assert lines[1]["headers"] == {"authorization": "withheld", "x-route": "relay"}
    assert lines[3]["token_id"] == "visible"


def test_exception_is_one_line() -> None:
    lines = logged("try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('failed')\n")
    assert len(lines) == 1
    assert "ZeroDivisionError" in lines[0]["exception"]
