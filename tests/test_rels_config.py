"""[receivers] [[rels]]: what it takes, what is wrong with it, and what is shown of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from web_parts import configured

from monitor.config import Config, ConfigError
from monitor.effective import lines
from monitor.live import fixed_settings

OPEN = "listen = 0.0.0.0:8123\npassword = x\n"


def loaded(directory: Path, text: str) -> Config:
    return configured(directory, f"[receivers]\n[[rels]]\n{text}")


def problem(directory: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(directory, text)
    return str(caught.value)


def test_it_is_off_by_default_and_open_to_this_machine_alone(tmp_path: Path) -> None:
    rels = loaded(tmp_path, "").rels
    assert rels.listen == ""
    assert [str(network) for network in rels.networks] == ["127.0.0.0/8", "::1/128"]
    assert (rels.user, rels.deduplicate, rels.window, rels.idle) == ("wcs", "query_id", 900, 300)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen = 0.0.0.0:8123\n", "[[rels]] password: 0.0.0.0:8123 is open to other machines: give password"),
        ("listen = 8123\n", "[[rels]] listen: expected ADDRESS:PORT"),
        (OPEN + "allow = 10.0.0.1/8\n", "[[rels]] allow: expected networks such as 10.0.0.0/8"),
        (OPEN + "deduplicate = yes\n", "[[rels]] deduplicate: expected query_id or digest or no, got 'yes'"),
        (OPEN + "idle = 10\n", "[[rels]] idle: expected a time such as 90, 5m, 2d from 75 to 1d"),
        (OPEN + "max_bdy = 1\n", "did you mean max_body?"),
        (OPEN + 'user = ""\n', "[[rels]] user: expected the name of a user"),
        (OPEN + "[[[users]]]\n[[[[a]]]]\n", "a user needs password or password_file"),
        (OPEN + "[[[users]]]\n[[[[a]]]]\npassword = b\ninsert = Streams\n", "insert: expected every, none or tables"),
        (OPEN + "[[[users]]]\n[[[[a]]]]\npassword = b\ntables = x\n", "unknown key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    said = problem(tmp_path, text)
    assert words in said
    assert "monitor.conf:" in said


def test_passwords_come_from_files_too_and_are_shown_to_nobody(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("geheim1\n")
    text = f"listen = 0.0.0.0:8123\npassword_file = {secret}\n[[[users]]]\n[[[[shop]]]]\npassword = geheim2\n"
    config = loaded(tmp_path, text + "insert = StreamEvent, CDNEvent\nread = no\n")
    assert config.rels.password == "geheim1"
    assert set(config.rels.users) == {"wcs", "shop"}
    shop = config.rels.users["shop"]
    assert (shop.may_insert("StreamEvent"), shop.may_insert("MixerEvent"), shop.read) == (True, False, False)
    shown = "\n".join(lines(config))
    assert "[[[[shop]]]]" in shown
    assert "geheim" not in shown


def test_only_the_address_needs_a_new_start(tmp_path: Path) -> None:
    before = loaded(tmp_path, OPEN)
    other = loaded(tmp_path, OPEN.replace("8123", "8124").replace("= x", "= y") + "max_rows = 5\nallow = 10.0.0.0/8\n")
    assert list(fixed_settings(before, other)) == ["[receivers] [[rels]] listen"]
