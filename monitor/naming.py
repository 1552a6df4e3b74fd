"""Diamond's names of sources, from the configuration.

- A source without an instance: path_prefix.hostname.path_suffix.path, what is empty left out.
- An instance that a collector told by `self.instance`: instance_prefix.instance.path, without the host, as in Diamond.
- A second section (`[[NginxCollector second]]`) is called by its own `path` if it has one; otherwise the section's word
  follows the path (servers.web1.nginx.second), so that two sections of a class never meet.
- A source that is not configured (pushed): servers.hostname.collector.instance, so that two hosts never meet.

In a hostname, an instance and a section's word, dots, blanks, slashes and control characters become `_`. Prefixes and
`path` keep their dots: with them one writes several parts. The own host's name is a path of its own where Diamond's
hostname_method makes one (`fqdn_rev`).
"""

from __future__ import annotations

import re

from monitor.batch import Source
from monitor.inventory import Inventory, JobSpec
from monitor.options import options_of

UNSAFE = re.compile(r"[\s./\\;\x00-\x1f\x7f-\x9f]")
UNSAFE_IN_PATH = re.compile(r"[\s/\\;\x00-\x1f\x7f-\x9f]")
CACHE = 200_000


class Paths:
    """Diamond's paths and people's names of hosts (`handler.Naming`), remembered per source."""

    def __init__(self, inventory: Inventory, *, cache: int = CACHE) -> None:
        self.cache = cache
        self.replace(inventory)

    def replace(self, inventory: Inventory) -> None:
        """Go by this inventory from now on."""
        self.inventory = inventory
        self._paths: dict[Source, str] = {}
        self._jobs: dict[tuple[str, str], dict[str, JobSpec]] = {}
        for job in inventory.jobs:
            self._jobs.setdefault((job.target.host, job.cls.path), {})[job.section] = job
        self._fields = {cls: options_of(cls) for cls in {job.cls for job in inventory.jobs}}

    def path(self, source: Source) -> str:
        """Return the path of a source, without the metric's name."""
        path = self._paths.get(source)
        if path is None:
            if len(self._paths) >= self.cache:
                self._paths.clear()
            path = self._paths[source] = self._made(source)
        return path

    def hostname(self, host: str) -> str:
        """Return the name that people know the host by; one that is not configured is called as it calls itself."""
        spec = self.inventory.hosts.get(host)
        return spec.hostname if spec else host

    def _option(self, job: JobSpec, name: str) -> str:
        return str(job.options[name] if name in job.options else self._fields[job.cls][name].option.default)

    def _host(self, host: str) -> str:
        if host == self.inventory.own.host:
            return self.inventory.own_path
        name = self.hostname(host)
        # Another host may have the same name: two hosts never meet.
        meant = self.inventory.find(name)
        return (name if meant is None or meant.host == host else host).replace(".", "_")

    def _made(self, source: Source) -> str:
        sections = self._jobs.get((source.host, source.collector), {})
        word, _, rest = source.instance.partition("/")
        if source.instance in sections:
            # A section's word may hold a slash itself (80:/nginx_status).
            word, rest = source.instance, ""
        if word not in sections or not word:
            word, rest = "", source.instance
        job = sections.get(word)
        if job is None:
            return _joined("servers", self._host(source.host), _part(source.collector), _part(source.instance))
        own = job.cls.path if job.cls.metric_path is None else job.cls.metric_path
        path = own if job.path is None else "" if job.path == "." else job.path
        second = "" if job.path is not None else _part(word)
        if rest:
            return _joined(self._option(job, "instance_prefix"), _part(rest), path, second)
        prefix, suffix = self._option(job, "path_prefix"), self._option(job, "path_suffix")
        return _joined(prefix, self._host(source.host), suffix, path, second)


def _part(text: str) -> str:
    return UNSAFE.sub("_", text)


def _joined(*parts: str) -> str:
    return ".".join(filter(None, (UNSAFE_IN_PATH.sub("_", part).strip(".") for part in parts)))
