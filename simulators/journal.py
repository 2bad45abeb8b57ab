"""Which batches a gateway has had acknowledged, so that it can stop anywhere and go on.

JSON lines, one a batch, flushed before the next batch of the vehicle is sent. The first line holds
facts that must stay the same when a sender goes on (a replay's time shift). A line torn by a crash
is ignored: its batch is sent again under the same key, which changes nothing.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from model.vehicle import Record


class Line(Record):
    """One line: the facts of the whole journal, or one acknowledged batch."""

    facts: dict[str, int] | None = None
    batch: str | None = None
    frames: int = 0


class Journal:
    """An open journal. `facts` are those of the first run."""

    def __init__(self, path: Path, facts: dict[str, int]) -> None:
        self._acknowledged: dict[str, int] = {}
        self.facts = facts
        lines = _lines(path) if path.exists() else []
        for line in lines:
            if line.facts is not None:
                self.facts = line.facts
            if line.batch is not None:
                self._acknowledged[line.batch] = line.frames
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        if self._file.tell():
            self._file.write("\n")  # ends a line that a crash has left open
        if not any(line.facts is not None for line in lines):
            self._write(Line(facts=facts))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __contains__(self, batch_id: str) -> bool:
        return batch_id in self._acknowledged

    @property
    def frames(self) -> int:
        """Frames of all acknowledged batches."""
        return sum(self._acknowledged.values())

    def acknowledge(self, batch_id: str, frames: int) -> None:
        """Note that the other side has the batch durably."""
        self._acknowledged[batch_id] = frames
        self._write(Line(batch=batch_id, frames=frames))

    def _write(self, line: Line) -> None:
        self._file.write(line.model_dump_json(exclude_defaults=True) + "\n")
        self._file.flush()


def _lines(path: Path) -> list[Line]:
    lines = []
    for text in path.read_text("utf-8", errors="replace").splitlines():
        try:
            lines.append(Line.model_validate_json(text))
        except ValidationError:
            continue
    return lines
