#!/usr/bin/env bash
# Everything a change must pass: linter, formatter, types, unit tests, and real training runs on the CPU.
#
#   bash run_scripts/test.sh [PYTEST ARGUMENTS...]        e.g.  -m "not e2e"   (minutes less: no training runs)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/common.sh
bash run_scripts/setup.sh cpu
use_environment

ruff check .
ruff format --check .
pyright
python -m pytest "$@"
