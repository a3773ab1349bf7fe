from typing import Any

__version__: str

class SutazaiError(Exception):
    """Something went wrong; the message says what and where."""

def analyze(*, use_model: bool = True) -> dict[str, Any]:
    """Look at this machine.

    Gives the keys host, metrics, findings, recommendations, priority_level, generated_by, model, degraded, grounding
    and generated_at. With use_model false, or when no backend is configured, the texts are the rules' own.

    Raises SutazaiError naming the setting that does not fit, or what cannot be reached.
    """
