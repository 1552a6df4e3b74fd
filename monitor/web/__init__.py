"""Pages, pictures, the API and the push receiver, over HTTP."""

from monitor.web.front import Front
from monitor.web.passwords import first_admin
from monitor.web.routes import make_app
from monitor.web.services import Services

__all__ = ["Front", "Services", "first_admin", "make_app"]
