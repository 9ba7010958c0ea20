from pathlib import Path

import pytest

from flight_member.configuration import load_settings, walk_settings
from flight_member.errors import ConfigurationError
from flight_member.settings import MemberSettings, ServerSection

TOML = """
[cluster]
name = "Shanghai"
[server]
port = 4000
host = "localhost"
[limits]
max_running = 3
"""


def write_toml(directory: Path, text: str = TOML) -> Path:
    file = directory / "member.toml"
    file.write_text(text, "utf-8")
    return file


def faults_of(file: Path | None, flags: dict[str, object] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(MemberSettings, file, flags)
    return caught.value.faults


def test_later_layer_wins_from_default_to_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_toml(tmp_path)
    monkeypatch.setenv("FLIGHT_MEMBER_SERVER__HOST", "127.0.0.2")
    monkeypatch.setenv("FLIGHT_MEMBER_LIMITS__MAX_RUNNING", "4")
    loaded = load_settings(MemberSettings, file, {"limits.max_running": 5})
    settings = loaded.settings
    assert settings.cluster.name == "shanghai"
    assert settings.limits.max_queued == 64
    assert settings.server.port == 4000
    assert settings.server.host == "127.0.0.2"
    assert settings.limits.max_running == 5


def test_effective_settings_name_the_source_of_each_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLIGHT_MEMBER_SERVER__HOST", "127.0.0.2")
    loaded = load_settings(MemberSettings, write_toml(tmp_path), {"limits.max_running": 5})
    sources = {one.name: (one.value, one.source) for one in loaded.effective()}
    assert sources["limits.max_running"] == ("5", "flag")
    assert sources["server.host"] == ("127.0.0.2", "environment")
    assert sources["server.port"] == ("4000", "file member.toml")
    assert sources["limits.max_queued"] == ("64", "default")
    assert set(sources) == {name for name, _, _ in walk_settings(MemberSettings)}


def test_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    loaded = load_settings(MemberSettings, write_toml(tmp_path), {"server.port": None})
    assert loaded.settings.server.port == 4000


def test_every_fault_is_listed_at_once_with_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_toml(tmp_path, '[server]\nprot = 1\n[cluster]\nname = "9x"\n[tables]\nroots = [7]')
    monkeypatch.setenv("FLIGHT_MEMBER_SERVER__PORTT", "1")
    monkeypatch.setenv("FLIGHT_MEMBER_LIMITS__MAX_RUNNING", "none")
    faults = "\n".join(faults_of(file, {"server.port": 70000}))
    for part in (
        "server.prot: Extra inputs are not permitted (file member.toml)",
        "cluster.name: '9x' is not a name",
        "FLIGHT_MEMBER_SERVER__PORTT: no such setting (environment)",
        "limits.max_running: ",
        "server.port: ",
        "tables.roots.0: ",
    ):
        assert part in faults
    assert "(flag)" in faults
    assert "(not set)" not in faults


def test_missing_name_is_said_not_to_be_set() -> None:
    assert any("not set" in fault for fault in faults_of(None))


@pytest.mark.parametrize("text", ["not toml", "\udce4"])
def test_file_that_is_not_toml_is_a_fault(tmp_path: Path, text: str) -> None:
    file = tmp_path / "member.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert any("not TOML" in fault for fault in faults_of(file))


def test_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert any("No such file" in fault for fault in faults_of(tmp_path / "none.toml"))


def test_list_in_the_environment_that_cannot_be_read_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLIGHT_MEMBER_TABLES__ROOTS", "/data")
    faults = faults_of(None, {"cluster.name": "shanghai"})
    assert any("(environment)" in fault for fault in faults)


def test_database_url_with_a_password_is_refused_without_showing_it() -> None:
    flags: dict[str, object] = {
        "cluster.name": "shanghai",
        "state.database": "postgresql://u:hunter22@db/x",
    }
    faults = faults_of(None, flags)
    assert any("holds a password" in fault for fault in faults)
    assert not any("hunter22" in fault for fault in faults)


@pytest.mark.parametrize(
    "host, options, uri",
    [
        ("127.0.0.1", {}, "grpc://127.0.0.1:1"),
        ("localhost", {}, "grpc://localhost:1"),
        ("::1", {}, "grpc://[::1]:1"),
        ("127.0.0.1", {"tls": True}, "grpc+tls://127.0.0.1:1"),
        ("10.0.0.7", {}, "grpc+tls://10.0.0.7:1"),
        ("0.0.0.0", {"advertise": "db.example"}, "grpc+tls://db.example:1"),  # noqa: S104  named
        ("10.0.0.7", {"insecure_plaintext": True}, "grpc://10.0.0.7:1"),
    ],
)
def test_tls_is_on_beyond_loopback_unless_its_danger_is_named(
    host: str, options: dict[str, object], uri: str
) -> None:
    assert ServerSection.model_validate({"host": host, **options}).uri(1) == uri
