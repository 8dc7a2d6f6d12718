#!/bin/sh
# Makes a Python environment with diffusers on the CPU, to measure beside: bench/reference-environment.sh FOLDER
# Prints the path of its interpreter. With PYTHON=/path/to/python, which has them already, it only checks that.
set -eu

if [ -z "${PYTHON:-}" ]; then
  folder="${1:?usage: bench/reference-environment.sh FOLDER   (or PYTHON=/path/to/python bench/reference-environment.sh)}"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --extra-index-url https://download.pytorch.org/whl/cpu \
    torch==2.15.0 diffusers==0.42.1 transformers==5.23.0 accelerate==1.15.0 safetensors==0.8.0
  PYTHON="$folder/bin/python"
fi
"$PYTHON" -c 'import accelerate, diffusers, safetensors, torch, transformers' >&2
echo "$PYTHON"
