"""Diamond's own configurations, its example and two that grew: they load as they are, and what they ask for happens."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from appliance import Appliance, free_port, wait_for
from servers_nginx import Nginx, nginx

from collectors.diskspace import FILE_SYSTEMS, DiskSpaceCollector
from collectors.memory import MemoryCollector
from collectors.network import NetworkCollector
from monitor import effective, log
from monitor.batch import Batch, Kind, Source
from monitor.cli import main
from monitor.collector import CollectError, Collector, Target
from monitor.config import Config, ConfigError, load
from monitor.live import fixed_settings
from monitor.naming import Paths
from monitor.published import UNITS
from monitor.registry import Registry
from monitor.sample import known, sample

CASES = Path(__file__).parent / "cases" / "diamond_config"
OWN = Target("own", "127.0.0.1", "own", local=True)


class Sink:
    """Keeps what is sent to a port over TCP, or over UDP; over TCP it answers what it is to answer."""

    def __init__(self, udp: bool = False, answer: bytes = b"") -> None:
        self.answer, self.got = answer, b""
        self.socket = socket.socket(type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        if not udp:
            self.socket.listen(10)
        threading.Thread(target=self._datagrams if udp else self._connections, daemon=True).start()

    def _datagrams(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.got += self.socket.recv(65536)

    def _connections(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._read, args=(self.socket.accept()[0],), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                self.got += data
                if self.answer:
                    connection.sendall(self.answer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def paths(self) -> set[str]:
        """Return the names of the Graphite lines that came whole."""
        return {line.split()[0].decode() for line in self.got.splitlines()[:-1] if line}


def site(name: str, directory: Path, **words: object) -> Path:
    """Copy a site's files, with the words that stand for what the test brings; return its main file."""
    shutil.copytree(CASES / name, directory, dirs_exist_ok=True)
    (directory / "log").mkdir(exist_ok=True)
    for path in [path for path in directory.rglob("*") if path.is_file()]:
        text = path.read_text()
        for word, value in {"DIR": directory, **words}.items():
            text = text.replace(f"@{word}@", str(value))
        path.write_text(text)
        if path.suffix == ".py2":
            path.rename(path.with_suffix(".py"))
    return directory / "diamond.conf"


@contextlib.contextmanager
def running(directory: Path, file: Path) -> Iterator[Appliance]:
    """Run the appliance on a file as it is; where it listens and keeps its data the environment says."""
    one = Appliance(directory)
    one.file = file
    one.env |= {
        "MONITOR__SERVER__LISTEN": f"127.0.0.1:{one.port}",
        "MONITOR__SERVER__DATA_DIR": str(directory / "data"),
    }
    try:
        yield one.start(ready=False)
    except BaseException:
        print(one.log.read_text()[-5000:])
        raise
    finally:
        one.stop()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Diamond's last release, from the package index that this machine is set up for."""
    directory = tmp_path_factory.mktemp("diamond")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "diamond==4.0.515"]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        pytest.skip("no package index answered within a minute, from which Diamond's example would come")
    if done.returncode:
        pytest.skip(f"no package index has Diamond 4.0.515, whose example this reads: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as archive:
        archive.extractall(directory)
    return directory


@pytest.fixture(params=["minimal", "diamond's own"])
def example(request: pytest.FixtureRequest) -> Path:
    if request.param == "minimal":
        return CASES / "minimal.conf"
    found = request.getfixturevalue("wheel") / "etc/diamond/diamond.conf.example"
    assert isinstance(found, Path)
    return found


def test_the_example_loads_unchanged(example: Path) -> None:
    config = load([example], {})
    assert [handler.name for handler in config.handlers] == ["GraphiteHandler", "ArchiveHandler"]
    assert config.handlers[1].options == {"log_file": Path("/var/log/diamond/archive.log"), "days": 7}
    assert {"CPUCollector", "VMStatCollector"} <= {job.name for job in config.inventory.jobs}
    text = "\n".join(map(str, config.warnings))
    for word in ("pid_file", "metric_queue_size", "[[MySQLHandler]]", "[formatters]", "/etc/diamond/handlers"):
        assert word in text


def test_check_says_ok_to_the_example(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", str(example), "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("OK\n")


def test_diamonds_collector_files_are_told_of_and_break_nothing(wheel: Path, tmp_path: Path) -> None:
    """All of them at once: not one is imported, since each would be a traceback."""
    (directory,) = wheel.glob("*/data/share/diamond/collectors")
    registry = Registry([directory])
    assert registry.problems == []
    (warning,) = registry.warnings
    assert "written for Diamond itself" in warning.message and "not supported yet" in warning.message
    assert "postfixcollector" in registry.foreign and "cpucollector" in registry.foreign
    assert registry.collectors["CPUCollector"].__module__ == "collectors.cpu"


def test_a_file_for_this_program_may_import_what_diamond_has_a_file_of_the_same_name_for(tmp_path: Path) -> None:
    (tmp_path / "http.py").write_text(
        "import diamond.collector\nclass HTTPCollector(diamond.collector.Collector): pass\n"
    )
    own = "import http.client\nfrom monitor.collector import Collector\nclass OwnCollector(Collector): path = 'own'\n"
    (tmp_path / "own.py").write_text(own)
    (tmp_path / "child.py").write_text("from http import HTTPCollector\nclass ChildCollector(HTTPCollector): pass\n")
    registry = Registry([tmp_path], built_in=False)
    assert list(registry.collectors) == ["OwnCollector"]
    assert registry.foreign.keys() == {"httpcollector", "childcollector"}
    assert registry.problems == []


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx(tmp_path_factory.mktemp("nginx")) as one:
        yield one


@pytest.fixture
def media(tmp_path: Path) -> Config:
    return load([site("media", tmp_path, NGINX=8080, GRAPHITE=2003)], {})


def test_a_media_server_keeps_its_collectors_and_their_options(media: Config, tmp_path: Path) -> None:
    jobs = {job.name: job for job in media.inventory.jobs}
    assert {"WowzaCollector", "WowzaCollector backup", "NginxCollector", "NginxCollector second"} <= jobs.keys()
    assert not {"DiskSpaceCollector", "ProcessResourcesCollector", "SNMPInterfaceCollector"} & jobs.keys()
    assert jobs["ProcessResourcesCollector interpreters"].options["name"] == ["^python", "^no-such"]
    assert jobs["ProcessResourcesCollector streamer"].options["cmdline"] == ["no-such-streamer"]
    assert jobs["PingCollector"].options["hosts"] == ["127.0.0.1", "localhost"]
    assert jobs["WowzaCollector"].options["streams"] == ["live/one", "live/two,three"]
    assert jobs["LoadAverageCollector"].options["metrics_whitelist"] == ["0[15]$", "processes_running"]
    assert jobs["NetworkCollector"].options["interval"] == 1
    assert [handler.name for handler in media.handlers] == ["GraphiteHandler", "TallyHandler"]
    assert media.handlers[0].options["host"] == "127.0.0.1"
    assert media.handlers[1].options["file"] == tmp_path / "log/tally, or so#1.txt"
    assert media.inventory.own.host == "media-1"


def test_what_is_not_here_is_named_in_a_warning(media: Config, tmp_path: Path) -> None:
    texts = [str(warning) for warning in media.warnings]
    (absent,) = [text for text in texts if "nothing is collected" in text]
    assert "[[PostqueueCollector]]" in absent and "[[TranscoderCollector]]" in absent
    assert "SNMPInterfaceCollector" not in absent, "it is not enabled"
    (foreign,) = [text for text in texts if "written for Diamond" in text]
    assert foreign.startswith(f"{tmp_path}/code/collectors: 1 files are not loaded") and "transcoder.py" in foreign
    (unserved,) = [text for text in texts if "no effect" in text]
    for word in ("splay", "method", "collectors_reload_interval", "ttl_multiplier", "metric_queue_size"):
        assert f"{word} (" in unserved
    assert "byte_unit" not in unserved


@pytest.fixture
def relay(tmp_path: Path) -> Config:
    words = dict.fromkeys(("GRAPHITE", "DEAD", "PICKLE", "STATSD", "HTTP"), 9)
    return load([site("relay", tmp_path, **words)], {})


def test_a_relay_keeps_its_handlers_in_order(relay: Config) -> None:
    assert [handler.name for handler in relay.handlers] == [
        "ArchiveHandler", "MultiGraphiteHandler", "GraphitePickleHandler", "StatsdHandler", "HttpPostHandler",
        "NullHandler",
    ]  # fmt: skip
    assert all(handler.options["timeout"] == 5 for handler in relay.handlers)
    assert relay.handlers[-1].options["flush_interval"] == 0


def test_the_files_of_configs_are_laid_over_the_main_one_in_the_order_of_their_names(relay: Config) -> None:
    jobs = {job.name: job for job in relay.inventory.jobs}
    assert jobs["CPUCollector"].options["percore"] is False
    assert jobs["TCPCollector"].options["allowed_names"] == ["ListenDrops", "TCPLoss"]
    assert jobs["TCPCollector"].places["allowed_names"].file.endswith("20-disk.cfg")
    assert "DiskSpaceCollector" not in jobs
    assert "UptimeCollector" in jobs


def test_the_log_goes_to_the_files_of_pythons_logging(relay: Config, tmp_path: Path) -> None:
    timed, sized = relay.logs.files
    assert (timed.path, timed.cls, timed.level) == (tmp_path / "log/diamond.log", "TimedRotatingFileHandler", "INFO")
    assert dict(timed.options) == {"when": "midnight", "interval": 1, "backupCount": 7}
    assert dict(sized.options) == {"mode": "a", "maxBytes": 1048576, "backupCount": 3}
    assert relay.logging.level == "WARNING"
    assert relay.logs.levels == {"runner": "DEBUG"}
    assert any("SysLogHandler is not written to" in warning.message for warning in relay.warnings)


class Ran(NamedTuple):
    """Both sites after they ran: where their files are, and what their targets got."""

    media: Path
    relay: Path
    lines: Sink
    more: Mapping[str, Sink]


PATHS = {
    "media.live.media-1.tokyo.cpu.total.user",
    "media.live.media-1.tokyo.cpu.collector_time_ms",
    "media.live.media-1.tokyo.network.lo.rx_byte",
    "media.live.media-1.tokyo.network.lo.tx_kilobit",
    "media.live.media-1.tokyo.loadavg.01",
    "media.live.media-1.tokyo.loadavg.processes_running",
    "media.live.media-1.tokyo.frontend.nginx.active_connections",
    "media.live.media-1.tokyo.nginx.second.act_waits",
    "media.live.media-1.tokyo.wowza.streams",
    "media.live.media-1.tokyo.wowza.backup.streams",
    "vms.live_one.wowza.viewers",
    "media.live.media-1.tokyo.process.interpreters.num_threads",
    "media.live.media-1.tokyo.ping.127_0_0_1",
    "media.live.media-1.tokyo.ping.localhost",
    "media.live.media-1.tokyo.live.sessions",
    "media.live.media-1.tokyo.queue.length",
    "media.live.media-1.tokyo.sockets.tcp_inuse",
    "media.live.media-1.tokyo.vmstat.pgfault",
    "media.live.media-1.tokyo.uptime.hours",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, status: Nginx) -> Iterator[Ran]:
    """Run both sites at the same time until everything came, then end them."""
    directory = tmp_path_factory.mktemp("sites")
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    lines = Sink()
    sinks = {"GRAPHITE": Sink(), "PICKLE": Sink(), "STATSD": Sink(udp=True), "HTTP": Sink(answer=ok)}
    ports = {word: sink.port for word, sink in sinks.items()}
    media = site("media", directory / "media", NGINX=status.port, GRAPHITE=lines.port)
    relay = site("relay", directory / "relay", DEAD=free_port(), **ports)
    archive = directory / "relay/log/archive.log"
    # What does not come is the matter of the tests below, each of which then says what is missing.
    with running(directory / "a", media), running(directory / "b", relay), contextlib.suppress(AssertionError):
        wait_for(lambda: lines.paths() >= PATHS, 30)
        wait_for(lambda: all(b"cpu.total.user" in sink.got for sink in sinks.values()), 20)
        wait_for(lambda: archive.exists() and "cpu.total.user" in archive.read_text(), 20)
    for sink in (lines, *sinks.values()):
        sink.close()
    yield Ran(directory / "media", directory / "relay", lines, sinks)


def test_a_media_server_runs_with_every_path_as_diamond_made_it(ran: Ran) -> None:
    assert ran.lines.paths() >= PATHS, f"{PATHS - ran.lines.paths()} are not among {sorted(ran.lines.paths())}"
    unwanted = ("loadavg.15", "loadavg.collector_time_ms", "frontend.nginx.act_waits", "rx_bit")
    assert not [path for path in ran.lines.paths() if path.endswith(unwanted) or ".cpu0." in path]


def test_a_handler_of_ones_own_gets_what_comes(ran: Ran) -> None:
    assert (ran.media / "log/tally, or so#1.txt").read_text()


def test_the_rotating_file_has_the_log(ran: Ran) -> None:
    text = (ran.media / "log/diamond.log").read_text()
    assert "event=started" in text and "event=stopped" in text
    text = (ran.relay / "log/diamond.log").read_text()
    assert "level=warning" in text and "event=stopped" not in text, "the level is WARNING"
    assert (ran.relay / "log/errors.log").read_text() == ""


@pytest.mark.parametrize("word", ["GRAPHITE", "PICKLE", "STATSD", "HTTP"])
def test_a_relay_delivers_to_each_target_while_another_is_dead(ran: Ran, word: str) -> None:
    host = socket.gethostname().split(".")[0]
    assert f"{host}.cpu.total.user".encode() in ran.more[word].got, "path_prefix is empty"


def test_a_relay_keeps_an_archive(ran: Ran) -> None:
    assert "cpu.total.user" in (ran.relay / "log/archive.log").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[configs]\npath = /no/such/folder", "[configs] path: /no/such/folder is not a directory that can be read"),
        ("[configs]\nextension = ''", "[configs] extension: expected an end of file names such as .conf, got ''"),
        ("[configs]\npaht = /x", "[configs] paht: unknown key; did you mean path?"),
        ("[server]\ncollectors_path = /no/such/code", "/no/such/code: is not a directory that can be read"),
        ("[collectors]\n[[PostfixColector]]\nenabled = True", "[[PostfixColector]]: unknown section"),
        ("[server]\nhandlers = diamond.handler.mysql.MySQLHandler", "no handler 'diamond.handler.mysql.MySQLHandler'"),
        (
            "[collectors]\n[[CPUCollector]]\nmetrics_whitelist = a\nmetrics_blacklist = b",
            "metrics_blacklist: give metrics_whitelist or metrics_blacklist, not both",
        ),
        (
            "[collectors]\n[[default]]\nmetrics_blacklist = 'a(b'",
            "metrics_blacklist: expected regular expressions, got 'a(b'",
        ),
        (
            "[collectors]\n[[DiskSpaceCollector]]\nbyte_unit = byte furlong",
            "byte_unit: expected units such as bit, byte, kilobyte, MB or GiB, got 'furlong'",
        ),
        (
            "[logger_root]\nhandlers = f\n[handler_f]\nargs = (open('/etc/passwd'),)",
            "[handler_f] args: expected (filename, when, interval, backupCount, encoding), the first at least, got",
        ),
        (
            "[logger_root]\nhandlers = f\n[handler_f]\nargs = ('/tmp/x.log', 'noon')",
            "[handler_f] args: expected one of S, M, H, D, MIDNIGHT, W0, W1, W2, W3, W4, W5, W6 as when, got 'noon'",
        ),
        (
            "[logger_root]\nhandlers = f\n[handler_f]\nargs = ('/tmp/x.log', 'midnight', 1, -7)",
            "[handler_f] args: expected a whole number, at least 0, as backupCount, got '-7'",
        ),
        (
            "[collectors]\n[[ProcessResourcesCollector]]\n[[[process]]]\n[[[[pg]]]]\nnaem = x",
            "a.conf:5: [collectors] [[ProcessResourcesCollector pg]] naem: unknown key; did you mean name?",
        ),
        (
            "[collectors]\n[[ProcessResourcesCollector]]\n[[[process]]]\nname = x",
            "[[[process]]]: only keys are allowed here, no sections",
        ),
        (
            "[collectors]\n[[PingCollector]]\ntarget_1 = 'a",
            "a.conf:3: [collectors] [[PingCollector]] target_1: unknown key",
        ),
        ("[handler_f]\nlevel = LOUD", "[handler_f] level: expected DEBUG or INFO or WARNING"),
        (
            "[collectors]\n[[default]]\nhostname_method = shell\nhostname = exit 3",
            "a.conf:3: [collectors] [[default]] hostname_method: the command that tells the host's name failed",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(text + "\n")
    with pytest.raises(ConfigError) as raised:
        load([tmp_path / "a.conf"], {})
    assert message in str(raised.value)
    assert "Traceback" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[logger_root]\nhandlers = f", "there is no section [handler_f], so that the log goes to stdout alone"),
        (
            "[logger_root]\nhandlers = f\n[handler_f]\nargs = ('/no/such/folder/x.log',)",
            "/no/such/folder/x.log: the directory /no/such/folder is not there, so that the log goes to stdout alone",
        ),
        ("[logger_root]\nhandlers = f\n[handler_f]\nargs = ('/etc',)", "/etc is a directory"),
        ("[configs]\npath = /etc/diamond/configs", "/etc/diamond/configs is not a directory that can be read"),
        ("[collectors]\n[[EximCollector]]\nenabled = true", "nothing is collected: [collectors] [[EximCollector]]"),
    ],
)
def test_what_a_start_can_do_without_is_a_warning(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(text + "\n")
    assert message in "\n".join(map(str, load([tmp_path / "a.conf"], {}).warnings))


def test_a_handler_that_is_written_for_diamond_is_refused_by_its_file(tmp_path: Path) -> None:
    code = "from diamond.handler.Handler import Handler\n\n\nclass RelayHandler(Handler):\n    pass\n"
    (tmp_path / "relay.py").write_text(code)
    (tmp_path / "a.conf").write_text(f"[server]\nhandlers_path = {tmp_path}\nhandlers = relay.RelayHandler\n")
    with pytest.raises(ConfigError, match=r"relay.py is written for Diamond itself, and not supported yet"):
        load([tmp_path / "a.conf"], {})


@pytest.mark.parametrize(
    ("method", "given", "path"),
    [
        ("fqdn_short", "", "servers.fqdn_short.cpu"), ("FQDN_REV", "", "servers.com.example.web1.cpu"),
        ("hostname", "", "servers.web1_example_com.cpu"), ("none", "", "servers.cpu"),
        ("smart", "web-7", "servers.web-7.cpu"), ("fqdn", "web-7", "servers.web-7.cpu"),
    ],
)  # fmt: skip
def test_the_collectors_default_section_names_the_host(method: str, given: str, path: str, tmp_path: Path) -> None:
    names = {"fqdn_rev": "com.example.web1", "hostname": "web1.example.com", "none": ""}
    text = f"[collectors]\n[[default]]\nhostname_method = {method}\nhostname = {given}\n[[CPUCollector]]\n"
    (tmp_path / "a.conf").write_text(text)
    config = load([tmp_path / "a.conf"], {}, find_hostname=lambda how, name: name or names.get(how, how))
    assert Paths(config.inventory).path(Source(config.inventory.own.host, "cpu", "")) == path


def test_a_shell_command_names_the_host(tmp_path: Path) -> None:
    text = "[collectors]\n[[default]]\nhostname_method = shell\nhostname = \"printf ' edge-%s\\n' 9\"\n"
    (tmp_path / "a.conf").write_text(text)
    assert load([tmp_path / "a.conf"], {}).inventory.own.host == "edge-9"


class Fixed(Collector):
    path = "fixed"

    async def collect(self) -> None:
        for name in ("total.user", "total.idle", "cpu0.user"):
            self.publish_counter(name, 1)
        self.instance("one")
        self.publish_gauge("total", 2)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"total.user", "total.idle", "cpu0.user", "total"}),
        ({"metrics_whitelist": ["total"]}, {"total.user", "total.idle", "total"}),
        ({"metrics_whitelist": ["user", r"cpu\d"]}, {"cpu0.user"}),
        ({"metrics_blacklist": ["total$", "cpu|x"]}, {"total.user", "total.idle"}),
        ({"metrics_blacklist": ["otal"], "measure_collector_time": True},
         {"total.user", "total.idle", "cpu0.user", "total", "collector_time_ms"}),
        ({"metrics_whitelist": ["cpu0"], "measure_collector_time": True}, {"cpu0.user"}),
    ],
)  # fmt: skip
async def test_two_lists_say_which_names_are_published(options: Any, names: set[str]) -> None:
    batches = await Fixed(OWN, None, **options).run(0.0)  # type: ignore[arg-type]
    assert {name for batch in batches for name in batch.values} == names
    assert all(batch.values and batch.kinds.keys() <= batch.values.keys() for batch in batches)


async def test_lists_that_leave_nothing_are_an_error_that_names_them() -> None:
    with pytest.raises(CollectError, match="metrics_whitelist"):
        await Fixed(OWN, None, metrics_whitelist=["nothing"]).run(0.0)  # type: ignore[arg-type]


async def test_the_time_of_a_collection_belongs_to_its_source() -> None:
    batches = await Fixed(OWN, None, section="b", measure_collector_time=True).run(0.0)  # type: ignore[arg-type]
    (batch,) = [batch for batch in batches if "collector_time_ms" in batch.values]
    assert batch.source.instance == "b" and 0 <= batch.values["collector_time_ms"] < 1000
    assert batch.kinds["collector_time_ms"] == Kind.GAUGE


def only(batches: list[Batch]) -> dict[str, float]:
    (batch,) = batches
    return dict(batch.values)


async def test_sizes_are_published_in_more_units_beside_bytes() -> None:
    one = DiskSpaceCollector(OWN, None, byte_unit=["byte", "gigabyte MiB"], filesystems=[*FILE_SYSTEMS, "overlay"])  # type: ignore[arg-type]
    values = only(await one.run(0.0))
    device = next(name for name in values if name.endswith(".byte_used")).removesuffix(".byte_used")
    assert values[f"{device}.gigabyte_used"] == values[f"{device}.byte_used"] / 1024**3
    assert values[f"{device}.MiB_free"] == values[f"{device}.byte_free"] / 1024**2
    assert values[f"{device}.MiB_percentfree"] == values[f"{device}.byte_percentfree"]
    assert f"{device}.inodes_used" in values


async def test_traffic_is_counted_in_any_unit() -> None:
    options = {"interfaces": ["lo"], "greedy": False}
    one = NetworkCollector(OWN, None, byte_unit=["bit", "megabit", "kB"], **options)  # type: ignore[arg-type]
    (batch,) = await one.run(0.0)
    octets = batch.values["lo.rx_byte"]
    assert batch.values["lo.rx_bit"] == octets * 8
    assert batch.values["lo.rx_megabit"] == octets * 8 / 1024**2
    assert batch.values["lo.rx_kB"] == octets / 1024
    assert batch.kinds["lo.rx_kB"] == batch.kinds["lo.rx_byte"] == Kind.DERIVE


async def test_memory_is_in_the_first_unit() -> None:
    plain = only(await MemoryCollector(OWN, None).run(0.0))  # type: ignore[arg-type]
    values = only(await MemoryCollector(OWN, None, byte_unit=["megabyte"]).run(0.0))  # type: ignore[arg-type]
    assert values["MemTotal"] == plain["MemTotal"] / 1024**2
    assert values["MemUsedPercentage"] == pytest.approx(plain["MemUsedPercentage"], abs=20)


def test_units_are_diamonds() -> None:
    assert (UNITS["kbit"], UNITS["Kibit"], UNITS["B"], UNITS["GiB"], UNITS["YB"]) == (128, 128, 1, 1024**3, 1024**8)
    assert {"kB", "KiB", "Mbyte", "petabyte", "Zibit", "zettabit"} <= UNITS.keys()


def test_a_log_file_is_written_beside_stdout_and_one_that_cannot_be_is_told(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.level
    written = (tmp_path / "out").open("w+")
    files = [
        log.LogFile(tmp_path / "timed.log", "TimedRotatingFileHandler", (("when", "midnight"), ("backupCount", 7))),
        log.LogFile(tmp_path / "errors.log", "RotatingFileHandler", (("maxBytes", 100000),), "ERROR"),
        log.LogFile(tmp_path / "no/x.log", "FileHandler"),
    ]
    try:
        log.setup("INFO", {"": "WARNING", "runner": "DEBUG"}, stream=written, files=files)
        logging.getLogger("monitor.runner").debug("detail")
        logging.getLogger("monitor.store").info("chatter")
        logging.getLogger("monitor.store").error("broken", extra={"fields": {"password": "geheim"}})
    finally:
        for handler in [each for each in root.handlers if isinstance(each.formatter, log.Formatter)]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(before)
        for name in ("monitor", "monitor.runner"):
            logging.getLogger(name).setLevel(logging.NOTSET)
    written.seek(0)
    text = written.read()
    written.close()
    assert "event=detail" in text and "event=broken" in text and "chatter" not in text and "geheim" not in text
    assert f"event=log.file_failed path={tmp_path}/no/x.log" in text
    assert (tmp_path / "timed.log").read_text() == text.split("time=", 1)[0] + text[: text.index("time=")] + text
    assert (tmp_path / "errors.log").read_text().count("\n") == 1


def test_every_sample_says_how_it_is_written() -> None:
    registry = Registry()
    for name in known(registry):
        assert f"[[{name}]]\n" in sample(registry, name)
        assert ("path_prefix" in sample(registry, name)) == (name in registry.collectors)


@pytest.mark.parametrize("name", ["NetworkCollector", "ArchiveHandler", "NullHandler"])
def test_a_sample_loads(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(sample(Registry(), name))
    load([tmp_path / "a.conf"], {})


def test_all_samples_are_directories_of_flat_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.conf").write_text(
        f"[server]\ncollectors_config_path = {tmp_path}/s/collectors\nhandlers_config_path = {tmp_path}/s/handlers\n"
    )
    (tmp_path / "s/collectors").mkdir(parents=True)
    (tmp_path / "s/collectors/CPUCollector.conf").write_text("percore = False\n")
    assert main(["sample-config", "--all", str(tmp_path / "s")]) == 0
    out = capsys.readouterr().out
    assert "CPUCollector.conf is there already and stays as it is" in out
    (tmp_path / "s/handlers").mkdir(exist_ok=True)
    config = load([tmp_path / "a.conf"], {})
    assert len(list((tmp_path / "s").rglob("*.conf"))) == len(known(config.registry))
    assert next(job for job in config.inventory.jobs if job.name == "CPUCollector").options["percore"] is False


def test_a_sample_cannot_be_written_where_a_file_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s").write_text("")
    assert main(["sample-config", "--all", str(tmp_path / "s")]) == 1
    assert "s" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["media", "relay"])
def test_the_effective_configuration_of_a_site_loads_and_is_the_same(name: str, tmp_path: Path) -> None:
    words = dict.fromkeys(("NGINX", "GRAPHITE", "DEAD", "PICKLE", "STATSD", "HTTP"), 9)
    config = load([site(name, tmp_path / "site", **words)], {})
    (tmp_path / "again.conf").write_text("\n".join(effective.lines(config)) + "\n")
    again = load([tmp_path / "again.conf"], {})
    assert [job.name for job in again.inventory.jobs] == [job.name for job in config.inventory.jobs]
    assert [handler.name for handler in again.handlers] == [handler.name for handler in config.handlers]
    assert (again.logs.files, again.logs.levels) == (config.logs.files, config.logs.levels)
    assert config.logs.files
    paths = [
        [Paths(each.inventory).path(Source(job.target.host, job.cls.path, job.section)) for job in each.inventory.jobs]
        for each in (config, again)
    ]
    assert paths[0] == paths[1]


def test_a_log_file_that_changes_needs_a_new_start(tmp_path: Path) -> None:
    configs = []
    for level in ("INFO", "ERROR"):
        (tmp_path / "a.conf").write_text(
            f"[logger_root]\nhandlers = f\n[handler_f]\nlevel = {level}\nargs = ('{tmp_path}/x.log',)\n"
        )
        configs.append(load([tmp_path / "a.conf"], {}))
    assert list(fixed_settings(*configs)) == ["[handler_NAME] and [logger_NAME]"]
    assert not list(fixed_settings(configs[1], configs[1]))


@pytest.mark.parametrize("name", ["media", "relay"])
def test_check_says_ok_to_a_site(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = dict.fromkeys(("NGINX", "GRAPHITE", "DEAD", "PICKLE", "STATSD", "HTTP"), 9)
    assert main(["check", "-c", str(site(name, tmp_path / "site", **words)), "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("OK\n")
