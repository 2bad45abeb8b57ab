"""The compiled kernel, decoders/_kernel.c; the tables and the block are kernel_compiled.py's."""

from numpy import generic
from numpy.typing import NDArray

class Tables:
    """A capsule."""

def prepare(*tables: NDArray[generic]) -> Tables: ...
def decode(
    tables: Tables,
    can_id: NDArray[generic],
    length: NDArray[generic],
    observed_ns: NDArray[generic],
    payload8: NDArray[generic],
    payload64: NDArray[generic],
    block: NDArray[generic],
    with_raw: bool,
    with_rows: bool,
    /,
) -> tuple[int, int, int]: ...
