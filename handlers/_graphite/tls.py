"""How TLS is spoken, from a handler's options."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from monitor.handler import DeliveryError

CONFIGURATION = 60.0
"""Seconds to wait at least where somebody has to change a setting first."""


async def context(*, verify: bool, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context of these files; DeliveryError where they are not usable."""
    try:
        return await asyncio.to_thread(_made, verify, ca, cert, key)
    except OSError as error:  # which an ssl.SSLError is
        raise DeliveryError(f"expected usable TLS files: {error}", CONFIGURATION) from error


def _made(verify: bool, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=ca)
    if not verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if cert is not None:
        made.load_cert_chain(cert, key)
    return made
