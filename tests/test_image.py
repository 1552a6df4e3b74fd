"""The container image: what its environment makes of the program, and the image itself where buildah can build it.

    buildah images    # must list the base image
    MONITOR_IMAGE_BASE=docker.io/library/python:3.11-slim-bookworm pytest -m image

MONITOR_IMAGE_BUILD may hold more arguments for `buildah bud`, such as the mount of a proxy's certificate.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from appliance import Appliance, appliance, free_port, wait_for

ROOT = Path(__file__).resolve().parent.parent
PRINTED = re.compile(r"user (\S+), password (\S+) ")
BASE = os.environ.get("MONITOR_IMAGE_BASE", "localhost/debian:bookworm-py")
MORE = shlex.split(os.environ.get("MONITOR_IMAGE_BUILD", ""))


def instructions(name: str) -> list[str]:
    """Return the arguments of all instructions of this name in the final stage of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = text[text.rindex("\nFROM ") :].splitlines()
    return [line.partition(" ")[2].strip() for line in lines if line.split(" ")[0] == name]


def environment() -> dict[str, str]:
    """Return what the image adds to the environment."""
    pairs = [pair.partition("=") for line in instructions("ENV") for pair in shlex.split(line)]
    return {name: value for name, _, value in pairs if name != "PATH"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def printed(log: str) -> tuple[str, str]:
    """Return the user and the password that a log shows; it must show them once."""
    found = PRINTED.findall(log)
    assert len(found) == 1, log[-3000:]
    return found[0]


def lets_in_by_password_only(get: Callable[..., tuple[int, bytes]], user: str, password: str) -> None:
    assert get("/healthz")[0] == 200
    assert get("/")[0] == 401
    assert get("/", basic(user, password[:-1]))[0] == 401
    status, page = get("/", basic(user, password))
    assert status == 200
    assert b"<html" in page


def in_image(directory: Path, **more: str) -> tuple[Appliance, dict[str, str]]:
    """Return an appliance with the image's environment, but a free port and its data below `directory`."""
    env = {**environment(), **more}
    one = Appliance(directory)
    host, _, _ = env["MONITOR__SERVER__LISTEN"].rpartition(":")
    env |= {"MONITOR__SERVER__LISTEN": f"{host}:{one.port}", "MONITOR__SERVER__DATA_DIR": str(directory / "data")}
    one.file.write_text("")
    one.env |= env
    return one, env


def test_the_image_listens_everywhere_and_keeps_its_data_in_the_volume() -> None:
    env = environment()
    assert env["MONITOR__SERVER__LISTEN"] == f"0.0.0.0:{instructions('EXPOSE')[0]}"
    assert [env["MONITOR__SERVER__DATA_DIR"]] == instructions("VOLUME")
    assert instructions("USER") == ["10001:10001"]


def test_the_first_start_prints_an_admin_password_once_and_nobody_gets_in_without_it(tmp_path: Path) -> None:
    one, env = in_image(tmp_path)
    assert env["MONITOR__SERVER__LISTEN"].startswith("0.0.0.0:")
    try:
        one.start()
        user, password = printed(one.log.read_text())
        lets_in_by_password_only(one.get, user, password)
        assert len(password) >= 16
        kept = tmp_path / "data" / "first_admin"
        assert kept.stat().st_mode & 0o777 == 0o600
        assert kept.read_text().strip() == password
        assert one.stop() == 0

        one.start()
        assert printed(one.log.read_text()) == (user, password)
        assert one.log.read_text().count(password) == 1
        lets_in_by_password_only(one.get, user, password)
        assert one.stop() == 0
    finally:
        if one.process is not None and one.process.poll() is None:
            one.kill()


def test_a_user_of_the_configuration_takes_the_place_of_the_first_admin(tmp_path: Path) -> None:
    one, _ = in_image(tmp_path)
    one.file.write_text("[auth]\n[[users]]\n[[[boss]]]\nrole = admin\npassword = correct horse battery\n")
    try:
        one.start()
        assert not PRINTED.search(one.log.read_text())
        assert not (tmp_path / "data" / "first_admin").exists()
        lets_in_by_password_only(one.get, "boss", "correct horse battery")
    finally:
        one.stop()


def test_without_users_and_without_a_first_admin_all_addresses_are_refused(tmp_path: Path) -> None:
    one, _ = in_image(tmp_path, MONITOR__AUTH__FIRST_ADMIN="False")
    one.start(ready=False)
    assert one.process is not None
    assert one.process.wait(30) == 78
    assert "[auth]" in one.log.read_text()


def test_on_loopback_nothing_is_printed(tmp_path: Path) -> None:
    with appliance(tmp_path) as one:
        assert not PRINTED.search(one.log.read_text())
        assert one.get("/")[0] == 200


def buildah(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["buildah", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280)
    if check and done.returncode:
        raise AssertionError(
            f"buildah {arguments[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
        )
    return done


def descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield int(child)
            yield from descendants(int(child))


def program(pid: int) -> int | None:
    """Return the process below `pid` that is the program itself."""
    for one in descendants(pid):
        words = Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")
        if words[-3:-1] == [b"/opt/monitor/bin/monitor", b"run"] and b"tini" not in words[0]:
            return one
    return None


class Container:
    """A container of the image; `run` executes in it as the image would."""

    def __init__(self, image: str) -> None:
        self.name = buildah("from", image).stdout.strip()
        self.port = free_port()
        self.run = [
            "run", "--isolation", "chroot", "--user", "10001",
            "--env", f"MONITOR__SERVER__LISTEN=0.0.0.0:{self.port}", self.name, "--",
        ]  # fmt: skip

    @contextmanager
    def started(self, log: Path, entry: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with log.open("wb") as out:
            process = subprocess.Popen(["buildah", *self.run, *entry], stdout=out, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            if process.poll() is None:
                if (inner := program(process.pid)) is not None:
                    os.kill(inner, signal.SIGKILL)
                process.kill()
                process.wait(10)


@pytest.fixture(scope="module")
def container() -> Iterator[tuple[Container, Mapping[str, Any]]]:
    if shutil.which("buildah") is None:
        pytest.skip("buildah is missing: install Debian's package buildah")
    if buildah("inspect", "--type", "image", BASE, check=False).returncode:
        pytest.skip(f"the base image {BASE} is not in buildah's store; name one in MONITOR_IMAGE_BASE")
    tag = f"localhost/monitor-test:{os.getpid()}"
    buildah("bud", "--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={BASE}", *MORE, "-t", tag, ".")
    try:
        config = json.loads(buildah("inspect", "--type", "image", tag).stdout)["Docker"]["config"]
        one = Container(tag)
        try:
            yield one, config
        finally:
            buildah("rm", one.name)
    finally:
        buildah("rmi", tag)


@pytest.mark.image
def test_the_image_says_how_it_is_run(container: tuple[Container, Mapping[str, Any]]) -> None:
    _, config = container
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "monitor", "healthcheck"]
    assert config["ExposedPorts"] == {"5434/tcp": {}}
    assert config["StopSignal"] == "SIGTERM"


@pytest.mark.image
def test_the_image_serves_as_its_own_user_until_it_is_told_to_stop(
    container: tuple[Container, Mapping[str, Any]], tmp_path: Path
) -> None:
    one, config = container
    assert re.fullmatch(r"monitor \d\S*\n", buildah(*one.run, "monitor", "version").stdout)
    assert buildah(*one.run, "monitor", "check").stdout.endswith("\nOK\n")
    asking = Appliance(tmp_path / "unused")
    asking.url = f"http://127.0.0.1:{one.port}"
    log = tmp_path / "log"
    with one.started(log, [*config["Entrypoint"], *config["Cmd"]]) as process:

        def ready() -> bool:
            assert process.poll() is None, log.read_text()[-3000:]
            return asking.get("/readyz")[0] == 200

        wait_for(ready, 60)
        inner = program(process.pid)
        assert inner is not None
        status = Path(f"/proc/{inner}/status").read_text()
        assert re.search(r"^Uid:\s+10001\s+10001\s+10001\s+10001$", status, re.MULTILINE)
        lets_in_by_password_only(asking.get, *printed(log.read_text()))
        assert buildah(*one.run, "monitor", "healthcheck").returncode == 0
        os.kill(inner, signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()[-3000:]
