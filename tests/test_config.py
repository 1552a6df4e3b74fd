"""Configurations, good and bad: tests/config/NAME.good.conf loads, NAME.bad.conf gives the errors of NAME.expected."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from loading import FOLDER, loaded

from monitor.config import ConfigError, load_server


def environment(path: Path) -> dict[str, str]:
    """Return the variables that a file wants to be read with: `# env: NAME=VALUE`."""
    lines = path.read_text("utf-8", "replace").splitlines()
    return dict(line[7:].split("=", 1) for line in lines if line.startswith("# env: "))


@pytest.fixture
def conf(tmp_path: Path) -> Any:
    def write(text: str, name: str = "a.conf") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.bad.conf")), ids=lambda path: path.name)
def test_a_bad_file_gives_all_its_errors_at_once(path: Path, golden: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(ConfigError) as raised:
        loaded(Path(path.name), environ=environment(path))
    got = "".join(f"{problem}\n" for problem in raised.value.problems)
    expected = path.with_name(path.name.replace(".bad.conf", ".expected"))
    if golden:
        expected.write_text(got)
    assert got == expected.read_text()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.good.conf")), ids=lambda path: path.name)
def test_a_good_file_loads(path: Path) -> None:
    loaded(path, environ=environment(path))


def test_diamonds_own_settings_give_one_warning() -> None:
    warnings = loaded(FOLDER / "seed.good.conf").warnings
    (warning,) = [warning for warning in warnings if "no effect" in warning.message]
    assert "user" in warning.message and "splay" in warning.message and "[formatter_default]" in warning.message


def test_dotted_handler_names_count_by_their_last_word() -> None:
    config = loaded(FOLDER / "seed.good.conf")
    assert [handler.name for handler in config.handlers] == ["GraphiteHandler", "InfluxDBHandler"]
    assert config.handlers[0].options == {"host": "127.0.0.1", "port": 2003, "timeout": 15.0}
    assert config.handlers[1].options["password"] == "a#b"
    assert config.store.name == "PostgreSQLHandler"
    assert config.logging.level == "DEBUG"


def test_hosts_get_the_collectors_of_their_role() -> None:
    config = loaded(FOLDER / "hosts.good.conf")
    jobs = {(job.target.host, job.name): job.options for job in config.inventory.jobs}
    assert set(jobs) == {
        ("own", "NginxCollector second"),
        ("10.0.0.1", "NginxCollector"), ("10.0.0.1", "SNMPCollector"),
        ("2001:db8::1", "NginxCollector"), ("2001:db8::1", "SNMPCollector"),
    }  # fmt: skip
    assert jobs["10.0.0.1", "NginxCollector"] == {"req_port": 8081}
    assert jobs["2001:db8::1", "NginxCollector"] == {"req_port": 80}
    assert config.inventory.hosts["10.0.0.1"].comment == "front, second rack"
    assert config.inventory.hosts["db.example.com"].comment == "Bob's # 1"
    assert [(one.name, one.tiers[0].label, *one.tiers[0].functions) for one in config.retention_classes.classes] == [
        ("ston*", "5m", "LAST"),
        ("default", "5m", "LAST"),
    ]


def test_a_host_is_found_by_identity_hostname_and_address() -> None:
    inventory = loaded(FOLDER / "hosts.good.conf").inventory
    assert inventory.find("10.0.0.1") is inventory.find("www1") is inventory.hosts["10.0.0.1"]
    assert inventory.find("own") is inventory.find("127.0.0.1") is inventory.own
    assert inventory.find("nobody") is None


def test_each_level_counts_more_than_the_one_before(conf: Any, tmp_path: Path) -> None:
    directory = tmp_path / "collectors.d"
    directory.mkdir()
    text = f"[server]\ncollectors_config_path = {directory}\n[roles]\n[[web]]\ncollectors = NginxCollector\n"
    text += "[hosts]\n[[10.0.0.1]]\nrole = web\n[collectors]\n"
    environ: dict[str, str] = {}

    def interval() -> float:
        config = loaded(conf(text), environ=environ)
        (job,) = [job for job in config.inventory.jobs if job.target.host == "10.0.0.1"]
        return float(job.options.get("interval", 60))

    assert interval() == 60
    text += "[[default]]\ninterval = 11\n"
    assert interval() == 11
    text += "[[NginxCollector]]\ninterval = 12\n"
    assert interval() == 12
    (directory / "NginxCollector.conf").write_text("interval = 13\n")
    assert interval() == 13
    text = text.replace("[hosts]", "[[[NginxCollector]]]\ninterval = 14\n[hosts]")
    assert interval() == 14
    text = text.replace("role = web\n", "role = web\n[[[NginxCollector]]]\ninterval = 15\n")
    assert interval() == 15
    for name, value in (
        ("COLLECTORS__DEFAULT", 16), ("COLLECTORS__NginxCollector", 17), ("ROLES__WEB__NGINXCOLLECTOR", 18),
        ("HOSTS__10_0_0_1__nginxcollector", 19),
    ):  # fmt: skip
        environ[f"MONITOR__{name}__INTERVAL"] = str(value)
        assert interval() == value


def test_a_later_file_counts_more(conf: Any) -> None:
    first = conf("[server]\nlisten = 127.0.0.1:1\nconcurrency = 7\n", "1.conf")
    second = conf("[server]\nlisten = 127.0.0.1:2\n", "2.conf")
    server = loaded(first, second).server
    assert (server.address.port, server.concurrency) == (2, 7)
    assert server.origins["listen"] == f"{second}:2"
    assert loaded(first, second, overrides={"data_dir": "/x"}).data_dir == Path("/x")


def test_a_conf_file_that_only_enables_turns_a_collector_on(conf: Any, tmp_path: Path) -> None:
    conf("enabled = True\n", "d/NginxCollector.conf")
    config = loaded(conf(f"[server]\ncollectors_config_path = {tmp_path / 'd'}\n"))
    assert [job.name for job in config.inventory.jobs] == ["NginxCollector", "CPUCollector"]


def test_a_problem_in_a_conf_file_names_that_file(conf: Any, tmp_path: Path) -> None:
    path = conf("enabled = True\nreq_prot = 1\n", "d/NginxCollector.conf")
    with pytest.raises(ConfigError) as raised:
        loaded(conf(f"[server]\ncollectors_config_path = {tmp_path / 'd'}\n"))
    assert str(raised.value).startswith(f"{path}:2: [collectors] [[NginxCollector]] req_prot: unknown key")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["CPUCollector"]),
        ("[collectors]\n[[CPUCollector]]\nenabled = False\n", []),
        ("[collectors]\n[[NginxCollector]]\n", ["CPUCollector"]),
        ("[collectors]\n[[default]]\nenabled = True\n", ["CPUCollector"]),
        ("[collectors]\n[[nginxcollector]]\nenabled = on\n", ["NginxCollector", "CPUCollector"]),
    ],
)
def test_collectors_of_the_machine_are_on_and_others_off_unless_set(conf: Any, text: str, names: list[str]) -> None:
    assert [job.name for job in loaded(conf(text)).inventory.jobs] == names


def test_the_own_host_may_be_described_among_the_hosts(conf: Any) -> None:
    text = "[roles]\n[[web]]\ncollectors = NginxCollector, CPUCollector\n[hosts]\n[[OWN]]\nservice = shop\nrole = web\n"
    inventory = loaded(conf(text)).inventory
    assert inventory.own.service == "shop" and len(inventory.hosts) == 1
    assert sorted(job.name for job in inventory.jobs) == ["CPUCollector", "NginxCollector"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", True), ("[auth]\nallow_anonymous = read\n", False), ("[auth]\nfirst_admin = True\n", False),
        ("[auth]\n[[users]]\n[[[a]]]\ntoken = x\n", False),
    ],
)  # fmt: skip
def test_an_open_address_needs_someone_who_may_come_in(conf: Any, text: str, problem: bool) -> None:
    for address in ("0.0.0.0:1", "[::]:1", "example.com:1"):
        path = conf(f"[server]\nlisten = {address}\n{text}")
        if problem:
            with pytest.raises(ConfigError, match=r"\[auth\] \[\[users\]\], or set \[auth\] allow_anonymous"):
                loaded(path)
        else:
            loaded(path)


def test_a_secret_is_read_from_its_file(conf: Any) -> None:
    secret = conf("geheim\n", "secret")
    path = conf("[server]\nhandlers = InfluxDBHandler\n[auth]\n[[users]]\n")
    config = loaded(path, environ={
        "MONITOR__HANDLERS__INFLUXDBHANDLER__PASSWORD_FILE": str(secret),
        "MONITOR__AUTH__USERS__ADMIN__PASSWORD_FILE": str(secret),
        "MONITOR__SERVER__DATABASE_FILE": str(conf("postgresql://u:p@h/db\n", "url")),
        "MONITOR__SERVER__LISTEN": "127.0.0.1:7",
    })  # fmt: skip
    assert config.handlers[0].options["password"] == "geheim"
    assert config.users["admin"].password == "geheim"
    assert config.server.database == "postgresql://u:p@h/db"
    assert config.server.address.port == 7


def test_an_environments_value_is_taken_as_it_stands(conf: Any) -> None:
    environ = {"MONITOR__AUTH__USERS__A__PASSWORD": '"a # b', "MONITOR__AUTH__USERS__A__ROLE": "push"}
    assert loaded(conf(""), environ=environ).users["a"].password == '"a # b'


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing.conf: cannot be read: No such file"):
        loaded(tmp_path / "missing.conf")


def test_a_broken_plugin_is_named_and_the_others_are_there(conf: Any, tmp_path: Path) -> None:
    broken = conf("import nothing_like_this\n", "more/broken.py")
    conf("from monitor.collector import Collector\nclass ExtraCollector(Collector):\n    path = 'x'\n", "more/ok.py")
    with pytest.raises(ConfigError) as raised:
        loaded(conf(f"[server]\ncollectors_path = {tmp_path / 'more'}\n[collectors]\n[[ExtraCollector]]\n"))
    assert str(raised.value) == (
        f"{broken}:1: cannot be imported: ModuleNotFoundError: No module named 'nothing_like_this'"
    )


def test_loading_again_gives_the_same_classes_and_leaves_the_environment_alone(conf: Any) -> None:
    path, before = conf("[collectors]\n[[NginxCollector]]\nenabled = True\n"), dict(os.environ)
    first, second = loaded(path).inventory.jobs, loaded(path).inventory.jobs
    assert first == second and first[0].cls is second[0].cls
    assert dict(os.environ) == before


def test_three_thousand_hosts_load_and_share_their_options(conf: Any) -> None:
    hosts = "".join(f"[[10.0.{n // 250}.{n % 250}]]\nhostname = web{n}\nrole = web\n" for n in range(3000))
    config = loaded(conf(f"[roles]\n[[web]]\ncollectors = NginxCollector\n[hosts]\n{hosts}"))
    watched = [job for job in config.inventory.jobs if not job.target.local]
    assert len(watched) == 3000 and len({id(job.options) for job in watched}) == 1


def test_a_role_of_a_file_may_get_its_collectors_from_the_environment(conf: Any) -> None:
    path = conf("[roles]\n[[web]]\n[hosts]\n[[10.0.0.1]]\nrole = web\n")
    environ = {"MONITOR__ROLES__WEB__COLLECTORS": "NginxCollector, SNMPCollector",
               "MONITOR__ROLES__WEB__SNMPCOLLECTOR__COMMUNITY": "a#b"}  # fmt: skip
    jobs = loaded(path, environ=environ).inventory.jobs
    assert [job.name for job in jobs if not job.target.local] == ["NginxCollector", "SNMPCollector"]
    assert jobs[-1].options == {"community": "a#b"}


def test_the_environment_reaches_sections_that_are_in_no_file(conf: Any) -> None:
    environ = {
        "MONITOR__COLLECTORS__NGINXCOLLECTOR__ENABLED": "True",
        "MONITOR__COLLECTORS__NGINXCOLLECTOR_SECOND__REQ_PORT": "9",
        "MONITOR__HOSTS__2001_DB8__1__COMMENT": "six",
        "MONITOR__RECEIVERS__PUSH__PAST": "1h",
        "MONITOR__RETENTION__5M": "90d, MAX",
        "MONITOR_PORT": "tcp://10.0.0.1:80",
    }
    config = loaded(
        conf("[collectors]\n[[NginxCollector second]]\nenabled = True\n[hosts]\n[[2001:db8::1]]\n"), environ=environ
    )
    assert {job.name: job.options.get("req_port") for job in config.inventory.jobs} == {
        "NginxCollector": None, "NginxCollector second": 9, "CPUCollector": None,
    }  # fmt: skip
    assert config.inventory.hosts["2001:db8::1"].comment == "six"
    assert config.push.past == 3600
    (kept,) = config.retention_classes.classes
    assert (kept.tiers[0].step, kept.tiers[0].keep, *kept.tiers[0].functions) == (300, 90 * 86400.0, "MAX")


def test_a_host_may_leave_out_a_collector_of_its_role(conf: Any) -> None:
    text = "[roles]\n[[web]]\ncollectors = NginxCollector\n[hosts]\n[[a]]\nrole = web\n[[b]]\nrole = web\n"
    jobs = loaded(conf(text + "[[[NginxCollector]]]\nenabled = False\n")).inventory.jobs
    assert [job.target.host for job in jobs if not job.target.local] == ["a"]


def test_server_alone_is_read_from_a_configuration_that_is_wrong_elsewhere(conf: Any) -> None:
    path = conf("[server]\nlisten = 127.0.0.1:7\n[nonsense]\n")
    assert load_server([path], {}).address.port == 7
    assert load_server([path], {"MONITOR__SERVER__LISTEN": "127.0.0.1:8"}).address.port == 8
