"""`monitor setup`, against strict stand-ins of Elasticsearch, OpenSearch, Kibana and OpenSearch Dashboards."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest
import sora_fields
from appliance import free_port
from elastic_templates import Wrong, check_template
from elasticsearch import AsyncElasticsearch, BadRequestError
from servers_elastic import Elastic
from servers_kibana import Kibana
from sora_server import CASES

from handlers._elastic import kibana, template
from monitor.cli import main

ROOT = Path(__file__).resolve().parent.parent


class Ran:
    """What a command answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run `monitor` beside the loop that the stand-ins are served by, with a configuration of one handler."""
    file = tmp_path / "monitor.conf"

    async def command(*arguments: str, config: str = "") -> Ran:
        text = (
            f"[server]\ndata_dir = {tmp_path}\nhandlers = ElasticsearchHandler\n[handlers]\n[[ElasticsearchHandler]]\n"
        )
        file.write_text(text + config)
        try:
            code = await asyncio.to_thread(main, ["setup", *arguments, "-c", str(file)])
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return command


# The template


async def test_a_template_is_created_once_and_replaced_where_an_option_changed(run: Any) -> None:
    async with Elastic() as elastic:
        config = f"urls = {elastic.url}\n"
        first = await run("elasticsearch", "--keep", "30d", config=config)
        assert (first.code, first.err) == (0, "")
        shown = f"{elastic.url}: Elasticsearch 8.19.0"
        assert first.out.splitlines() == [shown, "policy sorabeat: created", "template sorabeat: created"]
        again = await run("elasticsearch", "--keep", "30d", config=config)
        same = "is as it should be"
        assert again.out.splitlines() == [shown, f"policy sorabeat: {same}", f"template sorabeat: {same}"]
        assert elastic.writes == ["/_ilm/policy/sorabeat", "/_index_template/sorabeat"]
        other = await run("elasticsearch", "--keep", "60d", "--shards", "2", config=config)
        assert other.out.splitlines()[1:] == ["policy sorabeat: replaced", "template sorabeat: replaced"]
        settings = elastic.templates["sorabeat"]["template"]["settings"]["index"]
        assert settings["number_of_shards"] == "2"
        assert settings["lifecycle"]["name"] == "sorabeat"
        assert elastic.policies["sorabeat"][1]["phases"]["delete"]["min_age"] == "60d"


async def test_a_dry_run_says_what_it_would_do_and_changes_nothing(run: Any) -> None:
    async with Elastic() as elastic:
        done = await run("elasticsearch", "--dry-run", "--keep", "7d", config=f"urls = {elastic.url}\n")
        assert done.code == 0
        assert done.out.splitlines()[1:] == ["policy sorabeat: would be created", "template sorabeat: would be created"]
        assert elastic.writes == []


async def test_opensearch_gets_the_same_template_and_a_policy_of_its_own(run: Any) -> None:
    async with Elastic(version="2.19.1", opensearch=True) as elastic:
        config = f"urls = {elastic.url}\nindex = sora-metrics\n"
        for keep, words in (("7d", ["created"] * 2), ("7d", ["is as it should be"] * 2), ("9d", ["replaced", ""])):
            done = await run("elasticsearch", "--data-stream", "--keep", keep, config=config)
            assert (done.code, done.err) == (0, "")
            assert [line.rpartition(": ")[2] for line in done.out.splitlines()[1:]] == [
                words[0], words[1] or "is as it should be",
            ]  # fmt: skip
        assert elastic.templates["sorabeat"]["data_stream"] == {}
        assert elastic.templates["sorabeat"]["index_patterns"] == ["sora-metrics"]
        policy = elastic.policies["sorabeat"][1]
        assert policy["ism_template"] == [{"index_patterns": ["sora-metrics"], "priority": 200}]
        assert policy["states"][0]["actions"] == [
            {"rollover": {"min_index_age": "1d", "min_primary_shard_size": "50gb"}}
        ]


async def test_what_others_made_under_the_same_name_is_left_alone(run: Any) -> None:
    async with Elastic() as elastic:
        theirs = check_template({"index_patterns": ["sorabeat-*"], "priority": 7}, {})
        elastic.templates["sorabeat"] = theirs
        config = f"urls = {elastic.url}\n"
        done = await run("elasticsearch", config=config)
        assert done.code == 1
        assert done.err == "error: there is a template sorabeat that was not made here: --overwrite replaces it\n"
        assert elastic.templates["sorabeat"] is theirs
        assert (await run("elasticsearch", "--overwrite", config=config)).code == 0
        assert elastic.templates["sorabeat"]["priority"] == 200


async def test_a_template_of_equal_priority_for_the_same_indices_is_a_clear_error(run: Any) -> None:
    async with Elastic() as elastic:
        elastic.templates["other"] = check_template({"index_patterns": ["sora*"], "priority": 200}, {})
        done = await run("elasticsearch", config=f"urls = {elastic.url}\n")
        assert done.code == 1
        assert "status 400" in done.err
        assert "existing templates [other] with the same priority [200]" in done.err
        assert (await run("elasticsearch", "--priority", "201", config=f"urls = {elastic.url}\n")).code == 0


async def test_documents_of_every_year_are_mapped_as_meant(run: Any) -> None:
    async with Elastic() as elastic:
        assert (await run("elasticsearch", config=f"urls = {elastic.url}\n")).code == 0
        for year in sora_fields.YEARS:
            report = json.loads((CASES / year / "GetStatsReport").read_text())
            report |= {"lists_mean": 2, "lists_stddev": 1, "lists_imbalance": 3, "some_gauge": 7}
            connections = json.loads((CASES / year / "GetStatsAllConnections").read_text())
            trees = [{"stats": report}, *({"connections": {**one, "channel_client_id": "a/b"}} for one in connections)]
            body = b"".join(
                b'{"create":{"_index":"sorabeat-2026.11.21"}}\n'
                + orjson.dumps({"@timestamp": "2026-11-21T12:00:00Z", "sora": tree}) + b"\n"
                for tree in trees
            )  # fmt: skip
            async with AsyncElasticsearch(elastic.url) as client:
                answer = await client.bulk(body=body)
            assert answer["errors"] is False, answer
        mapping = elastic.mappings["sorabeat-2026.11.21"]
        for name in ("lists_mean", "lists_stddev", "lists_imbalance", "some_gauge"):
            assert mapping[f"sora.stats.{name}"] == "double"
        for name in (
            "stats.total_duration_sec", "connections.rtp.total_sent_rtp", "connections.turn.total_sent_channel_data",
            "stats.sora_client.total_failed_sora_client_type.unknown",
        ):  # fmt: skip
            assert mapping[f"sora.{name}"] == "long"
        assert mapping["sora.connections.timestamp"] == "date"
        for name in (*template.IDS, "some_text"):
            assert mapping.get(f"sora.connections.{name}", "keyword") == "keyword"
        assert mapping["sora.stats.version"] == "keyword"
        assert len(mapping) > 300


async def test_the_official_client_puts_and_reads_what_is_printed(run: Any) -> None:
    printed = (await run("elasticsearch", "--print", "--keep", "30d")).out
    calls = dict(part.partition("\n")[::2] for part in printed.strip().split("\n\n"))
    made = {path.removeprefix("PUT "): json.loads(body) for path, body in calls.items()}
    async with Elastic() as elastic, AsyncElasticsearch(elastic.url) as client:
        policy = made["/_ilm/policy/sorabeat"]["policy"]
        assert (await client.ilm.put_lifecycle(name="sorabeat", policy=policy))["acknowledged"]
        body = made["/_index_template/sorabeat"]
        await client.indices.put_index_template(name="sorabeat", **{key.lstrip("_"): body[key] for key in body})
        found = await client.indices.get_index_template(name="sorabeat")
        assert found["index_templates"][0]["index_template"]["index_patterns"] == ["sorabeat-*"]
        assert (await client.ilm.get_lifecycle(name="sorabeat"))["sorabeat"]["policy"]["phases"]["delete"]
        # and what the stand-in refuses is an error to the client
        with pytest.raises(BadRequestError, match="mapper_parsing_exception"):
            wrong = {"mappings": {"properties": {"a": {"type": "flout"}}}}
            await client.indices.put_index_template(name="x", index_patterns=["x-*"], template=wrong)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"extra": 1}, "unknown field"),
        ({"index_patterns": []}, "index patterns are missing"),
        ({"template": {"settings": {"number_of_shard": 1}}}, "unknown setting"),
        ({"template": {"mappings": {"dynamic_templates": [{"x": {"mapping": {}}}]}}}, "must have"),
        ({"template": {"mappings": {"properties": {"a": {"type": "long", "ignore_above": 1}}}}}, "unknown parameter"),
    ],
)
def test_the_stand_in_refuses_templates_as_documented(body: dict[str, Any], why: str) -> None:
    with pytest.raises(Wrong, match=why):
        check_template({"index_patterns": ["a"], **body}, {})


@pytest.mark.parametrize(
    ("index", "pattern"),
    [
        ("sorabeat-%Y.%m.%d", "sorabeat-*"),
        ("Logs-%y-{metricset}", "logs-*"),
        ("metrics-sora.stats-default", "metrics-sora.stats-default"),
        ("sora-{module}-{metricset}", "sora-*"),
    ],
)
def test_the_pattern_of_an_index_is_what_stands_before_its_first_variable(index: str, pattern: str) -> None:
    assert template.pattern_of(index) == pattern


def test_an_index_without_a_fixed_beginning_needs_a_pattern_of_its_own() -> None:
    with pytest.raises(ValueError, match="begins with a fixed word, or --pattern"):
        template.pattern_of("{module}-%Y")


# Bad input, credentials, targets that are away


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("elasticsearch", "--shards", "0"), 2, "--shards: expected a whole number from 1 to 1024, got '0'"),
        (("elasticsearch", "--keep", "soon"), 1, "--keep: expected something like 30d, got 'soon'"),
        (("elasticsearch", "--name", "../x"), 1, "--name: expected something like sorabeat, got '../x'"),
        (("elasticsearch", "--data-stream"), 1, "a data stream has no day in its name"),
        (("elasticsearch", "--password-file", "/nowhere"), 2, "--password-file: /nowhere cannot be read: No such file"),
        (("elasticsearch", "--url", "ftp://x"), 1, "expected addresses of the form http://HOST:9200"),
        (("elasticsearch", "--shard", "1", "--nonsense"), 2, "unrecognized arguments: --nonsense"),
        (("kibana", "--space", "A b"), 1, "--space: expected a space's identifier such as sora, got 'A b'"),
        (("grafana",), 2, "there is no 'grafana' to set up"),
    ],
)
async def test_wrong_options_are_told(run: Any, arguments: tuple[str, ...], code: int, text: str) -> None:
    done = await run(*arguments)
    assert done.code == code, done.err
    assert text in done.err


async def test_without_a_word_the_words_are_told(capsys: pytest.CaptureFixture[str], run: Any) -> None:
    done = await run()
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == ["clickhouse", "elasticsearch", "kibana"]


PLUGIN = """
from monitor.handler import Handler, Setup, SetupError, option

class Tables(Setup):
    \"\"\"Make the tables.\"\"\"

    count: int = option(1, "how many", min=1)

    async def run(self, *, dry):
        yield f"{self.handler.place}: {self.count} {'would be made' if dry else 'made'}"
        if self.count > 2:
            raise SetupError("two is the most")

    def printed(self):
        return f"CREATE {self.count}\\n"

class ShelfHandler(Handler):
    place: str = option("here", "where")
    setups = {"shelf": Tables}
"""


async def test_a_handler_of_another_directory_offers_words_of_its_own(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "shelf.py").write_text(PLUGIN)
    file = tmp_path / "monitor.conf"
    file.write_text(f"[server]\ndata_dir = {tmp_path}\nhandlers_path = {tmp_path}\nhandlers = ShelfHandler\n"
                    "[handlers]\n[[ShelfHandler]]\nplace = there\n")  # fmt: skip
    for arguments, code, out in (
        (["shelf", "--count", "2"], 0, "there: 2 made\n"),
        (["shelf", "--dry-run"], 0, "there: 1 would be made\n"),
        (["shelf", "--count", "3"], 1, "there: 3 made\n"),
        (["shelf", "--print"], 0, "CREATE 1\n"),
    ):
        assert await asyncio.to_thread(main, ["setup", *arguments, "-c", str(file)]) == code
        assert capsys.readouterr().out == out
    assert await asyncio.to_thread(main, ["setup", "-c", str(file)]) == 0
    assert "  shelf          Make the tables." in capsys.readouterr().out


async def test_what_is_away_is_exit_code_69_and_what_is_no_elasticsearch_1(run: Any) -> None:
    done = await run("elasticsearch", config=f"urls = http://user:secret@127.0.0.1:{free_port()}\n")
    assert done.code == 69
    assert "no answer from http://127.0.0.1:" in done.err
    assert "secret" not in done.err + done.out
    async with Elastic(version="7.7.1") as old:
        done = await run("elasticsearch", config=f"urls = {old.url}\n")
        assert (done.code, done.err) == (
            1, "error: expected Elasticsearch 7.8 or later, which has composable templates, got 7.7.1\n",
        )  # fmt: skip
    async with Elastic(version="7.10.2") as old:
        config = f"urls = {old.url}\n"
        done = await run("elasticsearch", "--keep", "30d", config=config)
        assert (done.code, old.writes) == (1, [])
        assert done.err == "error: --keep: expected Elasticsearch 7.16 or later, got 7.10.2\n"
        assert (await run("elasticsearch", config=config)).code == 0
    async with Kibana() as other:
        done = await run("elasticsearch", config=f"urls = {other.url}\n")
        assert done.code == 1
        assert "its version: status 404" in done.err


async def test_the_next_address_is_asked_where_one_is_away(run: Any) -> None:
    async with Elastic() as elastic:
        done = await run("elasticsearch", config=f"urls = http://127.0.0.1:{free_port()}, {elastic.url}\n")
        assert (done.code, elastic.writes) == (0, ["/_index_template/sorabeat"])


async def test_credentials_are_the_handlers_or_those_given_here(run: Any, tmp_path: Path) -> None:
    basic = "Basic " + b64encode(b"elastic:from section").decode()
    async with Elastic(authorization=basic) as elastic:
        config = f"urls = {elastic.url}\nusername = elastic\npassword = from section\n"
        assert (await run("elasticsearch", config=config)).code == 0
        refused = await run("elasticsearch", config=f"urls = {elastic.url}\n")
        assert refused.code == 1
        assert "status 401: security_exception: unable to authenticate; check the credentials" in refused.err
    key = tmp_path / "key"
    key.write_text("id:secret\n")
    async with Elastic(authorization="ApiKey " + b64encode(b"id:secret").decode()) as elastic:
        config = f"urls = {elastic.url}\nusername = elastic\npassword = x\n"
        assert (await run("elasticsearch", "--api-key-file", str(key), config=config)).code == 0
        with_user = elastic.url.replace("//", "//a:b@")
        assert (await run("elasticsearch", "--url", with_user, "--api-key-file", str(key), config=config)).code == 0


# Kibana


def test_the_field_list_is_made_of_the_answers_of_all_years(golden: bool) -> None:
    file = ROOT / "handlers/_elastic/fields.py"
    if golden:
        file.write_text(sora_fields.module())
    assert file.read_text() == sora_fields.module()


@pytest.mark.parametrize(
    ("version", "opensearch"), [("8.19.0", False), ("9.1.2", False), ("7.17.9", False), ("2.19.1", True)]
)
async def test_objects_are_imported_and_again_without_harm(run: Any, version: str, opensearch: bool) -> None:
    async with Kibana(version, opensearch=opensearch) as server:
        dry = await run("kibana", "--url", server.url, "--dry-run")
        assert (dry.code, server.imports) == (0, 0)
        for _ in range(2):
            done = await run("kibana", "--url", server.url)
            assert (done.code, done.err) == (0, "")
        name = "OpenSearch Dashboards" if opensearch else "Kibana"
        first, second = done.out.splitlines()
        assert first == f"{server.url}: {name} {version}"
        assert second.startswith("imported the data view sorabeat-*, ")
        assert dry.out.replace("would import", "imported") == done.out
        kinds = [kind for _, kind, _ in server.objects]
        numbers = len(list(kibana.numbers()))
        choice = 0 if version[0] in "89" else 1
        assert kinds.count("visualization") == numbers + 6 + choice
        assert kinds.count("index-pattern") == kinds.count("dashboard") == 1


async def test_every_number_of_every_year_has_a_picture_and_a_counter_is_drawn_per_second() -> None:
    pictures = {one["id"]: one for one in kibana.objects("sorabeat-*", "kibana")}
    for metricset, names in sora_fields.found().items():
        for name in names:
            assert f"sora-field-sora.{metricset}.{name}" in pictures
    state = json.loads(pictures["sora-field-sora.connections.rtp.total_sent_bytes"]["attributes"]["visState"])
    (series,) = state["params"]["series"]
    assert [metric["type"] for metric in series["metrics"]] == ["max", "derivative", "positive_only"]
    assert (series["formatter"], series["terms_field"]) == ("bytes", "sora.connections.channel_client_id")
    state = json.loads(pictures["sora-field-sora.stats.total_ongoing_connections"]["attributes"]["visState"])
    (series,) = state["params"]["series"]
    assert [metric["type"] for metric in series["metrics"]] == ["max"]


def test_the_dashboard_shows_six_panels_of_todays_fields_and_chooses_hosts() -> None:
    today = {f"sora.{metricset}.{name}" for metricset, names in sora_fields.found("2025").items() for name in names}
    for flavour in ("kibana", "kibana7", "opensearch"):
        found = {one["id"]: one for one in kibana.objects("sorabeat-*", flavour)}
        board = found["sora"]
        panels = [one["id"] for one in board["references"] if one["type"] == "visualization"]
        assert [id for id in panels if id != "sora-host"] == [f"sora-{picture.id}" for picture in kibana.PANELS]
        assert len(kibana.PANELS) == 6
        if flavour == "kibana":
            assert "beat.hostname" in board["attributes"]["controlGroupInput"]["panelsJSON"]
        else:
            assert panels[0] == "sora-host"
        for picture in kibana.PANELS:
            for field in (*(line.field for line in picture.lines), *(picture.share or ())):
                assert field in today, field


async def test_a_space_and_another_pattern_are_kept_apart(run: Any) -> None:
    async with Kibana() as server:
        done = await run("kibana", "--url", server.url, "--space", "sora", "--pattern", "metrics-sora.*")
        assert done.code == 0, done.err
        assert {key[0] for key in server.objects} == {"sora"}
        assert ("sora", "index-pattern", "metrics-sora.*") in server.objects


async def test_what_kibana_refuses_is_told_with_its_words(run: Any) -> None:
    async with Kibana() as server:
        error = {
            "id": "sora",
            "type": "dashboard",
            "error": {"type": "unknown", "message": "no room", "statusCode": 413},
        }
        server.answers = [
            (200, {"success": False, "successCount": 1, "errors": [error]}),
            (413, {"statusCode": 413, "error": "Request Entity Too Large", "message": "Payload content length"}),
            (200, ["what"]),
        ]
        for text in (
            "1 of the objects were refused, the first: dashboard sora: type unknown, message no room, statusCode 413",
            "the import: status 413: Request Entity Too Large: Payload content length",
            "the import: expected success, got '[\"what\"]'",
        ):
            done = await run("kibana", "--url", server.url)
            assert (done.code, done.err) == (1, f"error: {text}\n")
        server.ready = False
        done = await run("kibana", "--url", server.url)
        assert done.code == 1
        assert "not ready yet" in done.err
    async with Elastic() as other:
        assert "its status: status 404" in (await run("kibana", "--url", other.url)).err
    done = await run("kibana", "--url", f"http://127.0.0.1:{free_port()}")
    assert done.code == 69


async def test_printed_objects_are_what_is_imported(run: Any) -> None:
    printed = (await run("kibana", "--print")).out
    async with Kibana() as server:
        assert (await run("kibana", "--url", server.url)).code == 0
        lines = [json.loads(line) for line in printed.splitlines()]
        assert lines == list(server.objects.values())
    other = (await run("kibana", "--print", "--product", "opensearch")).out
    assert '"use_kibana_indexes' not in other
    assert "input_control_vis" in other
