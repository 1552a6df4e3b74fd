"""Kurado's inventory, read as it is: tests/cases/kurado_config, where a bad one gives the errors of its `expected`."""

from __future__ import annotations

import http.server
import json
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from appliance import appliance, wait_for
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor import census, yaml_file
from monitor.batch import Source
from monitor.cli import main
from monitor.config import Config, ConfigError, load
from monitor.inventory import Inventory, JobSpec
from monitor.naming import Paths

CASES = Path(__file__).parent / "cases" / "kurado_config"
SAMPLE = CASES / "sample"
BAD = sorted(path for path in CASES.glob("bad_*") if path.is_dir())


def loaded(file: Path, environ: dict[str, str] | None = None) -> Config:
    return load([file], environ or {}, find_hostname=lambda method, given: given or "own")


def watched(inventory: Inventory) -> list[object]:
    """Return the hosts and jobs of an inventory but the own one's, without the places that they stand in."""

    def parts(job: JobSpec) -> tuple[object, ...]:
        return job.target, job.cls, job.section, dict(job.options), job.path

    hosts = [spec for spec in inventory.hosts.values() if not spec.local]
    return [*hosts, *(parts(job) for job in inventory.jobs if not job.target.local)]


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """Return a function that writes an inventory of one service, and a configuration that reads it."""

    def write(hosts: str, metrics: str = "[base]", conf: str = "", main: str = "config: {rolls_dir: .}\n") -> Path:
        (tmp_path / "web.yml").write_text(f"metrics: {metrics}\n")
        service = f"---\nservice: shop\nservers:\n  - roll: web.yml\n    hosts: {hosts}\n"
        (tmp_path / "servers.yml").write_text(main + service)
        path = tmp_path / "monitor.conf"
        path.write_text(conf or "[hosts]\nkurado_config = servers.yml\n")
        return path

    return write


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True)
    (tmp_path / "monitor.conf").write_text("[hosts]\nkurado_config = servers.yml\n")
    return tmp_path / "monitor.conf"


@pytest.mark.parametrize("case", BAD, ids=lambda path: path.name)
def test_a_bad_inventory_gives_all_its_errors_at_once(
    case: Path, golden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case)
    with pytest.raises(ConfigError) as raised:
        loaded(Path("monitor.conf"))
    got = "".join(f"{problem}\n" for problem in raised.value.problems)
    if golden:
        (case / "expected").write_text(got)
    assert got == (case / "expected").read_text()


def test_the_sample_loads_with_its_services_labels_comments_and_roles(sample: Path) -> None:
    hosts = loaded(sample).inventory.hosts
    assert [(h.host, h.hostname, h.service, h.label, h.role, h.comment) for h in hosts.values() if not h.local] == [
        ("192.0.2.11", "www1.example.com", "サービス 一", "www", "httpd.yml", 'first rack, "left"'),
        ("192.0.2.12", "www2.example.com", "サービス 一", "www", "httpd.yml", ""),
        # A group without a label goes on with the section above it, of whatever role.
        ("192.0.2.13", "www3.example.com", "サービス 一", "www", "httpd_memcached.yml", "cache"),
        ("192.0.2.14", "192.0.2.14", "サービス 一", "www", "httpd_memcached.yml", ""),
        ("192.0.2.21", "db1.example.com", "サービス 一", "db", "mysql.yml", "master # 1"),
        ("2001:db8::22", "db2.example.com", "サービス 一", "db", "mysql.yml", "Bob's"),
        ("192.0.2.31", "batch1.example.com", "batch", "", "base.yml", ""),
    ]
    assert {host.pushed for host in hosts.values() if not host.local} == {("base",)}


def test_a_plugin_that_a_collector_stands_in_for_is_its_job_and_keeps_its_identifier(sample: Path) -> None:
    jobs = {job.target.host: job for job in loaded(sample).inventory.jobs if not job.target.local}
    assert {host: job.name for host, job in jobs.items()} == {
        "192.0.2.11": "NginxCollector 8081:/status", "192.0.2.12": "NginxCollector 8081:/status",
        "192.0.2.13": "NginxCollector", "192.0.2.14": "NginxCollector",
    }  # fmt: skip
    assert jobs["192.0.2.11"].options == {"req_port": 8081, "req_path": "/status"}
    # Kurado's default, not that of the collector.
    assert jobs["192.0.2.13"].options == {"req_port": 80, "req_path": "/nginx_status"}


def test_a_path_tells_a_plugin_with_a_slash_in_its_arguments_from_others(sample: Path) -> None:
    paths = Paths(loaded(sample).inventory)
    assert paths.path(Source("192.0.2.11", "nginx", "8081:/status")) == "servers.www1_example_com.nginx.8081:_status"
    assert paths.path(Source("192.0.2.13", "nginx", "")) == "servers.www3_example_com.nginx"


def test_unknown_plugins_are_warned_of_with_the_line_of_their_role(sample: Path) -> None:
    rolls = sample.parent / "sample_rolls"
    warnings = loaded(sample).warnings
    unknown = [str(warning).partition(":")[0::2] for warning in warnings if "unknown plugin" in warning.message]
    assert [(file, text.partition(";")[0].partition(": no ")[0]) for file, text in unknown] == [
        (str(rolls / "httpd.yml"), "3: metrics: unknown plugin 'http'"),
        (str(rolls / "httpd_memcached.yml"), "4: metrics: unknown plugin 'http'"),
        (str(rolls / "httpd_memcached.yml"), "5: metrics: unknown plugin 'memcached'"),
        (str(rolls / "mysql.yml"), "6: metrics: unknown plugin 'mysql'"),
        (str(rolls / "mysql.yml"), "7: metrics: unknown plugin 'innodb'"),
    ]
    (other,) = [warning.message for warning in warnings if "unknown plugin" not in warning.message]
    assert "redis" in other and "web_worker" in other and "rolls_dir" not in other


def test_a_plugin_whose_graphs_are_there_is_expected_from_the_agent(site: Any, tmp_path: Path) -> None:
    (tmp_path / "graphs" / "process").mkdir(parents=True)
    conf = f"[server]\ngraphs_path = {tmp_path / 'graphs'}\n[hosts]\nkurado_config = servers.yml\n"
    config = loaded(site("[192.0.2.1]", "[process:a, base, process, ../process, process]", conf))
    assert config.inventory.hosts["192.0.2.1"].pushed == ("process:a", "base", "process")
    assert [warning.message.split(":")[0] for warning in config.warnings] == ["unknown plugin '../process'"]


def test_settings_for_plugins_are_laid_over_each_other_one_level_deep(site: Any, tmp_path: Path) -> None:
    main = "config: {rolls_dir: .}\nmetrics_config: {MySQL: {user: a, password: 012}, Other: {x: [yes, ~]}}\n"
    path = site("[192.0.2.1]", "[base]\nmetrics_config: {MySQL: {port: 3307}}", main=main)
    role = loaded(path).roles["web.yml"]
    assert json.loads(role.metrics_config) == {"MySQL": {"port": "3307"}, "Other": {"x": ["yes", None]}}


def test_what_passwords_a_role_has_is_not_shown(site: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = site("[192.0.2.1]", main="config: {rolls_dir: .}\nmetrics_config: {MySQL: {password: geheim}}\n")
    assert main(["config", "-c", str(path)]) == 0
    assert "geheim" not in capsys.readouterr().out


def test_hosts_of_both_kinds_and_roles_laid_over_kurados_go_together(site: Any) -> None:
    conf = (
        "[roles]\n[[web.yml]]\n[[[NginxCollector 81]]]\nreq_ssl = True\n"
        "[hosts]\nkurado_config = servers.yml\n[[192.0.2.9]]\nrole = web.yml\n"
    )
    config = loaded(site("[192.0.2.1 www1]", "[base, 'nginx:81']", conf), {"MONITOR__HOSTS__192_0_2_1__COMMENT": "new"})
    jobs = {job.target.host: job.options for job in config.inventory.jobs if not job.target.local}
    assert list(jobs) == ["192.0.2.1", "192.0.2.9"]
    assert jobs["192.0.2.1"] == jobs["192.0.2.9"] == {"req_port": 81, "req_path": "/nginx_status", "req_ssl": True}
    assert config.inventory.hosts["192.0.2.1"].comment == "new"


def test_the_environment_may_name_the_inventory(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site("[192.0.2.1 www1]", conf="[hosts]\n")
    monkeypatch.chdir(path.parent)
    config = loaded(path, {"MONITOR__HOSTS__KURADO_CONFIG": "servers.yml"})
    assert "192.0.2.1" in config.inventory.hosts


def test_of_hosts_of_one_name_the_first_is_called_by_it_and_paths_stay_apart(site: Any) -> None:
    config = loaded(site("[192.0.2.1 www, 192.0.2.2 www, 192.0.2.3 own, 192.0.2.4 192.0.2.1]"))
    texts = [warning.message for warning in config.warnings]
    assert [text.partition(";")[0] for text in texts] == [
        "www is also the name of [hosts] [[192.0.2.1]]",
        "own is also the name of this machine, watched anyway",
        "192.0.2.1 is also the name of [hosts] [[192.0.2.1]]",
    ]
    found = config.inventory.find("www")
    assert found is not None and found.host == "192.0.2.1"
    paths = Paths(config.inventory)
    hosts = ["own", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
    assert [paths.path(Source(host, "app", "")) for host in hosts] == [
        "servers.own.app", "servers.www.app", "servers.192_0_2_2.app", "servers.192_0_2_3.app", "servers.192_0_2_4.app",
    ]  # fmt: skip


def test_check_prints_the_hosts_of_every_service(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", str(sample)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[:5] == [
        "Hosts by service:",
        "  service      hosts",
        "  batch            1",
        "  サービス 一      6",
        "  total            7",
    ]
    assert f"warning: {sample.parent / 'sample_rolls' / 'mysql.yml'}:7: metrics: unknown plugin 'innodb'" in err
    assert len({census.width(line) for line in out.splitlines()[1:5]}) == 1


def test_what_import_prints_gives_the_same_inventory(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "kurado", str(sample.parent / "servers.yml")]) == 0
    out, err = capsys.readouterr()
    assert "unknown plugin 'innodb'" in err
    again = sample.parent / "again.conf"
    again.write_text(out)
    before, after = loaded(sample), loaded(again)
    assert watched(after.inventory) == watched(before.inventory)
    assert {name: json.loads(role.metrics_config) for name, role in after.roles.items()} == {
        name: json.loads(role.metrics_config) for name, role in before.roles.items()
    }


def test_import_prints_errors_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "kurado", str(CASES / "bad_services" / "servers.yml")]) == 78
    out, err = capsys.readouterr()
    assert not out and "duplicate address" in err
    assert main(["import", "kurado", str(tmp_path / "none.yml")]) == 78
    assert "cannot be read: No such file" in capsys.readouterr().err


WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=8)
TEXT = st.lists(WORD | st.text("'\"#,=[]%:{}\\", min_size=1, max_size=4), min_size=1, max_size=4).map(" ".join)


def written(value: object) -> str:
    """Return a value as JSON, which is YAML too."""
    return json.dumps(value, ensure_ascii=False)


@settings(max_examples=40, deadline=None, database=None)
@given(TEXT, TEXT, WORD, TEXT, st.text("'/:[]#, \"=", max_size=6))
@example("'", '"', "a#b", "'''", ":80:/a b#c,d")
@example("[x]", "x # y", "'q'", '"""', ":80:/[a]'")
def test_any_names_survive_the_import(
    tmp_path_factory: pytest.TempPathFactory, service: str, label: str, hostname: str, comment: str, argument: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "a 'b.yml").write_text(written({"metrics": ["base", f"nginx:81:/x{argument}"]}))
    group = {"roll": "a 'b.yml", "label": label, "hosts": [f"192.0.2.1 {hostname} {comment}"]}
    documents = [
        {"config": {"rolls_dir": "."}, "metrics_config": {"a": comment}},
        {"service": service, "servers": [group]},
    ]
    (folder / "servers.yml").write_text("\n---\n".join(map(written, documents)))
    (folder / "monitor.conf").write_text("[hosts]\nkurado_config = servers.yml\n")
    before = loaded(folder / "monitor.conf")
    (spec,) = [spec for spec in before.inventory.hosts.values() if not spec.local]
    assert (spec.service, spec.label, spec.hostname, spec.comment) == (service, label, hostname, comment)
    output = folder / "again.conf"
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda text="", **more: lines.append(text) if "file" not in more else None)
        code = main(["import", "kurado", str(folder / "servers.yml")])
    if "'" in argument and '"' in argument:
        assert code == 78
        return
    assert code == 0
    output.write_text("\n".join(lines) + "\n")
    after = loaded(output)
    assert watched(after.inventory) == watched(before.inventory)
    assert after.roles["a 'b.yml"].metrics_config == before.roles["a 'b.yml"].metrics_config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "at most 32 deep"), ("- " * 100_000, "at most 32 deep"), ("? " * 100_000, "at most 32 deep"),
        ("a: &a [*a]", "an anchor above it, got *a"), ("a: 1\nb: 2\na: 3", "'a' is given twice; first in line 1"),
        ("? [a]\n: b", "a text as key, got a list"), ("\x01", "control characters"), ("%YAML 3.0\n---\na", "YAML"),
    ],
)  # fmt: skip
def test_a_file_that_means_harm_is_an_error(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text(text)
    _, (problem,) = yaml_file.read(path)
    assert words in problem.message and problem.line


def test_aliases_count_as_what_they_stand_for(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path.write_text("\n".join(lines))
    _, (problem,) = yaml_file.read(path)
    assert problem.line == 6 and "at most 1000000 values" in problem.message


def test_a_file_too_large_or_not_utf8_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    (problem,) = yaml_file.read(path)[1]
    assert (problem.line, problem.message) == (2, "not UTF-8 text: byte 0xff")
    monkeypatch.setattr(yaml_file, "MOST_BYTES", 10)
    path.write_bytes(b"a: 1234567890")
    (problem,) = yaml_file.read(path)[1]
    assert "expected at most" in problem.message


@settings(max_examples=66, deadline=None, database=None)
@given(st.binary(max_size=200) | st.text("-: []{}&*?|>!%@`'\"#,\na1", max_size=60).map(str.encode))
def test_any_bytes_give_documents_and_problems_but_no_exception(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.yml").write_bytes(data)
    (folder / "any.conf").write_text("[hosts]\nkurado_config = any.yml\n")
    with pytest.raises(ConfigError):
        loaded(folder / "any.conf")


class StubStatus(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = b"Active connections: 1 \nserver accepts handled requests\n 1 1 1 \nReading: 0 Writing: 1 Waiting: 0 \n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def nginx_port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StubStatus)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_reload_takes_a_new_inventory_whole_or_not_at_all(tmp_path: Path, nginx_port: int) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    inventory, role = folder / "servers.yml", folder / "web.yml"
    role.write_text(f"metrics: [base, 'nginx:{nginx_port}']\n")

    def write(hosts: str) -> None:
        inventory.write_text(
            f"config: {{rolls_dir: .}}\n---\nservice: shop\nservers:\n  - roll: web.yml\n    hosts: {hosts}\n"
        )

    write("[127.0.0.1 first, 127.0.0.2 second]")
    config = "[collectors]\n[[default]]\ninterval = 1\n[hosts]\nkurado_config = servers.yml\n"
    with appliance(folder, config) as one:

        def job(host: str) -> dict[str, Any]:
            found: dict[str, Any] = one.json(f"/api/v1/hosts/{host}")
            (job,) = [each for each in found["collectors"] if each["collector"] == "nginx"]
            return job

        def names() -> list[str]:
            return [host["hostname"] for host in one.json("/api/v1/hosts")["hosts"]][1:]

        def reload(event: str) -> str:
            seen = one.log.read_text().count(f"event={event}")
            assert one.process is not None
            one.process.send_signal(signal.SIGHUP)
            wait_for(lambda: one.log.read_text().count(f"event={event}") > seen)
            return next(line for line in reversed(one.log.read_text().splitlines()) if f"event={event}" in line)

        wait_for(lambda: job("127.0.0.1")["runs"] >= 2 and job("127.0.0.2")["runs"] >= 2)
        before = job("127.0.0.1")
        write("[127.0.0.1 first, 127.0.0.2 renamed, 127.0.0.3 third]")
        reload("reloaded")
        assert names() == ["first", "renamed", "third"]
        after = job("127.0.0.1")
        # The same job goes on: it counts further, its runs stay a whole number of intervals apart.
        assert after["runs"] >= before["runs"] and after["failures"] == 0
        assert (after["next_run"] - before["next_run"]) % 1 == pytest.approx(0, abs=1e-6)
        wait_for(lambda: job("127.0.0.3")["runs"] >= 1)

        write("[127.0.0.1 first, 127.0.0.1 again]")
        told = reload("reload.refused")
        assert f"{inventory}:6: service shop hosts: duplicate address: 127.0.0.1" in told
        assert names() == ["first", "renamed", "third"]
        runs = job("127.0.0.1")["runs"]
        assert runs >= after["runs"]
        wait_for(lambda: job("127.0.0.1")["runs"] > runs)
