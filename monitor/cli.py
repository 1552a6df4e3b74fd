"""The command line."""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from monitor import __version__, census, effective, log, servers_ini, servers_yaml, setups, sorabeat, sql
from monitor.batch import Batch, Kind
from monitor.collector import CollectError
from monitor.config import Config, ConfigError, load, load_server
from monitor.forecast import forecast
from monitor.inventory import JobSpec
from monitor.registry import Registry
from monitor.sample import sample, write

OK, FAILURE, USAGE, CONFIG = 0, 1, 2, 78
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 ok, 1 failure, 2 usage, 69 a dependency is missing, 78 bad config."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return CONFIG
    except BrokenPipeError:
        # Whoever read us (head) has enough; without this the interpreter would complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    return code


def files_parser() -> argparse.ArgumentParser:
    """Return the part of a parser that says where the configuration is."""
    files = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    files.add_argument(
        "-c", dest="files", metavar="FILE", type=Path, action="append",
        help="configuration file; may be repeated, the later counts more (default /etc/monitor/monitor.conf)",
    )  # fmt: skip
    files.add_argument("--data-dir", metavar="DIR", help="where everything is kept, instead of [server] data_dir")
    return files


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="monitor", description="Watches media servers and the machines around them.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    files = files_parser()

    def add(name: str, command: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        parents = [] if name == "version" else [files]
        made = commands.add_parser(name, help=help, description=help, parents=parents)
        made.set_defaults(command=command)
        return made

    running = add("run", run, "watch, store, deliver and serve until SIGTERM; SIGHUP reads the configuration again")
    running.add_argument(
        "--log-level", dest="levels", metavar="LEVEL[:PART]", type=level, action="append", default=[],
        help="log what is at least this grave, of one part if it is named (DEBUG:runner); may be repeated",
    )  # fmt: skip
    add(
        "check",
        check,
        "check the configuration: print the disk space that it will need and OK, or every error with its file and line",
    )
    add("config", config, "print the configuration in effect, with the origin of every value")
    sampling = add("sample-config", sample_config, "print a configuration with every option, its help and its default")
    sampling.add_argument(
        "name", metavar="NAME", nargs="?", default="", help="a collector or a handler; by default everything"
    )
    sampling.add_argument(
        "--all", metavar="DIR", type=Path, help="write collectors/NAME.conf and handlers/NAME.conf of all below DIR"
    )
    collecting = add("collect", collect, "run one collector once and print what it publishes; counters as they stand")
    collecting.add_argument(
        "name", metavar="NAME", help="the collector's class, or its section: 'NginxCollector second'"
    )
    collecting.add_argument("--host", metavar="HOST", default="", help="a watched host or an address; default this one")
    collecting.add_argument("--json", action="store_true", help="print what POST /api/v1/push takes")
    importing = add("import", import_other, "print another program's configuration in the words of this one")
    importing.add_argument("kind", choices=["kurado", "sorabeat"], help="the program that it is of")
    importing.add_argument(
        "sources", metavar="FILE", type=Path, nargs="+",
        help="its main file, by which others are found; of sorabeat several, the later counts more",
    )  # fmt: skip
    setting_up = add("setup", setup, "bring a template, dashboards or the like to a handler's target; again: no harm")
    setting_up.add_argument(
        "word", metavar="WORD", nargs="?", default="", help="what to set up; none: tell what can be"
    )
    setting_up.add_argument(
        "rest", metavar="OPTION", nargs=argparse.REMAINDER, help="its own options: monitor setup WORD --help tells them"
    )
    sql.options(add("sql", ask, "send SQL from stdin to [receivers] [[rels]], as clickhouse-client -mn would"))
    add("migrate", migrate, "bring the database's schema up to date")
    add("healthcheck", healthcheck, "ask the running program whether it is healthy")
    add("version", version, "print the version")
    return whole


def level(text: str) -> tuple[str, str]:
    try:
        return log.parse_level(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def loaded(options: argparse.Namespace) -> Config:
    overrides = {"data_dir": options.data_dir} if options.data_dir else {}
    return load(options.files, os.environ, overrides)


def run(options: argparse.Namespace) -> int:
    configuration = loaded(options)
    general = [name for name, part in options.levels if not part]
    log.setup(
        general[-1] if general else configuration.logging.level,
        {**configuration.logs.levels, **{part: name for name, part in options.levels if part}},
        files=configuration.logs.files,
    )
    # Only here: the application brings the web server and the font engine, and the other commands are quick without.
    from monitor import app

    return app.run(configuration, lambda: loaded(options))


def migrate(options: argparse.Namespace) -> int:
    configuration = loaded(options)
    log.setup(configuration.logging.level)
    # Only here, as in run.
    from monitor import app

    return app.migrate(configuration)


def check(options: argparse.Namespace) -> int:
    configuration = loaded(options)
    expected = forecast(configuration)
    graphs = configuration.graph_files
    for warning in (*configuration.warnings, *graphs.warnings, *filter(None, [expected.warning])):
        print(f"warning: {warning}", file=sys.stderr)
    if graphs.problems:
        raise ConfigError(graphs.problems)
    for line in (*census.lines(configuration.inventory), *expected.lines()):
        print(line)
    print("OK")
    return OK


def config(options: argparse.Namespace) -> int:
    for line in effective.lines(loaded(options)):
        print(line)
    return OK


def sample_config(options: argparse.Namespace) -> int:
    # A configuration that is wrong must not keep one from reading how to write it.
    try:
        registry = loaded(options).registry
    except ConfigError:
        registry = Registry()
    try:
        if options.all is not None:
            for path, written in write(registry, options.all):
                print(f"{path}{'' if written else ' is there already and stays as it is'}")
        else:
            print(sample(registry, options.name), end="")
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return FAILURE
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return FAILURE
    return OK


def import_other(options: argparse.Namespace) -> int:
    if options.kind == "sorabeat":
        return import_sorabeat(options)
    if len(options.sources) > 1:
        print("expected one file: the main one", file=sys.stderr)
        return USAGE
    return import_kurado(options)


def import_sorabeat(options: argparse.Namespace) -> int:
    found = sorabeat.read(options.sources)
    lines = sorabeat.lines(found)
    for warning in sorted(dict.fromkeys(found.notes.warnings), key=lambda one: (one.file, one.line, one.key)):
        print(f"warning: {warning}", file=sys.stderr)
    if found.notes.problems:
        raise ConfigError(found.notes.problems)
    for line in lines:
        print(line)
    return OK


def import_kurado(options: argparse.Namespace) -> int:
    # What one is about to change may be wrong now; only its collectors and graphs matter here.
    try:
        configuration = loaded(options)
        registry, graphs = configuration.registry, configuration.server.graphs_path
    except ConfigError:
        registry, graphs = Registry(), []
    servers = servers_yaml.read(options.sources[0])
    tree = servers_ini.sections(servers, registry, graphs)
    lines = list(servers_ini.lines(tree, servers))
    for warning in servers.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if servers.problems:
        raise ConfigError(servers.problems)
    for line in lines:
        print(line)
    return OK


def setup(options: argparse.Namespace) -> int:
    places, _ = files_parser().parse_known_args(options.rest)
    options.files = [*(options.files or ()), *(places.files or ())] or None
    options.data_dir = places.data_dir or options.data_dir
    configuration = loaded(options)
    cls = setups.words(configuration.registry).get(options.word)
    if cls is None:
        told = f"monitor setup WORD, where WORD is\n{setups.known(configuration.registry)}"
        if not options.word:
            print(told)
            return OK
        print(f"there is no {options.word!r} to set up; {told}", file=sys.stderr)
        return USAGE
    own = setups.parser(options.word, cls.setups[options.word], [files_parser()]).parse_args(options.rest)
    return setups.command(configuration, cls, options.word, own)


def collect(options: argparse.Namespace) -> int:
    try:
        job = loaded(options).inventory.job(options.name, options.host)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return FAILURE
    try:
        batches = asyncio.run(once(job))
    except TimeoutError:
        print(f"{job.name} of {job.target.host}: no answer in time", file=sys.stderr)
        return FAILURE
    except Exception as error:
        # The one place where a collector's error ends when it is run by hand: its text is the answer.
        reason = str(error) if isinstance(error, CollectError) else f"{type(error).__name__}: {error}"
        print(f"{job.name} of {job.target.host}: {reason}", file=sys.stderr)
        return FAILURE
    print(as_json(batches) if options.json else as_text(batches))
    return OK


async def once(job: JobSpec) -> list[Batch]:
    """Run a collector once, within its own limits of time and size."""
    # Only here, as in run.
    from monitor.http import HttpClient
    from monitor.runner import Job
    from monitor.snmp import SnmpClient

    client = HttpClient(connections=10)
    await client.open()
    try:
        collector = job.cls(job.target, client.bound(), section=job.section, **job.options)
        limit = Job(job.target, collector).timeout
        collector.http = client.bound(timeout=limit, max_size=collector.max_size)
        collector.snmp = SnmpClient(timeout=limit)
        async with asyncio.timeout(limit):
            return await collector.run(time.time())
    finally:
        await client.close()


def as_text(batches: Sequence[Batch]) -> str:
    lines = []
    for batch in batches:
        lines.append(" ".join(filter(None, batch.source)))
        for name, value in batch.values.items():
            shown = f"{value:.15g}" if isinstance(value, float) else value
            lines.append(f"  {name} {shown} {batch.kinds.get(name, Kind.GAUGE)}")
        lines += [f"  {name} = {text}" for name, text in batch.meta.items()]
    return "\n".join(lines)


def as_json(batches: Sequence[Batch]) -> str:
    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    made: list[dict[str, Any]] = [
        {
            **batch.source._asdict(),
            "time": batch.time,
            "interval": batch.interval,
            "values": {name: number(value) for name, value in batch.values.items()},
            "kinds": batch.kinds,
            "meta": batch.meta,
        }
        for batch in batches
    ]
    return json.dumps({"batches": made}, indent=2, ensure_ascii=False)


def healthcheck(options: argparse.Namespace) -> int:
    try:
        address = load_server(options.files, os.environ).address
    except ValueError as error:
        print(error, file=sys.stderr)
        return FAILURE
    connection = http.client.HTTPConnection(ANY.get(address.host, address.host), address.port, timeout=4)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        text = answer.read(1000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        print(f"{address} does not answer: {error}", file=sys.stderr)
        return FAILURE
    finally:
        connection.close()
    print(text, file=sys.stdout if answer.status == 200 else sys.stderr)
    return OK if answer.status == 200 else FAILURE


def ask(options: argparse.Namespace) -> int:
    return sql.command(loaded(options), options, sys.stdin.buffer, sys.stdout.buffer)


def version(options: argparse.Namespace) -> int:
    print(f"monitor {__version__}")
    return OK
