"""The frozen base of everything people act on, and the text types their fields share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Record(BaseModel):
    """Frozen; a field nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


#: A key given by the operator's own systems; it may stand in a path.
Key = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f/]+$")]
#: A word of a list: tow, high_voltage, engine …
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]
#: A short text for people; may be empty.
Label = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
#: A longer text for people; may be empty.
Prose = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
