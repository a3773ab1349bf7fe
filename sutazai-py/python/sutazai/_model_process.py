"""Child process that runs one embedded model for the process that started this interpreter."""

import sys

from ._sutazai import run_model_process

if __name__ == "__main__":
    sys.exit(run_model_process())
