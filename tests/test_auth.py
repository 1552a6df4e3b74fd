"""Who gets in, who does not, and what a wrong password costs."""

from __future__ import annotations

import base64
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from web_parts import configured, serving

from monitor.web import first_admin
from monitor.web.auth import Failures, Gate, Users, host_is_local
from monitor.web.passwords import Scrypt, hashed

Client = TestClient[Any, Any]
USERS = """
[auth]
[[users]]
[[[reader]]]
password = pässword
[[[pusher]]]
token = push-token
role = push
[[[boss]]]
password_hash = {}
role = admin
"""


def users(password: str = "geheim") -> str:
    return USERS.format(hashed(password))


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def status(client: Client, path: str, headers: dict[str, str] | None = None) -> int:
    return (await client.get(path, headers=headers)).status


async def pushed(client: Client, headers: dict[str, str] | None = None) -> int:
    body = {"batches": [{"host": "a", "collector": "b", "time": int(time.time()), "values": {"x": 1}}]}
    return (await client.post("/api/v1/push", json=body, headers=headers)).status


async def test_on_loopback_without_users_nothing_is_needed(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        assert await status(client, "/") == 200
        assert await pushed(client) == 200


async def test_roles_read_push_and_admin_may_what_their_names_say(tmp_path: Path) -> None:
    async with serving(tmp_path, users()) as (client, _):
        reader, pusher, boss = basic("reader", "pässword"), bearer("push-token"), basic("boss", "geheim")
        assert (await status(client, "/", reader), await pushed(client, reader)) == (200, 403)
        assert (await status(client, "/", pusher), await pushed(client, pusher)) == (403, 200)
        assert (await status(client, "/", boss), await pushed(client, boss)) == (200, 200)


@pytest.mark.parametrize("path", ["/", "/server?address=own", "/graph_global?target=cpu", "/api/v1/hosts",
                                  "/api/v1/query?series=a:b:c:d", "/metrics", "/version", "/nowhere",
                                  "/static/style.css"])  # fmt: skip
async def test_every_route_but_the_health_checks_asks_who_is_there(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, users()) as (client, _):
        answer = await client.get(path)
        assert answer.status == 401
        assert "Basic" in answer.headers["WWW-Authenticate"]
        assert "Bearer" in answer.headers["WWW-Authenticate"]
        assert answer.content_type == "application/problem+json"
        assert await status(client, path, basic("reader", "pässword")) != 401


async def test_the_health_checks_are_open(tmp_path: Path) -> None:
    async with serving(tmp_path, users()) as (client, _):
        assert await status(client, "/healthz") == 200
        assert await status(client, "/readyz") == 200


@pytest.mark.parametrize(
    "headers",
    [
        basic("reader", "wrong"), basic("reader", ""), basic("boss", "wrong"), basic("nobody", "pässword"),
        basic("pusher", ""), basic("", ""), bearer("wrong"), bearer(""), {"Authorization": "Basic !!!"},
        {"Authorization": "Basic"}, {"Authorization": "Digest x"}, {"Authorization": "x" * 8000},
    ],
)  # fmt: skip
async def test_what_is_wrong_is_a_401(tmp_path: Path, headers: dict[str, str]) -> None:
    async with serving(tmp_path, users()) as (client, _):
        assert await status(client, "/", headers) == 401


async def test_anonymous_may_read_if_the_configuration_says_so(tmp_path: Path) -> None:
    text = users().replace("[auth]\n", "[auth]\nallow_anonymous = read\n")
    async with serving(tmp_path, text) as (client, _):
        assert await status(client, "/") == 200
        assert await pushed(client) == 401
        assert await pushed(client, bearer("push-token")) == 200
        assert await status(client, "/", basic("reader", "wrong")) == 401


async def test_anonymous_read_on_an_open_address_cannot_push(tmp_path: Path) -> None:
    text = f"[server]\nlisten = 0.0.0.0:5434\ndata_dir = {tmp_path}\n[auth]\nallow_anonymous = read\n"
    async with serving(tmp_path, text) as (client, _):
        assert await status(client, "/", {"Host": "monitor.example.com"}) == 200
        assert await pushed(client) == 401


async def test_a_hashed_password_is_worked_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, users()) as (client, _):
        worked_out = 0
        matches = Scrypt.matches

        def counted(self: Scrypt, password: str) -> bool:
            nonlocal worked_out
            worked_out += 1
            return matches(self, password)

        monkeypatch.setattr(Scrypt, "matches", counted)
        for _ in range(5):
            assert await status(client, "/", basic("boss", "geheim")) == 200
        assert worked_out == 1
        assert await status(client, "/", basic("boss", "Geheim")) == 401
        assert await status(client, "/", basic("unknown", "geheim")) == 401
        assert worked_out == 3


async def test_guessers_wait_and_users_do_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path, users()) as (client, _):
        right = basic("reader", "pässword")
        assert await status(client, "/", right) == 200
        with caplog.at_level(logging.WARNING, "monitor.auth"):
            for i in range(10):
                assert await status(client, "/", basic("reader", f"wrong{i}")) == 401
            answer = await client.get("/", headers=basic("reader", "wrong"))
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 61
        assert await status(client, "/", right) == 200
        assert await status(client, "/", bearer("push-token")) == 403
        assert len([record for record in caplog.records if record.message == "auth.guessing"]) == 1


def test_wrong_passwords_are_forgotten_after_a_minute_and_peers_are_bounded() -> None:
    failures = Failures(most=2, seconds=60, peers=3)
    assert [failures.add("a", 0), failures.add("a", 10)] == [1, 2]
    assert failures.wait("a", 20) == 40
    assert failures.wait("a", 60) == 0
    assert failures.add("a", 61) == 1
    for peer in "bcd":
        failures.add(peer, 62)
    assert failures.wait("a", 62) == 0
    assert len(failures._found) == 3


async def test_a_reload_takes_up_new_users_and_drops_old_ones(tmp_path: Path) -> None:
    async with serving(tmp_path, users()) as (client, parts):
        assert await status(client, "/", basic("boss", "geheim")) == 200
        parts.config = configured(tmp_path, users("anders"))
        assert await status(client, "/", basic("boss", "geheim")) == 401
        assert await status(client, "/", basic("boss", "anders")) == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("LOCALHOST:5434", True), ("127.0.0.1:5434", True), ("[::1]:5434", True), ("[::1]", True),
        ("10.1.2.3", True), ("evil.example", False), ("evil.example:5434", False), ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False), ("", False), ("127.0.0.1:5434@evil.example", False),
    ],
)  # fmt: skip
def test_a_host_header_is_local_when_no_name_server_can_make_it(host: str, local: bool) -> None:
    assert host_is_local(host) is local


async def test_a_web_site_cannot_reach_an_open_appliance_under_its_own_name(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        assert await status(client, "/", {"Host": "evil.example:5434"}) == 403
        assert await pushed(client, {"Host": "evil.example"}) == 403
        assert await status(client, "/healthz", {"Host": "evil.example"}) == 200
    async with serving(tmp_path, users()) as (client, _):
        assert await status(client, "/", {"Host": "monitor.example", **basic("boss", "geheim")}) == 200


def test_a_hash_is_read_as_it_was_written() -> None:
    made = hashed("geheim")
    read = Scrypt.parse(str(made))
    assert read == made
    assert read.matches("geheim")
    assert not read.matches("Geheim")
    assert str(hashed("geheim")) != str(made)


@pytest.mark.parametrize(
    "text",
    ["", "scrypt$1$2$3", "bcrypt$16384$8$1$AAAA$AAAA", "scrypt$16383$8$1$AAAA$AAAA", "scrypt$x$8$1$AAAA$AAAA",
     "scrypt$16777216$64$1$AAAA$AAAA"],
)  # fmt: skip
def test_a_hash_that_cannot_be_used_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match="expected scrypt"):
        Scrypt.parse(text)


async def test_the_first_start_makes_an_admin_password_once(tmp_path: Path) -> None:
    text = f"[server]\nlisten = 0.0.0.0:5434\ndata_dir = {tmp_path}\n[auth]\nfirst_admin = True\n"
    config = configured(tmp_path, text)
    told = first_admin(config)
    file = tmp_path / "first_admin"
    password = file.read_text().strip()
    assert password in told
    assert len(password) >= 20
    assert file.stat().st_mode & 0o777 == 0o600
    assert first_admin(config) == ""
    assert file.read_text().strip() == password
    async with serving(tmp_path, text) as (client, _):
        assert await status(client, "/") == 401
        assert await status(client, "/", basic("admin", "")) == 401
        assert await status(client, "/", basic("admin", password)) == 200
        assert await pushed(client, basic("admin", password)) == 200


def test_no_admin_is_made_where_there_is_one_or_none_is_asked_for(tmp_path: Path) -> None:
    configs = [configured(tmp_path), configured(tmp_path, users().replace("[auth]\n", "[auth]\nfirst_admin = True\n"))]
    assert [first_admin(config) for config in configs] == ["", ""]
    assert not (tmp_path / "first_admin").exists()


async def test_what_is_remembered_of_passwords_is_bounded_and_is_not_the_passwords(tmp_path: Path) -> None:
    known = Users(configured(tmp_path, users()), remembered=3)
    for i in range(5):
        known.remember("boss", f"geheim{i}", known.users["boss"])
    assert len(known._right) == 3
    assert all(b"geheim" not in key for key in known._right)


async def test_a_flood_of_passwords_is_refused_before_it_is_worked_out(tmp_path: Path) -> None:
    async with serving(tmp_path, users()) as (_, parts):
        gate = Gate(parts.services, waiting=0)
        with pytest.raises(Exception, match="too many passwords"):
            await gate._check(gate._users, "boss", "x")
