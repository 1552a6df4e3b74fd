"""Log lines are key=value, one a line, without secrets."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from monitor.log import Formatter, parse_level, quoted, setup


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, level = logging.getLogger(), logging.getLogger().level
    written = io.StringIO()
    setup("INFO", {"runner": "DEBUG"}, stream=written)
    yield written
    root.setLevel(level)
    logging.getLogger("monitor.runner").setLevel(logging.NOTSET)
    for handler in [handler for handler in root.handlers if isinstance(handler.formatter, Formatter)]:
        root.removeHandler(handler)


def test_an_event_is_one_line_of_key_and_value(stream: io.StringIO) -> None:
    fields = {"host": "web1", "reason": 'said "no"\nand left', "seconds": 0.25, "empty": "", "password": "geheim"}
    logging.getLogger("monitor.scheduler").warning("collect.failed", extra={"fields": fields})
    line = stream.getvalue()
    assert re.match(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=warning part=scheduler event=collect.failed ", line
    )
    assert line.endswith(r'host=web1 reason="said \"no\"\nand left" seconds=0.25 empty="" password=********' + "\n")
    assert line.count("\n") == 1


def test_passwords_in_urls_and_control_characters_do_not_get_out() -> None:
    assert quoted("postgresql://u:geheim@h/db") == "postgresql://u:********@h/db"
    assert quoted("\x1b[31m\u2028\x00") == '"\\x1b[31m\\u2028\\x00"'


def test_an_exception_stays_in_its_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        logging.getLogger("monitor.app").exception("stopped")
    assert 'error="ValueError: bad\\nthing" traceback="' in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_a_part_may_have_a_level_of_its_own(stream: io.StringIO) -> None:
    logging.getLogger("monitor.runner").debug("ran")
    logging.getLogger("monitor.journal").debug("committed")
    assert "event=ran" in stream.getvalue() and "committed" not in stream.getvalue()


def test_levels_are_read_with_their_part() -> None:
    assert parse_level("debug:runner") == ("DEBUG", "runner")
    assert parse_level("warn") == ("WARNING", "")
    with pytest.raises(ValueError, match="expected one of DEBUG"):
        parse_level("loud")
