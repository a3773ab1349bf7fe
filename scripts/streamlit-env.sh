#!/usr/bin/env bash
# Creates the virtual environment of the Streamlit example, and prints the path of its Python.
. "$(dirname "$0")/env.sh"

virtual_environment streamlit "the Streamlit example" streamlit==1.67.0
