"""An embeddable, local-first engine for AI agent tasks.

    >>> import sutazai
    >>> result = sutazai.analyze(use_model=False)
    >>> result["priority_level"] in {"low", "medium", "high", "critical"}
    True

Settings are environment variables, the same as those of the binary: DATABASE_URL, MODEL_BACKENDS, DEFAULT_MODEL.
"""

from ._sutazai import SutazaiError, __version__, analyze

__all__ = ["SutazaiError", "__version__", "analyze"]
