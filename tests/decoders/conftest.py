"""No timing in these tests: a busy machine is no fault of a decoder."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("decoders", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("decoders")
