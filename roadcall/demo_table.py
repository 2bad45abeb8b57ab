"""The demo's live table: alerts, cases and reminders, as they are in the database."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from model.severity import Severity
from simulators.gateway import Totals
from store import alerts, cases, figures, maintenance
from store.database import Pool, transaction

ROWS = 8
COLOUR = {
    Severity.EMERGENCY: "bold white on red",
    Severity.STOP: "bold red",
    Severity.VISIT_SOON: "yellow",
    Severity.REMIND: "cyan",
}


def table(pool: Pool, totals: Totals) -> Group:
    """A fresh picture; reads three short lists."""
    with transaction(pool) as conn:
        newest = alerts.page(conn, limit=ROWS)
        rescue = cases.page(conn, limit=ROWS)
        due = maintenance.due_page(conn, limit=ROWS)
        counts = figures.counts(conn)
    head = Text(
        f"frames sent {totals.frames}   stored {counts['frames_stored']}   "
        f"alerts {counts['alerts']}   cases {counts['rescue_cases']}   "
        f"reminders {counts['reminders']}"
    )
    found = Table("alert", "vehicle", "severity", "state", "since", title="Alerts", expand=True)
    for alert in newest:
        style = COLOUR.get(alert.severity, "")
        name = Text(alert.severity.name.lower().replace("_", " "), style)
        since = f"{alert.started_at:%H:%M:%S}"
        found.add_row(alert.rule_id, alert.plate or alert.vin, name, alert.state, since)
    help_ = Table("case", "zone", "state", "crew", "requested", title="Rescue", expand=True)
    for case in rescue:
        requested = f"{case.requested_at:%H:%M:%S}"
        help_.add_row(str(case.case_id)[:8], case.zone, case.state, case.unit_id or "", requested)
    soon = Table("service", "vehicle", "state", "km left", title="Maintenance", expand=True)
    for row in due:
        left = "" if row.remaining_km is None else f"{row.remaining_km:.0f}"
        soon.add_row(row.item.kind, row.item.vin, row.item.state, left)
    return Group(head, found, help_, soon)
