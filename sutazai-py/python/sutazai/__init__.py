"""An embeddable, local-first engine for AI agent tasks.

    >>> import sutazai
    >>> result = sutazai.analyze(use_model=False)
    >>> result["priority_level"] in {"low", "medium", "high", "critical"}
    True

Settings are environment variables, the same as those of the binary: DATABASE_URL, MODEL_BACKENDS, DEFAULT_MODEL.
"""

import os as _os

# The model's threads sleep while they wait for each other, unless the surroundings say otherwise. OpenMP reads this when
# the extension is loaded.
if "GOMP_SPINCOUNT" not in _os.environ:
    _os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from ._sutazai import SutazaiError, __version__, analyze

__all__ = ["SutazaiError", "__version__", "analyze"]
