#!/usr/bin/env bash
# Creates the virtual environment of the tests and benchmarks, and prints the path of its Python.
. "$(dirname "$0")/env.sh"

packages=(fastapi==0.165.0 gunicorn==27.0.1 httpx==0.28.1 ipykernel==7.4.0 maturin==1.9.6 mypy==2.4.1 nbclient==0.11.0 nbformat==5.11.1
    openai==3.54.0 openapi-python-client==0.29.1 opentelemetry-sdk==1.45.2 psutil==7.1.0 pydantic==2.14.4 pyright[nodejs]==1.1.414 pytest==8.4.2
    schemathesis==4.32.5 selenium==4.48.0 tqdm==4.70.1 uvicorn==0.54.0 uvicorn-worker==0.4.0 uvloop==0.23.0)
virtual_environment venv "the tests" "${packages[@]}"
