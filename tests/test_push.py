"""Reading push bodies: what is taken, what is refused and why, and that large ones are read in slices."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.batch import Batch, Kind, Limits, Source
from monitor.receivers import push
from monitor.receivers.push import BodyError, Bounds, parse

NOW = 1_795_234_980


def read(body: bytes | dict[str, Any], **bounds: Any) -> list[Batch | str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [one for part in parse(data, now=NOW, bounds=Bounds(**bounds)) for one in part]


def one(**changes: Any) -> Batch | str:
    """Read one batch that is right but for the changes; a change to None leaves the key out."""
    batch = {"host": "web1", "collector": "app", "time": NOW, "values": {"reqs": 1}, **changes}
    (found,) = read({"batches": [{key: value for key, value in batch.items() if value is not None}]})
    return found


def test_a_batch_of_the_documentation_is_read_whole() -> None:
    found = one(
        instance="",
        interval=60,
        values={"reqs": 123, "busy": 0.5, "gone": None},
        kinds={"reqs": "counter"},
        meta={"version": "1.2"},
    )
    assert found == Batch(
        Source("web1", "app", ""), NOW, {"reqs": 123, "busy": 0.5, "gone": None}, {"reqs": Kind.COUNTER},
        {"version": "1.2"}, 60,
    )  # type: ignore[dict-item]  # fmt: skip
    assert type(found.values["reqs"]) is int


def test_an_interval_that_is_not_given_is_left_to_the_rates() -> None:
    found = one()
    assert isinstance(found, Batch)
    assert found.interval == 0


def test_a_batch_may_lift_the_least_value_of_its_derives() -> None:
    found = one(
        values={"a": 1, "b": 1, "c": 1}, kinds={"a": "derive", "b": "derive"}, min={"a": "U"}, max={"b": 9, "c": 8}
    )
    assert isinstance(found, Batch)
    assert found.limits == {"a": Limits(), "b": Limits(0.0, 9.0), "c": Limits(-math.inf, 8.0)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"host": 5}, "host: expected a text, got 5"),
        ({"host": None}, "host: expected a text, got nothing"),
        ({"instance": ["a"]}, "instance: expected a text, got an array"),
        ({"time": None}, "time: expected seconds since 1970, got nothing"),
        ({"time": "now"}, 'time: expected seconds since 1970, got "now"'),
        ({"time": True}, "time: expected seconds since 1970, got true"),
        ({"time": NOW - 172801}, "time: expected at most 172800 s ago, got 172801 s ago"),
        ({"time": NOW + 601}, "time: expected at most 600 s ahead, got 601 s ahead"),
        ({"values": [1]}, "values: expected an object of numbers by name, got an array"),
        ({"interval": 0}, "interval: expected seconds above 0, got 0"),
        ({"interval": False}, "interval: expected seconds above 0, got false"),
        ({"interval": -1}, "interval: expected seconds above 0, got -1"),
        ({"kinds": {"reqs": "count"}}, "kinds: expected one of gauge, counter, derive, absolute for 'reqs', got"),
        ({"kinds": {"reqs": {}}}, "kinds: expected one of gauge, counter, derive, absolute for 'reqs', got an object"),
        ({"kinds": "gauge"}, "kinds: expected an object of texts by name"),
        ({"meta": 1}, "meta: expected an object of texts by name"),
        ({"min": {"reqs": "-"}}, "min: expected a number or \"U\" for 'reqs'"),
        ({"max": 3}, 'max: expected an object of numbers or "U" by name'),
        ({"value": {}}, "batch: unknown key 'value'; did you mean values?"),
        ({"zzz": {}}, "batch: unknown key 'zzz'; allowed are collector, "),
    ],
)
def test_a_wrong_batch_is_refused_with_what_was_expected(changes: dict[str, Any], reason: str) -> None:
    found = one(**changes)
    assert isinstance(found, str)
    assert found.startswith(reason)


def test_a_wrong_batch_does_not_spoil_the_others() -> None:
    good = {"host": "a", "collector": "b", "time": NOW, "values": {"x": 1}}
    found = read({"batches": [good, 5, None, [], good]})
    assert [isinstance(batch, Batch) for batch in found] == [True, False, False, False, True]
    assert found[1] == "batch: expected an object, got 5"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"batches": {}}', b'{"batch": []}', b'{"batches": [], "more": 1}',
        b'{"batches": [{}]', b"\xff", b'{"batches": [{}],}',
    ],
)  # fmt: skip
def test_a_body_that_is_not_the_expected_json_is_refused_whole(body: bytes) -> None:
    with pytest.raises(BodyError):
        read(body)


def large(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"host": f"h{i}", "collector": "c", "time": NOW, "values": {"x": i}, **more} for i in range(count)]


def test_a_large_body_gives_the_same_batches_as_a_small_one() -> None:
    batches = large(5000, meta={"note": 'looks like an end: "},{" },{ \\'})
    for text in (json.dumps({"batches": batches}), json.dumps({"batches": batches}, indent=2)):
        found = read(text.encode())
        assert [batch.source.host for batch in found if isinstance(batch, Batch)] == [f"h{i}" for i in range(5000)]


def test_a_large_body_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    loads = push.orjson.loads

    class Measured:
        JSONDecodeError = push.orjson.JSONDecodeError

        @staticmethod
        def loads(data: bytes) -> Any:
            sizes.append(len(data))
            return loads(data)

    monkeypatch.setattr(push, "orjson", Measured)
    body = json.dumps({"batches": large(20_000)}).encode()
    assert len(body) > 1 << 20
    assert len(read(body)) == 20_000
    assert max(sizes) <= 256 << 10


def test_an_element_that_is_too_large_is_refused_and_the_others_are_read() -> None:
    batches = large(3)
    batches[1]["meta"] = {"note": "},{" * 200_000}
    found = read({"batches": batches})
    assert [isinstance(batch, Batch) for batch in found] == [True, False, True]
    assert str(found[1]).startswith("batch: expected at most 262144 bytes")


@pytest.mark.parametrize("bad", ["{", "}", "]", ",", '"', "x", "[[", '"\\"', "\\", " "])
@pytest.mark.parametrize("where", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_what_spoils_a_small_body_spoils_a_large_one(bad: str, where: float) -> None:
    parts = [json.dumps(batch) for batch in large(3000)]
    at = int(where * len(parts))
    body = ('{"batches": [' + ",".join([*parts[:at], bad, *parts[at:]]) + "]}").encode()
    assert len(body) > push.PIECE
    with pytest.raises(BodyError):
        read(body)
    trailing = ('{"batches": [' + ",".join(parts) + ",]}").encode()
    with pytest.raises(BodyError):
        read(trailing)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=20), st.sampled_from([None, 1]), st.integers(1, 300))
def test_elements_of_any_shape_are_cut_where_they_end(elements: list[Any], indent: int | None, piece: int) -> None:
    body = json.dumps({"batches": elements}, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(push, "PIECE", piece)
        found = [one for part in push._elements(body, 1 << 20) for one in part]
    assert found == push._whole(body)


def test_ten_thousand_brackets_are_read_with_pauses() -> None:
    body = b'{"batches": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}"
    steps = parse(body, now=NOW, bounds=Bounds(largest=1000))
    assert sum(1 for part in steps if not part) > 10


@pytest.mark.parametrize("count", [3, 3000])
@pytest.mark.parametrize(
    "number", ["NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "1e400", "-1e400", "1" * 400, "+inf"]
)
def test_a_number_that_json_does_not_have_refuses_its_batch_alone(number: str, count: int) -> None:
    batches = large(count, meta={"note": 'NaN, "x": Infinity \\'})
    body = json.dumps({"batches": batches}).encode().replace(b'"x": 1}', b'"ok": 1, "x y": %b}' % number.encode(), 1)
    found = read(body)
    assert len(found) == count
    assert found[1] == f"'x y': expected a number or null, got {number[:40]}"
    assert all(isinstance(batch, Batch) for i, batch in enumerate(found) if i != 1)


@pytest.mark.parametrize("text", ["NaN x", "{NaN}", "NaN NaN", "[NaN", "nano", "1e400e", "inf.", "NaN:1", '"a" NaN'])
def test_such_a_number_does_not_make_json_of_what_is_none(text: str) -> None:
    with pytest.raises(BodyError):
        read(f'{{"batches": [{{"host": "a", "values": {{"x": {text}}}}}]}}'.encode())
    with pytest.raises(BodyError):
        read(b'{"batches": NaN}')


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{}", "got an empty object"),
        ("[]", "got an array"),
        ("null", "got nothing"),
        ('{"batches": 1}', 'batches: expected an array of batches, an object {"batches": [{"host": '),
        ('{"batches": 1}', "got 1"),
        ('{"batch": []}', "got an object with the key batch"),
        ('{"batches": [], "more": 1}', "and nothing beside it, got an object with the keys batches, more"),
    ],
)
def test_a_body_of_another_shape_says_which_was_expected(body: str, said: str) -> None:
    with pytest.raises(BodyError) as caught:
        read(body.encode())
    assert said in str(caught.value)
    assert 'an object {"batches": [' in str(caught.value)


@settings(max_examples=66, deadline=None)
@given(st.text('{}[]",:\\ NaInfity0123.e+-xé', max_size=60), st.booleans())
def test_any_text_is_batches_refusals_or_a_body_error(text: str, whole: bool) -> None:
    body = (text if whole else f'{{"batches": [{{"host": "a", "values": {{"x": NaN, "y": {text}}}}}]}}').encode()
    try:
        found = read(body)
    except BodyError as error:
        assert "expected" in str(error)
    else:
        assert all(isinstance(one, str) for one in found)


def test_a_body_of_many_quotes_is_read_in_time() -> None:
    for text in (b'"' * 60_000, b'\\"' * 30_000, b'"\\' * 30_000, b"NaN" * 20_000, b"1" * 60_000, b"-" * 60_000):
        began = time.perf_counter()
        with pytest.raises(BodyError):
            read(b'{"batches": [{"x": NaN' + text + b"}]}")
        assert time.perf_counter() - began < 0.5
