"""`roadcall`: the one command. Each group of commands lives in its own file."""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError

from model.errors import RoadcallError
from roadcall import (
    cli_backtest,
    cli_codes,
    cli_dbc,
    cli_decode,
    cli_episodes,
    cli_events,
    cli_evidence,
    cli_fleet,
    cli_letters,
    cli_maintenance,
    cli_masters,
    cli_notices,
    cli_prune,
    cli_replay,
    cli_report,
    cli_rules,
    cli_run,
    cli_silences,
    demo,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a car's own bus to help on the road.",
)
cli_run.register(app)
cli_replay.register(app)
cli_fleet.register(app)
cli_masters.register(app)
cli_maintenance.register(app)
cli_notices.register(app)
cli_report.register(app)
cli_letters.register(app)
cli_codes.register(app)
cli_dbc.register(app)
cli_decode.register(app)
cli_episodes.register(app)
cli_silences.register(app)
cli_events.register(app)
cli_evidence.register(app)
cli_rules.register(app)
cli_backtest.register(app)
cli_prune.register(app)
demo.register(app)


def main() -> None:
    """Entry point. Errors we raise on purpose are one line, not a traceback."""
    try:
        app()
    except ValidationError as error:
        for fault in error.errors():
            field = ".".join(str(part) for part in fault["loc"]) or "settings"
            print(f"roadcall: {field}: {fault['msg']}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except (RoadcallError, OSError) as error:
        print(f"roadcall: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
