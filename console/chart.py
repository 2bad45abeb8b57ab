"""One signal over time as ECharts options."""

from __future__ import annotations

from typing import Any  # ECharts options are free JSON

from console.bodies import Chart
from console.figures import UNITS
from model.clock import NS, ns_of

#: Readable on light and on dark ground.
LINE, BAND, INK, RULE = "#2f81d6", "rgba(47,129,214,0.18)", "#7d8896", "rgba(125,136,150,0.22)"


def chart_options(chart: Chart | None) -> dict[str, Any]:
    """Options for `ui.echart`. With minima and maxima a band is drawn behind the line."""
    unit = UNITS.get(chart.unit, chart.unit) if chart else ""
    series: list[dict[str, Any]] = []
    if chart is not None:
        first = ns_of(chart.start) * 1000 // NS
        times = [first + i * chart.step_s * 1000 for i in range(len(chart.value))]
        if chart.minimum is not None and chart.maximum is not None:
            height = [
                None if low is None or high is None else high - low
                for low, high in zip(chart.minimum, chart.maximum, strict=True)
            ]
            series.append(_line(times, chart.minimum, stack="band", opacity=0))
            series.append(_line(times, height, stack="band", opacity=0, area=BAND))
        series.append(_line(times, chart.value))
    return {
        "animation": False,
        "grid": {"left": 52, "right": 14, "top": 22, "bottom": 24},
        "textStyle": {"fontFamily": "inherit"},
        "xAxis": {
            "type": "time",
            "axisLabel": {"color": INK, "fontSize": 11, "hideOverlap": True},
            "axisLine": {"lineStyle": {"color": RULE}},
        },
        "yAxis": {
            "type": "value",
            "scale": True,
            "name": unit,
            "nameTextStyle": {"color": INK, "align": "right"},
            "axisLabel": {"color": INK, "fontSize": 11},
            "splitLine": {"lineStyle": {"color": RULE}},
        },
        "tooltip": {"trigger": "axis", "confine": True},
        "series": series,
    }


def _line(
    times: list[int],
    values: list[float | None],
    *,
    stack: str | None = None,
    opacity: float = 1.0,
    area: str | None = None,
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "type": "line",
        "data": [[t, v] for t, v in zip(times, values, strict=True)],
        "showSymbol": False,
        "connectNulls": False,
        "silent": stack is not None,
        "lineStyle": {"width": 1.6 if stack is None else 0, "color": LINE, "opacity": opacity},
        "itemStyle": {"color": LINE},
    }
    if stack is not None:
        line |= {"stack": stack, "stackStrategy": "all", "tooltip": {"show": False}}
    if area is not None:
        line["areaStyle"] = {"color": area}
    return line
