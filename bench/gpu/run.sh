#!/usr/bin/env bash
# Checks and measures on a machine where unpack.sh unpacked the pack; needs bash, coreutils, and python3 with torch for diffusers' side:
#
#   bash TARGET/kiln/bench/gpu/run.sh --out OUT [options of run.mjs]
#
# CUDA and cuDNN are taken from the pack where it has them (pack.mjs --with-cuda), else from those that torch brings as Python
# packages, else from /usr/local/cuda and the system.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)"
node="$root/node/bin/node"
python="${PYTHON:-$(command -v python3 || true)}"
[ -x "$node" ] || { echo "There is no $node: run unpack.sh until everything is unpacked." >&2; exit 1; }
"$node" --version >/dev/null || { echo "$node does not run here: see the line above." >&2; exit 1; }

# Wheels of which this Python lacks the module, and those alone: what is installed here stays as it is.
if [ -n "$python" ] && [ -d "$root/python" ] && [ ! -d "$root/site" ]; then
  mkdir -p "$root/site.partial"
  "$python" - "$root/python" "$root/site.partial" <<'PYTHON'
import importlib.util, pathlib, sys, zipfile
wheels, site = map(pathlib.Path, sys.argv[1:])
for wheel in sorted(wheels.glob("*.whl")):
    if importlib.util.find_spec(wheel.name.split("-")[0]) is None:
        zipfile.ZipFile(wheel).extractall(site)
        print("Using", wheel.name)
PYTHON
  mv "$root/site.partial" "$root/site"
fi
if [ -d "$root/site" ]; then export PYTHONPATH="$root/site${PYTHONPATH:+:$PYTHONPATH}"; fi

folders=("$root/onnxruntime-cuda" "$root/cuda")
if [ -n "$python" ]; then
  while read -r folder; do folders+=("$folder"); done < <("$python" -c '
import glob, site, sys
for place in [*site.getsitepackages(), site.getusersitepackages(), *sys.path]:
    for folder in sorted(glob.glob(f"{place}/nvidia/*/lib")): print(folder)' 2>/dev/null | awk '!seen[$0]++')
fi
folders+=(/usr/local/cuda/lib64 /usr/local/nvidia/lib64)
for folder in "${folders[@]}"; do
  if [ -d "$folder" ]; then LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"; fi
done
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}"
if [ -d "$root/onnxruntime-cuda" ]; then export KILN_CUDA="${KILN_CUDA:-$root/onnxruntime-cuda}"; fi
# Where containers put the driver's own programs.
command -v nvidia-smi >/dev/null || export PATH="$PATH:/usr/local/nvidia/bin"
export HF_HUB_OFFLINE=1 TORCHINDUCTOR_CACHE_DIR="${TORCHINDUCTOR_CACHE_DIR:-$root/inductor}"

if [ -d "$root/reference" ]; then set -- --reference "$root/reference" "$@"; fi
if [ -n "$python" ]; then set -- --python "$python" "$@"; fi
exec "$node" "$root/kiln/bench/gpu/run.mjs" "$@"
