"""Middle column: the chosen vehicle with its last values, one chart and its due items."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from console.alert_panel import pressed
from console.bodies import Chart, DueBody, EpisodeBody, ValueBody, VehicleDetail, VehicleRow
from console.chart import chart_options
from console.figures import age, left, quantity
from console.text import Speech
from console.widgets import Rows, box, button, set_class, set_text, show_if, words
from model.catalogue import catalogue

#: Period of the chart in minutes -> its step in seconds.
PERIODS = {15: 1, 60: 60, 360: 60, 1440: 60}
PERIOD_NAMES = {15: "15 min", 60: "1 h", 360: "6 h", 1440: "24 h"}


class ValueRow:
    """One signal's last value; a click draws it."""

    def __init__(self, panel: VehiclePanel, value: ValueBody) -> None:
        self._panel, self.name = panel, value.name
        self.root = box("li", "value")
        with self.root, box("button", "pick", type="button") as self._pick:
            self._title = words("span", "name")
            self._figure = words("span", "figure")
            self._unit = words("span", "unit")
        self._pick.on("click", lambda _: panel.draw(self.name), args=[])

    def update(self, value: ValueBody) -> None:
        """Follow the value."""
        speech = self._panel.speech
        figure, unit = quantity(speech, value.name, value.unit, value.value)
        set_text(self._title, value.title.zh if speech.language == "zh" else value.title.en)
        set_text(self._figure, figure)
        set_text(self._unit, unit)
        chosen = value.name == self._panel.signal
        set_class(self.root, "value on" if chosen else "value")
        pressed(self._pick, chosen)


class DueRow:
    """One maintenance item."""

    def __init__(self, panel: VehiclePanel, item: DueBody) -> None:
        self._panel = panel
        self.root = box("li", "item")
        with self.root:
            self._state = words("span", "tag")
            self._title = words("span", "headline")
            self._left = words("span", "left")
            self._date = words("span", "date")

    def update(self, item: DueBody) -> None:
        """Follow the item."""
        speech = self._panel.speech
        set_class(self.root, f"item {item.state}")
        set_text(self._state, speech(f"due_{item.state}"))
        set_text(self._title, item.title.zh if speech.language == "zh" else item.title.en)
        set_text(self._left, left(speech, item))
        day = item.due_at.astimezone(self._panel.zone).date().isoformat() if item.due_at else ""
        set_text(self._date, speech("due_date", date=day) if day else "")


class FaultRow:
    """One fault episode."""

    def __init__(self, panel: VehiclePanel, fault: EpisodeBody) -> None:
        self._panel = panel
        self.root = box("li", "item")
        with self.root:
            self._state = words("span", "tag")
            self._title = words("span", "headline")
            self._code = words("span", "left")
            self._date = words("span", "date")

    def update(self, fault: EpisodeBody) -> None:
        """Follow the episode."""
        speech = self._panel.speech
        set_text(self._state, speech(f"episode_{fault.state}"))
        set_text(self._title, fault.title.zh if speech.language == "zh" else fault.title.en)
        code = "" if fault.ecu is None else fault.code
        times = speech("episode_times", n=fault.count) if fault.count > 1 else ""
        set_text(self._code, " · ".join(filter(None, (code, times))))
        day = fault.started_at.astimezone(self._panel.zone).date().isoformat()
        set_text(self._date, speech("episode_since", date=day))


class FoundRow:
    """One vehicle the search found."""

    def __init__(self, panel: VehiclePanel, found: VehicleRow) -> None:
        self._panel = panel
        self.root = box("li")
        with self.root, box("button", "pick", type="button") as pick:
            words("span", "headline", found.plate or found.vin)
            words("span", "who", f"{found.vin} · {found.brand} {found.model}".rstrip(" ·"))
        pick.on("click", lambda _: panel.pick(found.vin), args=[])

    def update(self, found: VehicleRow) -> None:
        """Found vehicles do not change."""


class VehiclePanel:
    """The panel; it is told what to show and asks for nothing itself."""

    def __init__(
        self,
        speech: Speech,
        zone: tzinfo,
        choose: Callable[[str], object],
        find: Callable[[str], object],
        redraw: Callable[[], object],
    ) -> None:
        self.speech, self.zone = speech, zone
        self._choose, self._redraw = choose, redraw
        self.signal, self.minutes = "", 15
        self.detail: VehicleDetail | None = None
        self.root = box("section", "panel vehicle", aria_label=speech("vehicle"))
        with self.root:
            self._build_search(find)
            self._none = words("p", "empty", speech("vehicle_none"))
            self._body = box("div", "scroll body")
            with self._body:
                self._build_head()
                self.more = box("div", "more")  # diagnosis cases and repair plans
                self._build_chart()
                self._build_lists()
        show_if(self._body, False)

    def _build_search(self, find: Callable[[str], object]) -> None:
        with box("header", "bar"):
            words("h2", "", self.speech("vehicle"))
            field = box("input", "field search", type="search", autocomplete="off")
            field.props["placeholder"] = self.speech("search")
            field.props["aria-label"] = self.speech("search")
            field.on(
                "input",
                lambda e: find(str(e.args)),
                throttle=0.3,
                leading_events=False,
                js_handler="(e) => emit(e.target.value)",
            )
        self._finds = box("ul", "finds")
        self._found_none = words("p", "finds", self.speech("search_none"))
        show_if(self._finds, False)
        show_if(self._found_none, False)
        self._found: Rows[VehicleRow, FoundRow] = Rows(
            self._finds, lambda v: v.vin, lambda v: FoundRow(self, v)
        )

    def _build_head(self) -> None:
        with box("div", "identity"):
            self._plate = words("h3", "plate")
            self._vin = words("span", "vin")
            self._make = words("span", "who")
            self._age = words("span", "age")

    def _build_chart(self) -> None:
        with box("div", "chartbar"):
            self._chart_title = words("h4")
            box("span", "space")
            with box("div", "tabs", role="group", aria_label=self.speech("period")):
                self._periods = {m: self._period_tab(m) for m in PERIODS}
        with box("div", "chart"):
            self._chart = ui.echart(chart_options(None)).classes("canvas")
            self._chart_none = words("p", "empty over", self.speech("chart_none"))
        self._span_marks()

    def _period_tab(self, minutes: int) -> TextElement:
        return button(PERIOD_NAMES[minutes], lambda: self._span(minutes), "tab")

    def _build_lists(self) -> None:
        words("h4", "", self.speech("last_values"))
        values = box("ul", "values")
        self._values_none = words("p", "empty", self.speech("values_none"))
        words("h4", "", self.speech("episodes"))
        faults = box("ul", "items")
        self._faults_none = words("p", "empty", self.speech("episodes_none"))
        words("h4", "", self.speech("due_items"))
        items = box("ul", "items")
        self._items_none = words("p", "empty", self.speech("due_none"))
        self._values: Rows[ValueBody, ValueRow] = Rows(
            values, lambda v: v.name, lambda v: ValueRow(self, v)
        )
        self._faults: Rows[EpisodeBody, FaultRow] = Rows(
            faults, lambda e: str(e.episode_id), lambda e: FaultRow(self, e)
        )
        self._items: Rows[DueBody, DueRow] = Rows(
            items, lambda d: d.kind, lambda d: DueRow(self, d)
        )

    def found(self, vehicles: list[VehicleRow], text: str) -> None:
        """Show what the search found; an empty text closes the list."""
        self._found.show(vehicles)
        show_if(self._finds, bool(vehicles))
        show_if(self._found_none, bool(text) and not vehicles)

    def pick(self, vin: str) -> None:
        """Choose a found vehicle and close the list."""
        self.found([], "")
        self._choose(vin)

    def show(self, detail: VehicleDetail, now: datetime) -> None:
        """Show a vehicle; the chart keeps its signal where the vehicle has it."""
        self.detail, vehicle = detail, detail.vehicle
        show_if(self._none, False)
        show_if(self._body, True)
        names = [v.name for v in detail.values]
        if self.signal not in names:
            self.signal = first_signal(detail, names)
        set_text(self._plate, vehicle.plate or vehicle.vin)
        set_text(self._vin, vehicle.vin if vehicle.plate else "")
        year = str(vehicle.model_year) if vehicle.model_year else ""
        set_text(self._make, " ".join(filter(None, (vehicle.brand, vehicle.model, year))))
        self._values.show(detail.values)
        show_if(self._values_none, not detail.values)
        self._faults.show(detail.episodes)
        show_if(self._faults_none, not detail.episodes)
        self._items.show(detail.due_items)
        show_if(self._items_none, not detail.due_items)
        self.tick(now)

    def chart(self, chart: Chart | None) -> None:
        """Draw a chart."""
        title = ""
        if chart is not None:
            title = chart.title.zh if self.speech.language == "zh" else chart.title.en
        set_text(self._chart_title, title)
        show_if(self._chart_none, chart is None or not any(v is not None for v in chart.value))
        options = chart_options(chart)
        self._chart.options.clear()
        self._chart.options.update(options)
        self._chart.update()

    def draw(self, name: str) -> None:
        """Choose the chart's signal."""
        self.signal = name
        if self.detail is not None:
            self._values.show(self.detail.values)
        self._redraw()

    def _span(self, minutes: int) -> None:
        self.minutes = minutes
        self._span_marks()
        self._redraw()

    def _span_marks(self) -> None:
        for minutes, tab in self._periods.items():
            on = minutes == self.minutes
            set_class(tab, "button tab on" if on else "button tab")
            pressed(tab, on)

    def tick(self, now: datetime) -> None:
        """Let the age of the newest sample grow."""
        if self.detail is None:
            return
        seen = self.detail.observed_at
        said = self.speech("newest_sample", age=age(self.speech, seen, now)) if seen else ""
        set_text(self._age, said or self.speech("vehicle_silent"))


def first_signal(detail: VehicleDetail, names: list[str]) -> str:
    """What to draw first: what an open alert is about (curves first), else speed, else anything."""
    wanted = [name for alert in detail.open_alerts for name in alert.evidence]
    wanted.sort(key=lambda name: name in catalogue() and catalogue()[name].on_change)
    return next((n for n in (*wanted, "speed_kmh", *names) if n in names), "")
