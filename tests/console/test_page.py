"""The station page in a real browser: sign in, an alert arrives, a person acts on it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1366,768",
]
PATIENCE_S = 60
pytestmark = pytest.mark.browser


class Tab:
    """One tab, driven over the DevTools protocol; remembers every address it asked for."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._ids = socket, itertools.count(1)
        self.asked: list[str] = []
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **given: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": given}))
        while True:
            said = json.loads(self._socket.recv(PATIENCE_S))
            if said.get("method") == "Network.requestWillBeSent":
                self.asked.append(said["params"]["request"]["url"])
            if said.get("method") == "Network.webSocketCreated":
                self.asked.append(said["params"]["url"])
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    def ask(self, script: str) -> Any:
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return found["result"].get("value")

    def until(self, script: str, wanted: Any) -> None:
        """Wait for a script to say what is wanted."""
        deadline = time.monotonic() + PATIENCE_S
        while (got := self.ask(script)) != wanted:
            assert time.monotonic() < deadline, f"{script} said {got!r}, wanted {wanted!r}"
            time.sleep(0.05)


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    browser = subprocess.Popen(
        [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path}", "about:blank"],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        port_file = tmp_path / "DevToolsActivePort"
        wait(lambda: port_file.exists() and len(port_file.read_text().split()) == 2)
        port = port_file.read_text().split()[0]
        listed = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
        address = next(t["webSocketDebuggerUrl"] for t in listed if t["type"] == "page")
        with connect(address, max_size=None, proxy=None) as socket:
            yield Tab(socket)
    finally:
        browser.kill()
        browser.wait()


def wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def address(pool: Any, dsn: str, fleet: Any) -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("page_server.py")), dsn, fleet.token],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE_S)
        server.stdout.close()


def sign_in(tab: Tab, token: str) -> None:
    tab.until("document.querySelector('form.login') !== null", True)
    tab.ask(
        "form = document.querySelector('form.login');"
        f"form.elements[0].value = {json.dumps(token)}; form.requestSubmit()"
    )


ALERTS = "document.querySelectorAll('.alert').length"
CASES = "document.querySelectorAll('.case').length"


def test_an_alert_appears_without_reload(tab: Tab, address: str, fleet: Any) -> None:
    fleet.drive(fleet.vins[0], {"engine_coolant_temp_c": ([0, 1], [90.0, 119.0])})
    tab.call("Page.navigate", url=f"{address}/station/zh")
    sign_in(tab, "wrong")
    tab.until("document.querySelector('.login .wrong').textContent", "令牌不正确")
    assert tab.ask(ALERTS) == 0
    sign_in(tab, fleet.token)
    tab.until("document.querySelector('.live').textContent", "实时")
    tab.ask("window.notReloaded = true")

    fleet.case(fleet.step())
    tab.until(f"[{ALERTS}, {CASES}].join()", "1,1")
    assert tab.ask("document.querySelector('.alert .headline').textContent") == "冷却液温度过高"
    assert tab.ask("document.querySelector('.alert .tag').textContent") == "停车救援"

    tab.ask("document.querySelector('.alert .pick').click()")
    tab.until("document.querySelector('.vehicle .plate').textContent", "浙A12340")
    tab.until("document.querySelector('.value .figure').textContent", "119")
    tab.until("document.querySelector('.chart canvas') !== null", True)

    tab.ask("document.querySelector('.alert .deed button').click()")
    tab.until("document.querySelector('.alert .state').textContent", "已确认")
    tab.ask("document.querySelector('.case .steps button').click()")
    tab.until("document.querySelector('.case .state').textContent", "寻找救援车")
    tab.until(PRESS.format("取消"), True)
    tab.until(DIALOGS, 1)
    assert "浙A12340" in tab.ask("document.querySelector('.dialog p').textContent")
    tab.ask("form = document.querySelector('form.dialog'); form.requestSubmit()")
    assert tab.ask(CASES) == 1  # it wants a reason
    tab.ask("form.elements[0].value = '自行启动'; form.requestSubmit()")
    tab.until(CASES, 0)
    assert tab.ask("window.notReloaded") is True
    ours = (address, address.replace("http", "ws"), "data:")
    assert [url for url in tab.asked if not url.startswith(ours)] == []


def test_the_first_page_speaks_the_browsers_language(address: str) -> None:
    for accepted, path in (("en-GB,en;q=0.9", "/station/en"), ("zh-CN", "/station/zh")):
        answer = httpx.get(f"{address}/", headers={"Accept-Language": accepted}, trust_env=False)
        assert answer.headers["location"] == path
    page = httpx.get(f"{address}/station/en", trust_env=False).text
    assert '<html lang="en-US"' in page and "Roadcall station" in page
    unknown = httpx.get(f"{address}/v1/nothing", trust_env=False)
    assert unknown.status_code == 404


def test_an_alert_is_dismissed_with_its_reason_and_a_vehicle_hushed(
    tab: Tab, address: str, fleet: Any
) -> None:
    fleet.drive(fleet.vins[0], {"engine_coolant_temp_c": ([0, 1], [90.0, 119.0])})
    tab.call("Page.navigate", url=f"{address}/station/en")
    sign_in(tab, fleet.token)
    tab.until("document.querySelector('.live').textContent", "Live")
    fleet.case(fleet.step())
    tab.until(ALERTS, 1)

    tab.ask("document.querySelector('.alert .pick').click()")
    tab.until(PRESS.format("Back on the road"), True)
    tab.until(SAID.format("Not done"), True)  # it was on the road all the time

    tab.ask(PRESS.format("Set vehicle mode"))
    tab.until(SELECTS, 2)
    tab.ask(CHOOSE.format("workshop"))
    tab.until(SELECTS, 0)
    tab.ask(PRESS.format("Back on the road"))

    tab.ask(PRESS.format("Dismiss"))
    tab.until(SELECTS, 1)
    tab.ask(CHOOSE.format("known"))
    tab.until("document.querySelector('.alert .state').textContent", "Dismissed")


@pytest.mark.parametrize(
    ("language", "live", "silence", "listed", "end"),
    [("en", "Live", "Silence", "Silences: 1", "End silence"),
     ("zh", "实时", "静默", "静默中：1 项", "结束静默")],
)  # fmt: skip
def test_a_silence_is_listed_and_ended(
    tab: Tab,
    address: str,
    fleet: Any,
    language: str,
    live: str,
    silence: str,
    listed: str,
    end: str,
) -> None:
    tab.call("Page.navigate", url=f"{address}/station/{language}")
    sign_in(tab, fleet.token)
    tab.until("document.querySelector('.live').textContent", live)
    fleet.case(fleet.step())
    tab.until(ALERTS, 1)
    shown = "getComputedStyle(document.querySelector('.silences')).display"
    tab.until(shown, "none")

    tab.until(PRESS.format(silence), True)
    tab.until(SELECTS, 1)
    tab.ask(
        "form = document.querySelector('form.dialog'); form.elements[0].value = '24';"
        " form.elements[1].value = 'recall 42'; form.requestSubmit()"
    )
    tab.until("document.querySelector('.silences summary').textContent", listed)
    title = {"en": "Coolant overheating", "zh": "冷却液温度过高"}[language]
    assert f"{title} · {fleet.vins[0]}" in tab.ask(
        "document.querySelector('.silence .meant').textContent"
    )
    assert "recall 42" in tab.ask("document.querySelector('.silence .who').textContent")

    tab.until(DIALOGS, 0)
    tab.ask("document.querySelector('.silences').open = true")
    tab.until(PRESS.format(end), True)
    tab.until(DIALOGS, 1)
    tab.ask("document.querySelector('form.dialog').requestSubmit()")
    tab.until(shown, "none")
    address_of = f"{address}/v1/silences"
    headers = {"Authorization": f"Bearer {fleet.token}"}
    assert httpx.get(address_of, headers=headers, trust_env=False).json() == []


DIALOGS = "document.querySelectorAll('form.dialog').length"
SELECTS = "document.querySelectorAll('form.dialog select').length"
PRESS = (
    "(b => b ? (b.click(), true) : false)"
    "([...document.querySelectorAll('button')].find(b => b.textContent === '{}'))"
)
SAID = "document.body.textContent.includes('{}')"
CHOOSE = (
    "form = document.querySelector('form.dialog'); form.elements[0].value = '{}';"
    " form.requestSubmit()"
)
