"""Texts survive being written to a file and read again; types say what they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.ini import items, quote, read, scalar
from monitor.options import MISSING, Bytes, Field, Option, Seconds, masked
from monitor.values import describe, parse, render

LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r")) | st.text("'\"#,= []a\t")
settings.register_profile("files", database=None, deadline=None)
settings.load_profile("files")


def field(kind: Any, **bounds: float) -> Field:
    return Field("x", kind, Option(MISSING, **bounds))


@given(LINE)
@example("a#b")
@example("'\"\"\"'''")
def test_any_text_survives_writing_and_reading(text: str) -> None:
    assert scalar(f" {quote(text)}") == text
    assert scalar(f" {quote(text)} # a comment, 'quoted\"") == text
    assert parse(field(str), render(str, text, written=True)) == text


@given(st.lists(LINE))
def test_any_list_survives_writing_and_reading(texts: list[str]) -> None:
    assert items(f" {', '.join(quote(text, item=True) for text in texts)} # a comment, b") == texts
    assert parse(field(list[str]), render(list[str], texts, written=True)) == texts


@given(st.dictionaries(st.from_regex(r"\A[a-z][a-z_]{0,10}\Z"), LINE, max_size=5))
def test_any_file_gives_back_what_was_written_with_the_line_of_each_key(values: dict[str, str]) -> None:
    text = "[s]\n" + "".join(f"{key} = {quote(value)}  # c\n" for key, value in values.items())
    path = Path(__file__).parent / f".{abs(hash(text))}.conf"
    try:
        path.write_bytes(text.encode("utf-8"))
        root, problems = read(path)
    finally:
        path.unlink()
    entries = root.sections["s"].entries
    assert not problems
    assert {key: scalar(entry.text) for key, entry in entries.items()} == values
    assert [entry.place.line for entry in entries.values()] == list(range(2, 2 + len(values)))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_tree_and_problems_but_no_exception(data: bytes) -> None:
    path = Path(__file__).parent / f".{abs(hash(data))}.conf"
    try:
        path.write_bytes(data)
        read(path)
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" a, b ", "a, b"), (" a # b", "a"), (' "a # b" # c', "a # b"), (" 'it''s'", "it's"),
        (" Bob's # rack", "Bob's"),
        ('"""a\nb"""', "a\nb"), ("", ""), (" # only a comment", ""), ('""', ""), (" a'b", "a'b"), (" %(x)s", "%(x)s"),
    ],
)  # fmt: skip
def test_quotes_and_comments(text: str, value: str) -> None:
    assert scalar(text) == value


@pytest.mark.parametrize("text", ["a#b", "#b", " secret#1 # comment", " a 'b # c'"])
def test_a_number_sign_that_could_be_meant_asks_for_quotes(text: str) -> None:
    with pytest.raises(ValueError, match="needs quotes"):
        scalar(text)
    with pytest.raises(ValueError, match="needs quotes"):
        items(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [(" a, 'b, c' ,d # e, f", ["a", "b, c", "d"]), ("a,", ["a"]), (",", []), ("", []), ('"#"#x', ["#"])],
)
def test_lists_split_on_commas_outside_of_quotes(text: str, value: list[str]) -> None:
    assert items(text) == value


@pytest.mark.parametrize("text", ["'a", '"a""', '"""a"', "'a' b"])
def test_a_quote_that_does_not_fit_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="quote"):
        scalar(text)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (bool, "True", True), (bool, "y", True), (bool, "on", True), (bool, "1", True), (bool, "F", False),
        (bool, "no", False), (int, "-3", -3), (float, "1e3", 1000.0), (Seconds, "1.5", 1.5), (Seconds, "5m", 300.0),
        (Seconds, "2 d", 172800.0), (Seconds, "100ms", 0.1), (Bytes, "64k", 65536), (Bytes, "8G", 8 << 30),
        (Bytes, "1MiB", 1 << 20), (Path, "/x y", Path("/x y")), (Literal["a", "b"], "B", "b"),
        (int | None, "none", None),
        (int | None, "", None), (int | None, "3", 3), (list[str], "a, b", ["a", "b"]), (str, "", ""),
    ],
)  # fmt: skip
def test_a_text_becomes_a_value_of_the_fields_type(kind: Any, text: str, value: Any) -> None:
    assert parse(field(kind), text) == value
    assert parse(field(kind), render(kind, value, written=True)) == value


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (bool, "maybe", "True or False"), (int, "1.0", "a whole number"), (int, "٣", "a whole number"),
        (float, "nan", "a number"), (float, "1e999", "a number"), (float, "5m", "a number"),
        (Seconds, "5x", "a time such as 90, 5m, 2d"), (Bytes, "-1", "a size such as 4096, 64k, 8G"),
        (Literal["a", "b"], "c", "a or b"), (Path, "", "a path"), (int | None, "x", "a whole number, or none"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_answered_with_what_is_allowed(kind: Any, text: str, words: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse(field(kind), text)
    assert str(raised.value) == f"expected {words}, got {text!r}"


def test_bounds_are_part_of_the_answer() -> None:
    assert describe(field(int, min=1, max=65535)) == "a whole number from 1 to 65535"
    assert describe(field(Seconds, min=60)) == "a time such as 90, 5m, 2d, at least 1m"
    with pytest.raises(ValueError, match="from 1 to 65535, got '0'"):
        parse(field(int, min=1, max=65535), "0")


def test_a_secret_is_not_in_the_message() -> None:
    with pytest.raises(ValueError) as raised:
        parse(Field("x", Literal["a"], Option(MISSING, secret=True)), "geheim")
    assert "geheim" not in str(raised.value)
    assert masked("see postgresql://u:geheim@h/db and http://x/") == "see postgresql://u:********@h/db and http://x/"
    assert masked("postgresql://u:ge/hei@m@h/db") == "postgresql://u:********@h/db"
    assert masked("postgresql://h/db?user=u&password=geheim&x=1") == "postgresql://h/db?user=u&password=********&x=1"
    for text in ('"a" geheim', '"a"geheim'):
        for kind in (str, list[str]):
            with pytest.raises(ValueError) as raised:
                parse(field(kind), text)
            assert "geheim" not in str(raised.value)
