"""Messages to people through apprise: mail, SMS gateways, WeCom, DingTalk, Feishu and others.

Source: apprise (BSD-2-Clause); addresses as in its documentation, e.g. `mailtos://…`, `wecombot://…`,
`dingtalk://…`, `feishu://…`, `json://…`. It tells whether a service took a message, not why it did
not: every failure is tried again until the profile's number of tries. Its own log lines may hold
addresses and texts, and are switched off.
"""

from __future__ import annotations

import logging
import threading
import warnings
from functools import cache, lru_cache
from types import ModuleType

from dispatch.delivery import Delivery, Outcome

#: Services kept ready; an address beyond them is set up again.
READY = 1000
#: A service that does not answer holds a sending thread no longer than this.
TIMEOUT_S = 10.0
_LOADING = threading.Lock()
#: Services that act on this machine, not on somebody's phone.
LOCAL = (
    "dbus://",
    "gnome://",
    "kde://",
    "qt://",
    "glib://",
    "macosx://",
    "windows://",
    "syslog://",
)


@cache
def _library() -> ModuleType:
    """apprise with all its services loaded, once and quietly."""
    with _LOADING, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of services we may never use
        import apprise

        # Not `disabled`: whoever configures logging later would enable it again.
        logging.getLogger("apprise").addFilter(lambda record: False)
        apprise.Apprise().add("json://localhost")
    return apprise


@lru_cache(maxsize=READY)
def _service(address: str) -> object | None:
    if address.lower().startswith(LOCAL):
        return None
    service = _library().Apprise()
    return service if service.add(address) else None


def understood(address: str) -> bool:
    """Whether apprise knows the kind of service and finds all it needs in the address."""
    return _service(address) is not None


def send(address: str, title: str, text: str) -> Delivery:
    """One try; never raises."""
    service = _service(address)
    if service is None:
        return Delivery(Outcome.DEAD, "the address is not understood")
    try:
        taken = service.notify(body=text, title=title, timeout=TIMEOUT_S)  # type: ignore[attr-defined]
    except Exception as error:  # a plug-in's own mistake; its text may hold the address
        return Delivery(Outcome.RETRY, type(error).__name__)
    if taken:
        return Delivery(Outcome.SENT, receipt="taken by the service")
    return Delivery(Outcome.RETRY, "the service did not take it")
