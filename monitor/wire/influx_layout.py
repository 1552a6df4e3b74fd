"""Lines of InfluxDB's protocol whose fields have the same names: their numbers are read together."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

REAL = b"0123456789.eE+-,"
NO_INTEGER = re.compile(rb"[.eE][-+]?\d*i(?:,|\Z)")
LONG = re.compile(rb"i(?<=\d{19}i)")
COMMA, EQUALS = b",="


class FieldNames:
    """The names of the fields of a line, in their order."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        keys = [f"{name}=".encode() for name in names]
        self._keys = b"".join(keys)
        self._sizes = np.array(list(map(len, keys)), dtype=np.int64)

    def read(self, fields: Sequence[bytes]) -> NDArray[np.float64] | None:
        """Return a row of numbers for the fields of every line; None where one has others, or no plain numbers.

        Names and values are told apart by the places of `=`; then the names must be those known, and a value is what
        JSON reads up to the one comma before the next name.
        """
        rows, width, text = len(fields), len(self.names), b",".join(fields)
        data = np.frombuffer(text, np.uint8)
        values = (data == EQUALS).nonzero()[0] + 1
        count = len(values)
        if count != rows * width:
            return None
        # How long each name with its `=` is, and each value with its comma.
        sizes = np.empty((count, 2), dtype=np.int64)
        sizes.reshape(rows, width, 2)[:, :, 0] = self._sizes
        names = values - sizes[:, 0]
        np.subtract(names[1:], values[:-1], out=sizes[:-1, 1])
        sizes[-1, 1] = len(text) - values[-1]
        if names[0] != 0 or sizes.min() < 0 or (data[names[1:] - 1] != COMMA).any():
            return None
        first = np.zeros((count, 2), dtype=np.bool_)
        first[:, 0] = True
        in_name = first.ravel().repeat(sizes.ravel())
        if data[in_name].tobytes() != self._keys * rows:
            return None
        numbers = data[~in_name].tobytes()
        if b"i" in numbers and integers(numbers):
            numbers = numbers.replace(b"i,", b",").removesuffix(b"i")
        if numbers.translate(None, REAL):
            return None
        try:
            read = orjson.loads(b"[%b]" % numbers)
        except ValueError:
            return None
        return np.fromiter(read, np.float64, count).reshape(rows, width) if len(read) == count else None


def integers(text: bytes) -> bool:
    """Tell whether all that ends with an `i` is one of 64 bits for sure."""
    return not NO_INTEGER.search(text) and not LONG.search(text)
