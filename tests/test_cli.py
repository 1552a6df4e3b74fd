"""The command line, without the application behind it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from loading import FOLDER, PLUGINS, loaded

from monitor.cli import main
from monitor.sample import sample
from monitor.values import MASK

ROOT = Path(__file__).resolve().parent.parent
PATHS = f"[server]\ncollectors_path = {PLUGINS / 'collectors'}\nhandlers_path = {PLUGINS / 'handlers'}\n"


@pytest.fixture
def conf(tmp_path: Path) -> Any:
    def write(text: str = "", name: str = "a.conf") -> str:
        path = tmp_path / name
        path.write_text(PATHS + text)
        return str(path)

    return write


def test_check_prints_ok_and_warnings_apart(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", conf("user = diamond\n")]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "OK"
    assert err.startswith("warning: ") and "user" in err


def test_check_prints_every_error_and_exits_with_78(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = conf("lisen = x\nconcurrency = 0\n")
    assert main(["check", "-c", path]) == 78
    out, err = capsys.readouterr()
    assert not out
    assert err.splitlines()[0].startswith(f"{path}:4: [server] lisen: unknown key; did you mean listen?")
    assert err.splitlines()[1].startswith(f"{path}:5: [server] concurrency: expected a whole number from 1")


def test_a_later_file_counts_more(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = conf("listen = 127.0.0.1:1\n", "1.conf"), conf("listen = 127.0.0.1:2\n", "2.conf")
    assert main(["config", "-c", first, "-c", second]) == 0
    assert f"listen = 127.0.0.1:2  # {second}:4\n" in capsys.readouterr().out


def test_config_shows_origins_and_no_secret(
    conf: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONITOR__SERVER__CONCURRENCY", "7")
    monkeypatch.setenv("MONITOR__AUTH__USERS__ANNA__TOKEN", "geheim-1")
    path = conf(
        "database = postgresql://u:geheim-2@h/db\nhandlers = InfluxDBHandler\n[handlers]\n[[InfluxDBHandler]]\n"
        "password = geheim-3\n[auth]\n[[users]]\n[[[bob]]]\npassword = geheim-4\n[roles]\n[[web]]\n"
        "collectors = SNMPCollector\n[[[SNMPCollector]]]\ncommunity = geheim-5\n[hosts]\n[[10.0.0.1]]\nrole = web\n"
    )
    assert main(["config", "-c", path, "--data-dir", "/x"]) == 0
    out = capsys.readouterr().out
    assert "geheim" not in out
    for line in (
        "concurrency = 7  # $MONITOR__SERVER__CONCURRENCY",
        "data_dir = /x  # --data-dir",
        f"database = postgresql://u:{MASK}@h/db  # {path}:4",
        f"password = {MASK}  # {path}:8",
        f"token = {MASK}  # $MONITOR__AUTH__USERS__ANNA__TOKEN",
        f"community = {MASK}  # {path}:17",
        "start_wait = 30  # default",
    ):
        assert line in out.splitlines()


def test_an_error_shows_no_secret(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    main(
        ["check", "-c", conf("database = mysql://u:geheim@h/db\n[auth]\n[[users]]\n[[[a]]]\npassword_hash = geheim\n")]
    )
    assert "geheim" not in capsys.readouterr().err


def test_the_effective_configuration_is_one_that_loads(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = conf((FOLDER / "hosts.good.conf").read_text().replace("[server]\n", "", 1))
    assert main(["config", "-c", path]) == 0
    again = Path(path).with_name("again.conf")
    again.write_text(capsys.readouterr().out)
    assert main(["check", "-c", str(again)]) == 0


def test_the_sample_loads_as_it_is_and_with_every_line_set(tmp_path: Path) -> None:
    text = sample(loaded().registry)
    path = tmp_path / "sample.conf"
    path.write_text(text)
    loaded(path)
    everything = re.sub(r"(?m)^#(?=[^ ])", "", text).replace('password = ""\n', "password = x\n")
    everything = everything.replace("collectors =\n", "collectors = NginxCollector\n", 1).replace(
        'role = ""', "role = web", 1
    )
    path.write_text(everything)
    config = loaded(path)
    assert config.inventory.hosts["10.0.0.1"].role == "web"
    assert config.server.origins.keys() >= {"listen", "handlers", "max_series"}


@pytest.mark.parametrize("name", ["NginxCollector", "nginx", "InfluxdbHandler"])
def test_a_sample_of_one_plugin_names_its_options(name: str, tmp_path: Path) -> None:
    text = sample(loaded().registry, name)
    path = tmp_path / "sample.conf"
    path.write_text(re.sub(r"(?m)^#(?=[^ ])", "", text))
    loaded(path)
    assert ("#req_port = 8080" in text) != ("#precision = s" in text)
    assert "from 1 to 65535" in text or "s or ms" in text


def test_a_sample_of_nothing_known_says_what_there_is(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample-config", "-c", conf(), "NginxColector"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("no collector or handler") and "NginxCollector" in err


def test_usage_errors_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["fly"], ["run", "--log-level", "loud"]):
        with pytest.raises(SystemExit) as raised:
            main(arguments)
        assert raised.value.code == 2
    assert "expected one of DEBUG" in capsys.readouterr().err


@pytest.fixture
def server() -> Iterator[tuple[int, list[int]]]:
    """A web server that answers /healthz with the status in the list."""
    status = [200]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0] if self.path == "/healthz" else 404)
            self.end_headers()
            self.wfile.write(b'{"lag": 0.001}')

        def log_message(self, *args: object) -> None:
            """Be quiet."""

    with HTTPServer(("127.0.0.1", 0), Answer) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield httpd.server_port, status
        httpd.shutdown()
        thread.join()


def test_healthcheck_tells_by_its_exit_code(
    conf: Any, server: tuple[int, list[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    port, status = server
    path = conf(f"listen = 0.0.0.0:{port}\n[auth]\nallow_anonymous = read\n")
    assert main(["healthcheck", "-c", path]) == 0
    status[0] = 503
    assert main(["healthcheck", "-c", path]) == 1
    assert "lag" in capsys.readouterr().err


def test_healthcheck_fails_where_nothing_listens(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", "-c", conf("listen = 127.0.0.1:1\n")]) == 1
    assert "127.0.0.1:1 does not answer" in capsys.readouterr().err


def test_collect_prints_names_values_and_kinds(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "NginxCollector", "-c", conf()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(" nginx")
    assert "  req_handled 9223372036854775808 derive" in lines
    assert "  active_connections 1.5 gauge" in lines
    assert "  act_reads nan gauge" in lines
    assert "  version = 1.22" in lines


def test_collect_as_json_is_what_push_takes(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "nginxcollector", "-c", conf(), "--json", "--host", "10.0.0.9"]) == 0
    (batch,) = json.loads(capsys.readouterr().out)["batches"]
    assert (batch["host"], batch["collector"], batch["instance"]) == ("10.0.0.9", "nginx", "")
    assert batch["values"] == {"req_handled": 2**63, "active_connections": 1.5, "act_reads": None}
    assert batch["kinds"]["req_handled"] == "derive"


def test_collect_says_why_it_failed(conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", "CPUCollector", "-c", conf()]) == 1
    assert "CPUCollector has no collect()" in capsys.readouterr().err
    assert main(["collect", "CPUCollector", "-c", conf(), "--host", "10.0.0.9"]) == 1
    assert "reads only the machine that this program runs on" in capsys.readouterr().err
    assert main(["collect", "NginxColector", "-c", conf()]) == 1
    assert "did you mean NginxCollector?" in capsys.readouterr().err


def test_collect_gives_up_when_the_time_is_over(tmp_path: Path, conf: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "slow.py").write_text(
        "import asyncio\nfrom monitor.collector import Collector\nclass SlowCollector(Collector):\n"
        "    path = 'slow'\n    async def collect(self):\n        await asyncio.sleep(60)\n"
    )
    text = f"[server]\ncollectors_path = {tmp_path}\n[collectors]\n[[default]]\ninterval = 2\ntimeout = 0.2\n"
    path = tmp_path / "slow.conf"
    path.write_text(text)
    assert main(["collect", "SlowCollector", "-c", conf(), "-c", str(path)]) == 1
    assert "SlowCollector of" in (err := capsys.readouterr().err) and "no answer in time" in err


def test_version_and_check_bring_neither_the_application_nor_the_font_engine(conf: Any) -> None:
    heavy = "print([n for n in ('monitor.app', 'monitor.web', 'matplotlib', 'uvloop') if n in sys.modules])"
    code = f"import sys; from monitor.cli import main; main(['version']); main(['check', '-c', sys.argv[1]]); {heavy}"
    done = subprocess.run([sys.executable, "-c", code, conf()], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("monitor ")
    assert done.stdout.splitlines()[-2:] == ["OK", "[]"]
