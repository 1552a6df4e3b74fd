"""The README tells the truth where a machine can tell."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_example_of_a_collector_is_the_file_that_its_test_runs() -> None:
    example = (ROOT / "tests/examples/memcached.py").read_text()
    assert example in [text for kind, text in BLOCKS if kind == "python"]
    assert len(example.splitlines()) < 60


@pytest.mark.parametrize("number", range(sum(kind == "ini" for kind, _ in BLOCKS)))
def test_every_configuration_in_it_is_good(number: int, tmp_path: Path) -> None:
    text = [text for kind, text in BLOCKS if kind == "ini"][number]
    for secret in re.findall(r"/run/secrets/(\w+)", text):
        (tmp_path / secret).write_text("something long enough\n")
    (tmp_path / "servers.yml").write_text("config: {}\n---\nservice: shop\nservers: []\n")
    for directory in ("/run/secrets/", "/etc/kurado/"):
        text = text.replace(directory, f"{tmp_path}/")
    (tmp_path / "monitor.conf").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "check", "-c", str(tmp_path / "monitor.conf")], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["OK"]), done.stderr


def test_it_has_one_line_that_runs_and_one_that_tests() -> None:
    lines = [
        line for kind, text in BLOCKS if not kind for line in text.splitlines() if line.startswith("python3 -m venv")
    ]
    assert [line.rpartition("/")[2] for line in lines] == ["monitor run", "pytest"]


def test_what_it_links_to_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for script in re.findall(r"`(\w+\.py)`", README):
        assert list((ROOT / "tests").rglob(script)), script
