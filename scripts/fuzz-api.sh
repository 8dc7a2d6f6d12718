#!/usr/bin/env bash
# Sends the native API what its own OpenAPI document allows and what it does not, for two minutes at most, and fails on any
# answer of 500 or more. Needs Python 3 with pip for schemathesis, which the product does not need: without them it skips.
set -uo pipefail
cd "$(dirname "$0")/.."

skip() { echo "fuzz-api: skipped, $1."; exit 0; }
python=${PYTHON:-python3}
command -v "$python" >/dev/null || skip "there is no $python here"
work=$(mktemp -d)
server=
trap '[ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
"$python" -m venv "$work/venv" >/dev/null 2>&1 || skip "$python cannot make a virtual environment"
"$work/venv/bin/pip" install -q 'schemathesis>=4,<5' >"$work/pip.log" 2>&1 || skip "schemathesis could not be installed: $(tail -n 1 "$work/pip.log")"

port=${PORT:-17860}
url=http://127.0.0.1:$port
# The test engine: it is the API that is tried, not the pictures. Webhooks lead nowhere, since addresses here are private.
KILN_DATA_DIR="$work/data" KILN_LISTEN="127.0.0.1:$port=native" KILN_ENGINE=test LOG_LEVEL=error \
  node packages/cli/bin/kiln.mjs serve >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
  curl -sf -o /dev/null "$url/readyz" && break
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; exit 1; }
  sleep 0.2
done

# Streams do not end by themselves; creating a key would lock the fuzzer out; pulls go to the network.
PYTHONWARNINGS=ignore timeout --signal=INT 140 "$work/venv/bin/schemathesis" run "$url/openapi.json" \
  --checks not_a_server_error --max-examples "${EXAMPLES:-25}" --workers 1 --request-timeout 10 --seed "${SEED:-1}" \
  --suppress-health-check all --phases examples,coverage,fuzzing \
  --exclude-path-regex '/(events|keys|pull)' >"$work/report.txt" 2>&1
status=$?
tail -n 60 "$work/report.txt"
errors=$(grep -c '"level":50' "$work/server.log")
echo "fuzz-api: the server logged $errors errors of its own."
grep '"level":50' "$work/server.log" | head -n 5
# 124: the two minutes ended it, which is no failure when nothing was found until then.
if [ "$status" -eq 124 ] && ! grep -q 'Server error' "$work/report.txt"; then status=0; fi
[ "$status" -eq 0 ] && [ "$errors" -eq 0 ]
