"""The station page (NiceGUI), mounted into the application under /station.

Language is part of the address (/station/zh, /station/en), so everything the server sends is right
from the first byte. The operator's token is typed once and kept in the tab's session storage; until
it has been checked over the socket the page holds no words about any vehicle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from importlib.resources import files
from typing import Any, Literal  # a lifespan may yield any state

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from nicegui import Client, ui
from nicegui.element import Element

from console.access import token_fits
from console.config import ConsoleConfig
from console.live import Live
from console.reads import Reads
from console.station import Station
from console.text import LANGUAGES, Language, Speech, preferred
from console.widgets import box, button, set_class, set_text, show_if, words
from console.work_reads import WorkReads
from model.clock import Clock
from store.database import Pool

#: Below its own path, so that an unknown API path is still answered by the API.
MOUNT_PATH = "/station"
LOCALES: dict[Language, Literal["zh-CN", "en-US"]] = {"zh": "zh-CN", "en": "en-US"}
#: A wrong token costs this much time.
WRONG_TOKEN_S = 1.0
FAVICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>"
    "<rect width='32' height='32' rx='7' fill='#1f5fa8'/>"
    "<path d='M5 18h6l3-8 4 13 3-5h6' fill='none' stroke='#fff' stroke-width='3'"
    " stroke-linejoin='round' stroke-linecap='round'/></svg>"
)


@dataclass(frozen=True, slots=True)
class Room:
    """What every page of this process shares."""

    reads: Reads
    work: WorkReads
    live: Live
    config: ConsoleConfig


def mount(app: FastAPI, pool: Pool, clock: Clock, config: ConsoleConfig) -> None:
    """Add the pages to `app` and send / there. Once per process (NiceGUI's app is global)."""
    reads = Reads(pool, clock, config.rule_texts)
    live = Live(_conninfo(pool), reads.board)
    work = WorkReads(pool, clock, config.rule_texts)
    room = Room(reads, work, live, config)
    _follow_lifespan(app, live)
    for language in LANGUAGES:
        _add_page(language, room)

    @app.get("/", include_in_schema=False)
    def to_station(request: Request) -> Response:
        language = preferred(request.headers.get("accept-language", ""))
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}{MOUNT_PATH}/{language}")

    ui.run_with(
        app,
        mount_path=MOUNT_PATH,
        title="Roadcall",
        favicon=FAVICON,
        dark=False,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=10.0,
        binding_refresh_interval=None,
    )


def _conninfo(pool: Pool) -> str:
    return pool.conninfo if isinstance(pool.conninfo, str) else pool.conninfo()


def _follow_lifespan(app: FastAPI, live: Live) -> None:
    """Listen while the application runs."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(which: FastAPI) -> AsyncIterator[Any]:
        live.start()
        try:
            async with inner(which) as state:
                yield state
        finally:
            await asyncio.to_thread(live.stop)

    app.router.lifespan_context = lifespan


def _add_page(language: Language, room: Room) -> None:
    speech = Speech(language)

    @ui.page(f"/{language}", title=speech("title"), language=LOCALES[language])
    async def station_page(client: Client) -> None:
        ui.add_head_html(f"<style>{_asset('station.css')}</style>")
        ui.add_head_html(f"<script>{_asset('station.js')}</script>")
        with box("div", "page", id="page", data_tab="alerts"):
            frame = Frame(speech)
        await client.connected()
        await _enter(client, room, frame)


def _asset(name: str) -> str:
    return files("console").joinpath(name).read_text("utf-8")


class Frame:
    """The page without any facts: top bar, three empty panels, tab bar of small screens."""

    def __init__(self, speech: Speech) -> None:
        self.speech = speech
        self.operator = speech("operator_default")
        words("a", "skiplink", speech("skip"), href="#alerts")
        with box("header", "topbar"):
            words("span", "brand", "Roadcall")
            self._live = words("span", "live off", speech("not_live"))
            show_if(self._live, False)
            box("span", "space")
            self.tools = box("span", "tools")
            other: Language = "en" if speech.language == "zh" else "zh"
            words("a", "button quiet", speech("language"), href=other, lang=LOCALES[other])
            theme = words("button", "button quiet", "◐", type="button", aria_label=speech("theme"))
            theme.on("click", js_handler="() => roadcallTheme()")
        with box("main", "columns") as self.main:
            self.empty()
        with box("nav", "tabbar"):
            for tab in ("alerts", "vehicle", "cases"):
                made = words("button", "button tab", speech(tab), type="button", data_tab=tab)
                made.on("click", js_handler=f"() => roadcallTab('{tab}')")

    def empty(self) -> None:
        """Three panels of the final size, so nothing jumps when facts arrive."""
        for name in ("alerts", "vehicle", "cases"):
            box("section", f"panel {name}", aria_busy="true")

    def show_live(self, live: bool) -> None:
        """Say whether changes arrive by themselves."""
        show_if(self._live, True)
        set_text(self._live, self.speech("live" if live else "not_live"))
        set_class(self._live, "live" if live else "live off")


async def _enter(client: Client, room: Room, frame: Frame) -> None:
    """Let the tab in when its token fits, else ask for one."""
    kept = await client.run_javascript("roadcallKept()", timeout=10.0)
    zone = timezone(timedelta(minutes=-float(kept["offset"])))
    frame.operator = str(kept["operator"] or frame.operator)
    if token_fits(room.config.token, str(kept["token"] or "")):
        _open(client, room, frame, zone)
    else:
        _login(client, room, frame, zone)


def _open(client: Client, room: Room, frame: Frame, zone: tzinfo) -> None:
    with frame.tools:
        _operator_field(frame)
        if room.config.token is not None:
            out = button(frame.speech("logout"), lambda: None, "quiet")
            out.on("click", js_handler="() => roadcallForget()")
    frame.main.clear()
    with frame.main:
        station = Station(
            client, room.reads, room.work, room.live, frame.speech, zone, room.config.evidence
        )
    station.operator = lambda: frame.operator
    station.on_live = frame.show_live
    station.begin()


def _operator_field(frame: Frame) -> None:
    """Who is on duty: the actor in every audit row this tab writes."""
    field = box("input", "field operator", type="text", maxlength="80", value=frame.operator)
    field.props["aria-label"] = field.props["title"] = frame.speech("operator")

    def named(name: str) -> None:
        frame.operator = name.strip() or frame.speech("operator_default")

    field.on(
        "change",
        lambda e: named(str(e.args)),
        js_handler="(e) => { roadcallKeep('operator', e.target.value); emit(e.target.value) }",
    )


def _login(client: Client, room: Room, frame: Frame, zone: tzinfo) -> None:
    speech = frame.speech
    with frame.main, box("form", "dialog login") as form:
        words("h2", "", speech("login"))
        words("p", "", speech("login_hint"))
        field = box("input", "field", type="password", autocomplete="current-password")
        field.props["aria-label"] = field.props["placeholder"] = speech("token")
        field.props["autofocus"] = True
        wrong = words("p", "wrong", "", role="alert")
        words("button", "button strong", speech("login"), type="submit")

    async def attempt(token: str, inside: Element) -> None:
        if token_fits(room.config.token, token):
            client.run_javascript("roadcallKeepTyped()")
            _open(client, room, frame, zone)
            return
        await asyncio.sleep(WRONG_TOKEN_S)
        with inside:
            set_text(wrong, speech("token_wrong"))

    form.on(
        "submit",
        lambda e: attempt(str(e.args), form),
        js_handler="(e) => { e.preventDefault(); emit(roadcallType(e)) }",
    )
