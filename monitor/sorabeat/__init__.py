"""`monitor import sorabeat`: Sorabeat's configuration in the words of our own."""

from monitor.sorabeat.ini import lines
from monitor.sorabeat.settings import Beat, read

__all__ = ["Beat", "lines", "read"]
