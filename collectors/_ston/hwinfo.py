"""What `/monitoring/hwinfo` tells of the machine."""

from __future__ import annotations

import re

from collectors._ston.lenient import loads
from monitor.collector import CollectError

SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)B?\s*", re.IGNORECASE)
POWERS = " KMGT"


def memory(data: bytes) -> float:
    """Return the bytes of the memory, told as '32 GB'."""
    tree = loads(data)
    result = tree.get("result") if isinstance(tree, dict) else None
    text = result.get("Memory") if isinstance(result, dict) else None
    found = SIZE.fullmatch(str(text))
    if found is None:
        raise CollectError(f"expected result.Memory of hwinfo, got {str(text or tree)[:80]!r}")
    return float(found[1]) * 1024.0 ** POWERS.index(found[2].upper() or " ")
