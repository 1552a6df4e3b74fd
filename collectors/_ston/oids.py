"""The objects of STON's SNMP agent, by the path that the same field has in the JSON statistics.

A mean and its sum are two objects. All have a minute behind them: 5 is the mean, or the sum, of five minutes, 0 the
previous second. Media Server and Edge Server have different objects below a virtual host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from collectors._ston.field import PROTOCOLS

Server = Literal["media", "edge"]
Columns = Mapping[str, str]

ROOTS = {"media": "1.3.6.1.4.1.40001.2", "edge": "1.3.6.1.4.1.40001.1"}
META = {"Version": "1.3", "Name": "1.4", "State": "1.5", "Uptime": "1.6"}
TOTAL = {"System.Mem.Total": "2.9"}
SYSTEM = {
    **{f"System.CPU.{name}": f"2.{oid}" for name, oid in (
        ("Kernel", 4), ("User", 6), ("Idle", 8), ("ProcKernel", 21), ("ProcUser", 23), ("Nice", 28), ("IOWait", 30),
        ("IRQ", 32), ("SoftIRQ", 34), ("Steal", 36))},
    "System.Mem.Free": "2.11", "System.Mem.STON": "2.12",
    **{f"System.SystemLoadAverage.{name}": f"2.{oid}" for name, oid in (("Min1", 24), ("Min5", 25), ("Min15", 26))},
    **{f"System.TCPSocket.{name}": f"2.{oid}" for oid, name in enumerate(
        ("Established", "Timewait", "Orphan", "Alloc", "Mem"), 40)},
    "System.EQ": "3.5", "System.RQ": "3.6", "System.WaitingFiles2Write": "3.7",
    **{f"System.ServerSocket.{name}": f"3.{oid}" for oid, name in enumerate(
        ("Total", "Established", "Accepted", "Closed"), 10)},
    **{f"System.ClientSocket.{name}": f"3.{oid}" for oid, name in enumerate(
        ("Total", "Established", "Connected", "Closed"), 20)},
    "System.ServiceAccess.Allow": "3.30", "System.ServiceAccess.Deny": "3.31",
}  # fmt: skip

HOST, VHOSTS = "4.1", "4.3"
NAME, STATE, UPTIME, KIND = 2, 3, 4, 5
SUBTREES = {"Origin": "11.10", "Client": "11.11"}
OF_PROTOCOL = {"Http": 10, "Hls": 11, "MpegDash": 12, "Rtmp": 20}
FLOWS = ("Inbound", "Outbound", "Session", "ActiveSession")
CODES = ("HIT", "IMS_HIT", "REFRESH_HIT", "REF_FAIL_HIT", "NEGATIVE_HIT", "MISS", "REFRESH_MISS",
         "CLIENT_REFRESH_MISS", "DENIED", "ERROR", "REDIRECT_HIT")  # fmt: skip
CLASSES = {"Res2xx": 20, "Res3xx": 30, "Res4xx": 40, "Res5xx": 50}
RESPONSE = ("Count", "Completed", "TimeRes", "TimeComplete", "CountSum", "CompletedSum")
METHODS = {"NetConnection.Connect": 20, "NetConnection.CreateStream": 21, "NetStream.Play": 30, "NetStream.Close": 31,
           "NetStream.Delete": 32, "NetStream.Seek": 33, "NetStream.Pause": 34}  # fmt: skip
CALL = ("Success", "SuccessSum", "Fail", "FailSum", "TimeRes")
SIZES = (*(f"U{2**n}{unit}" for unit in "KM" for n in range(10)), *(f"U{2**n}G" for n in range(5)), "O16G")


def flows(server: Server) -> dict[str, str]:
    """Return the columns of sessions and bytes, for either side and each protocol."""
    if server == "edge":
        return {f"{side}{flow}": f"{oid}.{n}" for side, oid in SUBTREES.items() for n, flow in enumerate(FLOWS, 1)}
    return {
        f"{protocol}{side}{flow}": f"{oid}{subtree}.{n}"
        for side, oid in SUBTREES.items()
        for protocol, subtree in {"All": "", **{word: f".{n}" for word, n in OF_PROTOCOL.items()}}.items()
        for n, flow in enumerate(FLOWS, 1)
    }


def media() -> dict[str, str]:
    found = {f"Disk.Distribution.{size}": f"10.{n}" for n, size in enumerate(SIZES, 10)}
    for side, subtree in SUBTREES.items():
        for protocol in PROTOCOLS.values():
            at, oid = f"{side}Traffics.{protocol}.", f"{subtree}.{OF_PROTOCOL[protocol]}."
            found |= {f"{at}ReqCount": f"{oid}14", f"{at}ReqCountSum": f"{oid}15"}
            if protocol == "Rtmp":
                found |= {f"{at}{method}.{field}": f"{oid}{base}.{n}" for method, base in METHODS.items()
                          for n, field in enumerate(CALL, 1)}  # fmt: skip
            else:
                found |= responses(f"{at}Response.", oid, total=80)
            if side == "Client":
                found |= hits(at, oid, 7, 8)
    return found


def edge() -> dict[str, str]:
    found: dict[str, str] = {}
    for side, subtree in SUBTREES.items():
        at, oid = f"{side}Traffic.", f"{subtree}.10."
        found |= {f"{at}HttpReqCount": f"{oid}8", f"{at}HttpReqCountSum": f"{oid}9"}
        found |= responses(f"{at}Response.", oid, total=10)
        if side == "Client":
            found |= hits(at, f"{subtree}.", 13, 14)
    return found


def responses(at: str, oid: str, *, total: int) -> dict[str, str]:
    return {f"{at}{name}.{field}": f"{oid}{base + n}" for name, base in {"ResTotal": total, **CLASSES}.items()
            for n, field in enumerate(RESPONSE)}  # fmt: skip


def hits(at: str, oid: str, mean: int, count: int) -> dict[str, str]:
    groups = {"RequestHit": mean, "RequestHitSum": count}
    return {f"{at}{group}.TCP_{code}": f"{oid}{base}.{n}" for group, base in groups.items()
            for n, code in enumerate(CODES, 1)}  # fmt: skip


COLUMNS: Mapping[Server, Columns] = {
    "media": {"Memory": "10.1", **flows("media"), **media()},
    "edge": {"Memory": "10.1", **flows("edge"), **edge()},
}
"""What changes with time of a virtual host."""


def sum_of(path: str) -> str:
    """Return where the sum stands of which this is the mean; a sum is its own."""
    if "RequestHit" in path:
        return path.replace("RequestHit.", "RequestHitSum.")
    return path if path.endswith("Sum") else f"{path}Sum"
