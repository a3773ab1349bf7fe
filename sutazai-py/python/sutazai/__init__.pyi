from typing import Any

__version__: str

class SutazaiError(Exception):
    """Failure of an analysis; the message names the setting or the service at fault."""

def analyze(*, use_model: bool = True) -> dict[str, Any]:
    """Analyze this machine and return the report.

    Returns a dict with the keys host, metrics, findings, recommendations, priority_level, generated_by, model,
    degraded, summary, grounding and generated_at. grounding has the keys permissions (the permissions of the
    model), texts (for each recommendation its finding_id, permission and assertions, each with kind, text, start
    and end) and refused (rejected texts of the model with finding_id, attempt, reason and excerpt). With use_model
    false, when no backend is configured, or when the model was not measured by `sutazai models check`, the rules
    write the texts.

    Raises SutazaiError naming the invalid setting or the unreachable service.
    """
