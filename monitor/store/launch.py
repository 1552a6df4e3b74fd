"""Starts a program of PostgreSQL as another user, tied to the life of this process.

Runs as a script of its own between us and the program: what must happen after fork and before exec would otherwise run
in a copy of a process with threads. The order matters: setuid clears the death signal, so it comes first; a parent
that died before prctl is noticed by looking for it afterwards.

    launch.py UID GID SIGNAL PARENT COMMAND…     UID -1 stays who we are; SIGNAL 0 sets none
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
SHUT_OUT = 126


def main() -> None:
    uid, gid, death, parent = map(int, sys.argv[1:5])
    command = sys.argv[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if death:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death, 0, 0, 0):
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
        if os.getppid() != parent:
            sys.exit("the appliance ended meanwhile")
    os.umask(0o077)
    try:
        os.execv(command[0], command)  # noqa: S606
    except PermissionError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(SHUT_OUT)


if __name__ == "__main__":
    main()
