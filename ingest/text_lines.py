"""The lines of a text log for a reader that ends at its first broken line."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

#: Longest line; a longer one arrives in pieces, each a fault.
MAX_LINE = 4096
MAX_HEADER_LINES = 200


class ResumableLines:
    """Lines, counted, that can be handed to a second reader where the first one stopped.

    The second reader gets the header again. `see` is shown each line once; `ending` is handed out
    after the header, for readers that would swallow the first line after it.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        is_header: Callable[[str], bool],
        see: Callable[[str], None] = lambda line: None,
        ending: str = "",
    ) -> None:
        self._text = io.TextIOWrapper(stream, "latin-1", newline="\n")
        self._is_header, self._see, self._ending = is_header, see, ending
        self._header: list[str] = []
        self._again: list[str] = []
        self._in_header = True
        self.number = 0
        self.ended = False

    def __iter__(self) -> ResumableLines:
        return self

    def __next__(self) -> str:
        if self._again:
            return self._again.pop(0)
        line = self._text.readline(MAX_LINE)
        if not line:
            self.ended = True
            raise StopIteration
        self.number += 1
        self._see(line)
        if self._in_header:
            if self._is_header(line) and len(self._header) < MAX_HEADER_LINES:
                self._header.append(line)
                return line
            self._in_header = False
            if self._ending:
                self._header.append(self._ending)
                self._again = [line]
                return self._ending
        return line

    def restart(self) -> None:
        """Give the header once more before what follows."""
        self._again = list(self._header)

    def detach(self) -> None:
        """Leave the stream open for whoever opened it."""
        self._text.detach()

    def close(self) -> None:
        """Readers close what they read; the file is its opener's."""
