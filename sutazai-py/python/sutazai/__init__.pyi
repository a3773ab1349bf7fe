from typing import Any

__version__: str

class SutazaiError(Exception):
    """Something went wrong; the message says what and where."""

def analyze(*, use_model: bool = True) -> dict[str, Any]:
    """Look at this machine.

    Gives the keys host, metrics, findings, recommendations, priority_level, generated_by, model, degraded, summary,
    grounding and generated_at. grounding has the keys permissions (what the model may do), texts (for each
    recommendation its finding_id, permission and assertions, each with kind, text, start and end) and refused
    (texts of the model with finding_id, attempt, reason and excerpt). With use_model false, when no backend is
    configured, or when the model was not measured by `sutazai models check`, the texts are the rules' own.

    Raises SutazaiError naming the setting that does not fit, or what cannot be reached.
    """
