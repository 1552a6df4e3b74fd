"""The languages of the pages: which one is chosen, and that no text lacks one."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from web_parts import serving

from monitor.registry import Registry
from monitor.web import index, vhosts
from monitor.web.hosts import WORDS as STATES
from monitor.web.japanese import WORDS
from monitor.web.languages import language, translator
from monitor.web.png import CUSTOM, TERMS

WEB = Path(index.__file__).parent
SAID = re.compile(r"""(?<![a-z_])(?:t|translate)\(\s*(?:"([^"]+)"|'([^']+)')""")


ENGLISH = re.compile(r"""<(\w+)[^>]*lang="en".*?</\1>""")
CODE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", re.DOTALL)


def texts() -> set[str]:
    """Return every text that a page says: those written in templates and code, and the words of terms and states."""
    files = [*WEB.glob("templates/*.html"), WEB / "pages.py"]
    found = {one or other for file in files for one, other in SAID.findall(file.read_text())}
    found |= set(re.findall(r'\d, "(\{n\} \w+)"', (WEB / "pages.py").read_text()))
    found |= {term.label for term in (*TERMS.values(), *vhosts.TERMS.values())}
    found |= {word for cls in Registry().collectors.values() for word in cls.called}
    return found | {CUSTOM, *STATES, *index.ORDER}


def test_every_text_has_both_languages_and_none_is_left_over() -> None:
    assert texts() == set(WORDS)


def test_translations_say_something_with_the_same_values() -> None:
    for text, said in WORDS.items():
        assert said.strip(), text
        assert said != text
        names = [[name for _, name, _, _ in string.Formatter().parse(one) if name] for one in (text, said)]
        assert sorted(names[0]) == sorted(names[1]), text
    assert translator("ja")("{n} of {all} hosts", n=2, all=10) == "10台中2台"
    assert translator("en")("{n} of {all} hosts", n=2, all=10) == "2 of 10 hosts"


def test_no_text_of_a_template_is_only_english() -> None:
    for file in WEB.glob("templates/*.html"):
        plain = CODE.sub(" ", ENGLISH.sub(" ", file.read_text()))
        words = set(re.findall(r"[A-Za-z]{2,}", plain)) - {"monitor", "JSON", "URL"}
        assert not words, (file.name, words)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [("", "en"), ("ja", "ja"), ("ja-JP,ja;q=0.9,en;q=0.8", "ja"), ("en-US,en;q=0.9,ja;q=0.8", "en"),
     ("de,fr;q=0.5", "en"),
     ("de,ja;q=0.3", "ja"), ("en;q=0.2, JA;q=0.7", "ja"), ("ja;q=0", "en"), ("ja;q=x", "en"), ("*", "en"),
     (";;,", "en")],
)  # fmt: skip
def test_the_reader_chooses_the_language(header: str, wanted: str) -> None:
    assert language(header) == wanted


async def test_pages_say_which_language_they_are_in(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        for header, wanted, word in (("ja", "ja", "ホスト一覧"), ("en", "en", "Hosts")):
            answer = await client.get("/", headers={"Accept-Language": header, "Accept": "text/html"})
            text = await answer.text()
            assert f'<html lang="{wanted}">' in text
            assert word in text
            assert answer.headers["Content-Language"] == wanted
            assert "Accept-Language" in answer.headers["Vary"]
        wrong = await client.get("/server", headers={"Accept-Language": "ja", "Accept": "text/html"})
        assert wrong.status == 400
        assert '<html lang="ja">' in await wrong.text()
