"""The routes of diagnosis cases, work orders, complaints and incidents."""

from __future__ import annotations

from fastapi import APIRouter

from console import complaint_routes, diagnosis_routes, work_order_routes
from console.reads import Reads
from console.work_reads import RuleTexts, WorkReads


def add(router: APIRouter, reads: Reads, rule_texts: RuleTexts) -> None:
    """Add the routes."""
    work = WorkReads(reads.pool, reads.clock, rule_texts)
    for routes in (diagnosis_routes, work_order_routes, complaint_routes):
        routes.add(router, reads, work)
