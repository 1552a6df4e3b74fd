"""`monitor import sorabeat`: what it prints is a configuration that `monitor check` is content with."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import main
from monitor.config import Config, load

PACKAGED = """\
sorabeat.config.modules:
  # Glob pattern for configuration loading
  path: ${path.config}/modules.d/*.yml
  reload.enabled: false
setup.template.settings:
  index.number_of_shards: 1
  index.codec: best_compression
setup.kibana:
output.elasticsearch:
  hosts: ["localhost:9200"]
"""


class Imported:
    """What came of files: the lines, what was said beside them, and the configuration that they are."""

    def __init__(self, code: int, out: str, err: str, config: Config | None) -> None:
        self.code, self.out, self.err, self._config = code, out, err, config

    @property
    def config(self) -> Config:
        assert self._config is not None, self.err
        return self._config

    @property
    def warnings(self) -> list[str]:
        """What is said beside the main file's name."""
        return [line.partition("/sorabeat.yml:")[2] for line in self.err.splitlines()]

    def handler(self, name: str) -> dict[str, Any]:
        return dict(next(spec for spec in self.config.handlers if spec.name == name).options)

    def jobs(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            (job.target.host, job.target.address, dict(job.options))
            for job in self.config.inventory.jobs if job.cls.__name__ == "SoraCollector"
        ]  # fmt: skip


@pytest.fixture
def imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*files: str, main_file: str = "", **modules: str) -> Imported:
        paths = []
        for number, text in enumerate([main_file, *files] if main_file else files):
            paths.append(tmp_path / f"sorabeat{number or ''}.yml")
            paths[-1].write_text(text)
        (tmp_path / "modules.d").mkdir(exist_ok=True)
        for name, text in modules.items():
            (tmp_path / "modules.d" / f"{name}.yml").write_text(text)
        code = main(["import", "sorabeat", *map(str, paths)])
        told = capsys.readouterr()
        if code:
            return Imported(code, told.out, told.err, None)
        made = tmp_path / "made.conf"
        made.write_text(told.out)
        assert main(["check", "-c", str(made), "--data-dir", str(tmp_path)]) == 0
        assert capsys.readouterr().out.endswith("OK\n")
        config = load([made], {}, {"data_dir": str(tmp_path)}, find_hostname=lambda method, name: name or "own")
        return Imported(code, told.out, told.err, config)

    return run


def test_the_packaged_files_give_the_same_question_and_the_same_index(imported: Any) -> None:
    module = '- module: sora\n  metricsets: ["stats", "connections"]\n  period: 5s\n  hosts: ["localhost:3000"]\n'
    found = imported(PACKAGED, sora=module)
    assert found.out == (
        "# made of Sorabeat's configuration by monitor import sorabeat\n\n"
        "[server]\nhandlers = ElasticsearchHandler\n\n"
        "[handlers]\n\n[[ElasticsearchHandler]]\nurls = http://localhost:9200/\nindex = sorabeat-6.0.0-%Y.%m.%d\n\n"
        "[collectors]\n\n[[SoraCollector]]\nenabled = True\nurl = http://localhost:3000/\n"
        "metricsets = stats, connections\ninterval = 5\n"
    )
    ((host, _, options),) = found.jobs()
    assert (host, options["interval"], options["metricsets"]) == ("own", 5.0, ["stats", "connections"])
    assert found.handler("ElasticsearchHandler")["urls"] == ["http://localhost:9200/"]
    assert found.warnings == [
        "4: sorabeat.config: not taken over: a reload is asked for by SIGHUP",
        "6: setup.template: not taken over: use monitor setup elasticsearch",
    ]


def test_an_output_with_everything_becomes_a_handler_with_everything(imported: Any, tmp_path: Path) -> None:
    found = imported(
        """\
name: sora-1
logging.level: warning
sorabeat.modules:
- module: sora
  metricsets: [stats]
  hosts: localhost
output:
  elasticsearch:
    hosts: ["es1", "https://es2:9243/base"]
    protocol: https
    path: /es
    username: elastic
    password: "pass#word"
    index: "sora-%{[metricset.name]}-%{[beat.version]}-%{+yyyy.MM.dd}"
    pipeline: geo
    bulk_max_size: 200
    timeout: 30
    compression_level: 0
    worker: 2
    max_retries: 3
    headers:
      X-One: 1
      X-Two: 2
    ssl.certificate_authorities: ["/etc/ca.pem", "/etc/other.pem"]
    ssl.certificate: "client.pem"
    ssl:
      key: ${path.config}/client.key
      verification_mode: none
"""
    )
    assert found.config.server.hostname == "sora-1"
    assert found.config.logging.level == "WARNING"
    options = found.handler("ElasticsearchHandler")
    assert options == {
        "urls": ["https://es1:9200/es", "https://es2:9243/base"], "username": "elastic", "pipeline": "geo",
        "index": "sora-{metricset}-6.0.0-%Y.%m.%d", "documents": 200, "timeout": 30.0, "gzip": False,
        "tls_ca": Path("/etc/ca.pem"), "tls_cert": tmp_path / "client.pem", "tls_key": tmp_path / "client.key",
        "tls_verify": False,
    }  # fmt: skip
    assert "pass#word" not in found.out + found.err
    assert "#password_file = /etc/monitor/secrets/elasticsearch-password" in found.out
    assert found.warnings == [
        "13: output.elasticsearch.password: not printed: put it into /etc/monitor/secrets/elasticsearch-password, and"
        " take the # from password_file",
        "19: output.elasticsearch.worker: without effect here: one request is under way at a time",
        "20: output.elasticsearch.max_retries: without effect here: what is not taken is sent again for as long as the"
        " journal reaches back",
        "22: output.elasticsearch.headers: without effect here",
        "24: output.elasticsearch.ssl.certificate_authorities: only the first is taken over; put all of them into one"
        " file",
    ]


def test_logstash_gets_what_sorabeat_sent_over_the_beats_input(imported: Any) -> None:
    found = imported(
        """\
output.logstash:
  hosts: ["ls1:5044", "ls2"]
  index: customer
  bulk_max_size: 1024
  compression_level: 5
  loadbalance: true
  ssl.certificate_authorities: [/etc/ca.pem]
""",
        '- module: sora\n  metricsets: ["connections"]\n  hosts: ["127.0.0.1:3000"]\n',
    )
    assert found.handler("LogstashHandler") == {
        "protocol": "beats", "hosts": ["ls1:5044", "ls2"], "beat": "customer", "documents": 1024,
        "compression_level": 5, "tls": True, "tls_ca": Path("/etc/ca.pem"),
    }  # fmt: skip
    assert found.warnings == [
        "6: output.logstash.loadbalance: without effect here: the first host that answers is used"
    ]
    assert found.jobs()[0][2]["metricsets"] == ["connections"]


def test_several_hosts_become_hosts_with_roles(imported: Any) -> None:
    found = imported(
        """\
- module: sora
  metricsets: [stats, connections]
  period: 1m30s
  timeout: 8s
  hosts: ["sora1:3000", "https://user:secret@10.0.0.5/sora-api", "localhost:3000", "localhost:3001", "sora1:3001"]
- module: sora
  metricsets: [stats]
  period: 500ms
  hosts: "[2001:db8::1]"
  headers:
    Authorization: Bearer secret
    X-Tenant: a
"""
    )
    jobs = {host: (address, options) for host, address, options in found.jobs()}
    assert list(jobs) == ["own", "sora1", "10.0.0.5", "localhost-3001", "sora1-3001", "2001:db8::1"]
    assert {host: options["url"] for host, (_, options) in jobs.items()} == {
        "own": "http://localhost:3000/", "sora1": "http://sora1:3000/", "10.0.0.5": "https://10.0.0.5:3000/sora-api",
        "localhost-3001": "http://localhost:3001/", "sora1-3001": "http://sora1:3001/",
        "2001:db8::1": "http://[2001:db8::1]:3000/",
    }  # fmt: skip
    assert jobs["sora1-3001"][0] == "sora1"
    assert jobs["localhost-3001"][0] == "localhost"
    assert {options["interval"] for _, options in jobs.values()} == {90.0, 1.0}
    assert jobs["sora1"][1]["timeout"] == 8.0
    assert jobs["2001:db8::1"][1]["timeout"] is None
    assert jobs["10.0.0.5"][1]["username"] == "user"
    assert jobs["2001:db8::1"][1]["headers"] == ["X-Tenant: a"]
    assert "secret" not in (found.out + found.err).replace("/secrets/", "")
    assert "#token_file = /etc/monitor/secrets/sora-token" in found.out
    assert "period: expected 1 s to 1 day, got 0.5 s; it is 1 s" in found.err


def test_one_sora_in_two_modules_is_asked_at_once(imported: Any) -> None:
    found = imported(
        "- {module: sora, metricsets: [stats], period: 10s, hosts: [localhost]}\n"
        "- {module: sora, metricsets: [connections], period: 5s, hosts: ['localhost:3000'], username: a}\n"
        "- {module: system, metricsets: [cpu]}\n"
        "- {module: sora, enabled: false, hosts: [elsewhere]}\n"
    )
    ((_, _, options),) = found.jobs()
    assert (options["metricsets"], options["interval"]) == (["stats", "connections"], 5.0)
    assert found.warnings == [
        "2: period: http://localhost:3000/ is asked for all its metricsets every 5 s, which here are one collection",
        "2: username: http://localhost:3000/ stands in two modules; this one's username is not taken over",
        "3: module: module system is not taken over: only sora is Sorabeat's own",
    ]


def test_a_later_file_counts_more_and_cloud_settings_are_addresses(imported: Any) -> None:
    cloud = b64encode(b"eu.example.com$es-1$kibana-1").decode()
    found = imported(
        "output.elasticsearch.hosts: [old]\nname: a\n",
        f"cloud.id: 'my:{cloud}'\ncloud.auth: 'elastic:secret'\nname: b\n",
        "- {module: sora, metricsets: [stats], hosts: [localhost]}\n",
    )
    options = found.handler("ElasticsearchHandler")
    assert options["urls"] == ["https://es-1.eu.example.com:443"]
    assert options["username"] == "elastic"
    assert found.config.server.hostname == "b"
    assert "elastic:secret" not in found.out + found.err


def test_what_has_no_counterpart_is_told_with_its_line(imported: Any) -> None:
    found = imported(
        """\
output.kafka.hosts: [a]
output.elasticsearch:
  enabled: false
  hosts: [x]
tags: [one]
processors:
- drop_fields: {fields: [a]}
queue.mem.events: 1
sorabeat.max_start_delay: 0
output.logstash:
  hosts: ["${LOGSTASH}", "${OTHER:fallback}:5044"]
sorabeat.modules:
- {module: sora, hosts: [localhost], fields: {env: test}}
"""
    )
    assert [spec.name for spec in found.config.handlers] == ["LogstashHandler"]
    assert found.handler("LogstashHandler")["hosts"] == ["fallback:5044"]
    assert found.warnings == [
        "1: output.kafka: not taken over",
        "5: tags: not taken over",
        "7: processors: not taken over: see include and exclude of SoraCollector",
        "8: queue: not taken over: the journal on the disk is the queue",
        "9: sorabeat.max_start_delay: not taken over: collections are spread over the interval by themselves",
        "11: output.logstash.hosts: not taken over: ${LOGSTASH} is a variable of Sorabeat's environment or keystore",
        "13: fields: not taken over",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("output.elasticsearch: [", "did not find expected node content"),
        (
            "- {module: sora, metricsets: [stat], hosts: [a]}",
            ":1: metricsets: expected stats or connections",
        ),
        ("- {module: sora, metricsets: [stats]}", ":1: hosts: a module needs hosts"),
        ("- {module: sora, hosts: ['ftp://a:b@c/']}", ":1: hosts: expected HOST, HOST:PORT or a URL, got 'ftp://c/'"),
        ("- {module: sora, hosts: ['a b']}", ":1: hosts: expected HOST, HOST:PORT or a URL, got 'http://a b'"),
        ("- {module: sora, hosts: ['a:99999']}", ":1: hosts: expected HOST, HOST:PORT or a URL"),
        ("- {module: sora, hosts: [[a]]}", ":1: hosts: expected a text, got a list"),
        ("- {module: sora, hosts: [a], period: soon}", ":1: period: expected a duration such as 10s, got 'soon'"),
        ("- {module: sora, hosts: [a], enabled: maybe}", ":1: enabled: expected true or false, got 'maybe'"),
        ("- just text", ":1: sorabeat.modules: expected a module's settings, got 'just text'"),
        ("output.elasticsearch.bulk_max_size: many", "expected a whole number, got 'many'"),
        ("output.elasticsearch.ssl.verification_mode: some", "expected full or none, got 'some'"),
        ("cloud.id: '%%'", "cloud.id: expected NAME:BASE64, got '%%'"),
        ("text", ":1: expected settings or a list of modules, got 'text'"),
    ],
)
def test_bad_input_is_told_with_its_place(imported: Any, text: str, problem: str) -> None:
    found = imported(text)
    assert found.code == 78
    assert found.out == ""
    assert problem in found.err


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "sorabeat", str(tmp_path / "none.yml")]) == 78
    assert "none.yml: cannot be read: No such file or directory" in capsys.readouterr().err
    assert main(["import", "kurado", "a", "b"]) == 2
    assert "expected one file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("index", "made"),
    [
        ("sorabeat-%{+yyyy.MM.dd}", "sorabeat-%Y.%m.%d"),
        ("sorabeat-%{+xxxx.ww}", "sorabeat-%G.%V"),
        ("%{[metricset][module]}-x", "{module}-x"),
        ("plain", "plain"),
        ("sorabeat-%{[fields.env]}", "sorabeat-6.0.0-%Y.%m.%d"),
    ],
)
def test_indices_are_said_in_our_words(imported: Any, index: str, made: str) -> None:
    module = "- {module: sora, metricsets: [stats], hosts: [localhost]}\n"
    found = imported(f'output.elasticsearch.index: "{index}"\n', module)
    assert found.handler("ElasticsearchHandler")["index"] == made
    assert ("says what has no word here" in found.err) == ("fields.env" in index)
