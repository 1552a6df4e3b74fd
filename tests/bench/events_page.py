"""The page of events with a made-up lecture, as a picture for the README: events.png.

python tests/bench/events_page.py [DIRECTORY]
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
import event_stories as stories
from playwright.async_api import async_playwright
from servers_postgres import PostgresServer
from web_parts import serving

CONFIG = """
[receivers]
[[rels]]
listen = 127.0.0.1:8123
[hosts]
[[10.0.0.7]]
hostname = wcs1
"""
NOW = 1_795_262_430
HIGH = 2110


async def draw(directory: Path) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="events-"))
    temporary.chmod(0o755)
    server = PostgresServer(temporary)
    server.start()
    try:
        async with (
            stories.storing(server, temporary / "store") as store,
            serving(temporary, CONFIG, clock=lambda: NOW) as (client, parts),
        ):
            begin = (NOW - 3600) * 1000
            await stories.fill(store, stories.stream(begin, 50))
            parts.store = store  # type: ignore[assignment]
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                page = await browser.new_page(viewport={"width": 1280, "height": HIGH})
                await page.goto(str(client.make_url(f"/events?stream={stories.STREAM}&start=end-4h")))
                await page.wait_for_load_state("networkidle")
                clip = {"x": 0, "y": 0, "width": 1280, "height": HIGH}
                await page.screenshot(path=directory / "events.png", clip=clip)
                await browser.close()
    finally:
        server.stop()
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1] if len(sys.argv) > 1 else ".readme")))
