"""What ClickHouse says when it refuses something: a code, its name, and the status of the answer over HTTP."""

from __future__ import annotations

ERRORS: dict[int, tuple[str, int]] = {
    6: ("CANNOT_PARSE_TEXT", 400),
    8: ("THERE_IS_NO_COLUMN", 400),
    15: ("DUPLICATE_COLUMN", 400),
    16: ("NO_SUCH_COLUMN_IN_TABLE", 500),
    20: ("NUMBER_OF_COLUMNS_DOESNT_MATCH", 500),
    25: ("CANNOT_PARSE_ESCAPE_SEQUENCE", 400),
    26: ("CANNOT_PARSE_QUOTED_STRING", 400),
    27: ("CANNOT_PARSE_INPUT_ASSERTION_FAILED", 400),
    32: ("ATTEMPT_TO_READ_AFTER_EOF", 500),
    33: ("CANNOT_READ_ALL_DATA", 500),
    36: ("BAD_ARGUMENTS", 400),
    38: ("CANNOT_PARSE_DATE", 400),
    40: ("CHECKSUM_DOESNT_MATCH", 500),
    41: ("CANNOT_PARSE_DATETIME", 400),
    43: ("ILLEGAL_TYPE_OF_ARGUMENT", 500),
    44: ("ILLEGAL_COLUMN", 400),
    46: ("UNKNOWN_FUNCTION", 404),
    47: ("UNKNOWN_IDENTIFIER", 404),
    48: ("NOT_IMPLEMENTED", 501),
    50: ("UNKNOWN_TYPE", 404),
    53: ("TYPE_MISMATCH", 400),
    60: ("UNKNOWN_TABLE", 404),
    62: ("SYNTAX_ERROR", 400),
    69: ("ARGUMENT_OUT_OF_BOUND", 500),
    72: ("CANNOT_PARSE_NUMBER", 400),
    73: ("UNKNOWN_FORMAT", 404),
    76: ("CANNOT_OPEN_FILE", 503),
    78: ("UNKNOWN_TYPE_OF_QUERY", 404),
    81: ("UNKNOWN_DATABASE", 404),
    89: ("UNKNOWN_COMPRESSION_METHOD", 500),
    115: ("UNKNOWN_SETTING", 404),
    117: ("INCORRECT_DATA", 400),
    131: ("TOO_LARGE_STRING_SIZE", 500),
    158: ("TOO_MANY_ROWS", 500),
    159: ("TIMEOUT_EXCEEDED", 408),
    164: ("READONLY", 500),
    192: ("UNKNOWN_USER", 403),
    193: ("WRONG_PASSWORD", 403),
    194: ("REQUIRED_PASSWORD", 401),
    195: ("IP_ADDRESS_NOT_ALLOWED", 403),
    202: ("TOO_MANY_SIMULTANEOUS_QUERIES", 500),
    209: ("SOCKET_TIMEOUT", 503),
    223: ("UNEXPECTED_AST_STRUCTURE", 413),
    241: ("MEMORY_LIMIT_EXCEEDED", 500),
    252: ("TOO_MANY_PARTS", 500),
    271: ("CANNOT_DECOMPRESS", 500),
    307: ("TOO_MANY_BYTES", 500),
    467: ("CANNOT_PARSE_BOOL", 400),
    439: ("CANNOT_SCHEDULE_TASK", 503),
    456: ("UNKNOWN_QUERY_PARAMETER", 500),
    457: ("BAD_QUERY_PARAMETER", 400),
    497: ("ACCESS_DENIED", 403),
    516: ("AUTHENTICATION_FAILED", 403),
    675: ("CANNOT_PARSE_IPV4", 400),
    676: ("CANNOT_PARSE_IPV6", 400),
    1002: ("UNKNOWN_EXCEPTION", 500),
}
"""Codes with their names and the status that ClickHouse answers with."""


class ClickHouseError(Exception):
    """A refusal: `text` says in ClickHouse's manner what is wrong."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.name = name
        self.text = text

    @property
    def status(self) -> int:
        """The status of the answer over HTTP."""
        return ERRORS.get(self.code, ("", 500))[1]


def syntax(text: str) -> ClickHouseError:
    """Return the error of a statement that is not understood."""
    return ClickHouseError(62, "SYNTAX_ERROR", f"Syntax error: {text}")
