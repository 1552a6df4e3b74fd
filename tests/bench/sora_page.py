"""The page of a Sora with a day of made-up numbers, as a picture for the README: sora.png.

python tests/bench/sora_page.py [DIRECTORY]
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from playwright.async_api import async_playwright
from web_parts import serving

from monitor.batch import Source

HOST = "sora1"
CONFIG = """
[roles]
[[sora]]
collectors = SoraCollector
[hosts]
[[10.0.0.3]]
hostname = sora1
service = meetings
role = sora
"""
NOW = 1_795_262_430
EVERY = 300
CHANNELS = ("lecture-101", "lecture-204", "standup", "support", "town-hall", "webinar-eu", "webinar-jp")
VM = "erlang_vm.statistics."


def day(at: float, size: float, rng: random.Random) -> float:
    """Return a load that is least at night and has its peaks in the morning and the afternoon."""
    hour = at / 3600 % 24
    wave = 0.15 + math.exp(-(((hour - 10) / 2.5) ** 2)) + 0.8 * math.exp(-(((hour - 15) / 3) ** 2))
    return size * wave * rng.uniform(0.9, 1.1)


def whole(load: float, rng: random.Random) -> dict[str, float]:
    queue = load / 80
    return {
        "total_ongoing_connections": round(load), "connections": round(load), "channels": round(4 + load / 60),
        "total_connection_created": load / 900, "total_connection_destroyed": load / 950 * rng.uniform(0.8, 1.2),
        "total_successful_connections": load / 910, "total_failed_connections": load / 40_000,
        "total_received_srtp_byte_size": load * 90e3, "total_sent_srtp_byte_size": load * 310e3,
        "total_received_srtp": load * 95, "total_sent_srtp": load * 330,
        "received_bytes": load * 92e3, "sent_bytes": load * 315e3, "received_packets": load * 98,
        "sent_packets": load * 334, "connections_left_out": 0,
        "average_duration_sec": 1500 + 3 * load, "average_setup_time_msec": 180 + load / 10,
        "total_auth_webhook_allowed": load / 900, "total_auth_webhook_denied": load / 30_000,
        **{f"{VM}run_queue_lengths_all_{word}": queue * size for word, size in
           (("max", 3.0), ("mean", 1.0), ("min", 0.2), ("stddev", 0.7))},
        f"{VM}run_queue_lengths_all_imbalance": 3 * rng.uniform(0.8, 1.3),
        "erlang_vm.memory.total": 4e8 + load * 9e5, "erlang_vm.memory.processes": 1e8 + load * 4e5,
        "erlang_vm.memory.binary": 8e7 + load * 3e5, "erlang_vm.memory.code": 2.3e7, "erlang_vm.memory.ets": 6e6,
        "erlang_vm.memory.atom": 9e5,
    }  # fmt: skip


async def draw(directory: Path) -> None:
    rng = random.Random(6)
    with tempfile.TemporaryDirectory() as temporary:
        async with serving(Path(temporary), CONFIG, clock=lambda: NOW) as (client, parts):
            for at in range(NOW - 8 * 86400, NOW + 1, EVERY):
                at -= at % EVERY
                parts.store.add(
                    Source("10.0.0.3", "sora"), at, at - EVERY, whole(day(at, 420, rng), rng), interval=EVERY,
                    meta={"version": "2025.1.0"},
                )  # fmt: skip
                for number, name in enumerate(CHANNELS):
                    load = day(at, 20 + 17 * number, rng)
                    parts.store.add(
                        Source("10.0.0.3", "sora", name), at, at - EVERY,
                        {"connections": round(load), "received_bytes": load * 92e3, "sent_bytes": load * 315e3,
                         "received_packets": load * 98, "sent_packets": load * 334},
                        interval=EVERY, meta={"vhost": name, "channel_id": name},
                    )  # fmt: skip
            job = parts.job("10.0.0.3", "sora")
            job.up, job.runs, job.duration = True, 1000, 0.012
            job.last_run = job.last_success = NOW - 3
            job.next_run = NOW + 2
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                page = await browser.new_page(viewport={"width": 1280, "height": 2300})
                await page.goto(str(client.make_url("/server?address=10.0.0.3&plugin_identifier=sora")))
                await page.wait_for_load_state("networkidle")
                await page.screenshot(path=directory / "sora.png", clip={"x": 0, "y": 0, "width": 1280, "height": 1560})
                await browser.close()


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1] if len(sys.argv) > 1 else ".readme")))
