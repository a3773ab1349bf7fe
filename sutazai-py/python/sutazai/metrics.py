"""Measurements of this machine without an engine."""

from __future__ import annotations

import json

from . import _sutazai
from ._bridge import native
from .types import Snapshot


def snapshot() -> Snapshot:
    """Measures this machine with every built-in source."""
    return Snapshot.from_dict(json.loads(native(_sutazai.snapshot)))
