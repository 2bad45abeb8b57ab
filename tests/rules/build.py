"""Uploads made by hand; pack tests make theirs the same way."""

from __future__ import annotations

from rules.made_uploads import T0, Report, Row, S, Sample, signal_batch, upload

__all__ = ["T0", "Report", "Row", "S", "Sample", "signal_batch", "upload"]
