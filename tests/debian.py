"""Programs that tests start and that Debian brings.

As root on Debian a missing one is installed, else its tests are skipped with the package's name; with CI=true a
missing one is a failure: a green run then means that every real server took part.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = {
    "nginx": "nginx-light",
    "carbon-cache": "graphite-carbon",
    "influxd": "influxdb",
    "promtool": "prometheus",
    "rrdtool": "rrdtool",
    "rrdcached": "rrdcached",
    "faketime": "faketime",
    "chromium": "chromium libatomic1",  # the second is for what drives it
    "memcached": "memcached",
    "wrk": "wrk",
    "victoria-metrics": "victoria-metrics",
    "snmpd": "snmpd",
    "collectd": "collectd-core",
    "snmpget": "snmp",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
    "openssl": "openssl",
}
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def find(program: str) -> str | None:
    return shutil.which(program, path=PLACES)


@functools.cache
def _install() -> str:
    """Install all that is missing, once; return what went wrong."""
    missing = sorted({name for program, names in PACKAGES.items() if find(program) is None for name in names.split()})
    if not missing:
        return ""
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        return "not root on Debian"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            return f"{' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}"
    return ""


def need(program: str) -> str:
    """Return the path of a program, installing it where that is possible; otherwise skip, or fail in CI."""
    found = find(program)
    if found is None:
        why = _install()
        found = find(program)
        if found is None:
            text = (
                f"{program} is missing: install Debian's package {PACKAGES[program]} ({why or 'installed without it'})"
            )
            if os.environ.get("CI") == "true":
                pytest.fail(text)
            pytest.skip(text)
    return found
