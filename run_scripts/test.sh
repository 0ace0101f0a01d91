#!/usr/bin/env bash
# Everything a change must pass: linter, formatter, types, unit tests in parallel, then real training runs on the CPU.
#
#   bash run_scripts/test.sh                        all of it
#   bash run_scripts/test.sh --unit                 all but the training runs
#   bash run_scripts/test.sh --fast                 about two minutes: linter, formatter, and the quick unit tests
#   bash run_scripts/test.sh PYTEST ARGUMENTS...    linter, formatter, types, and this call of pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/common.sh
show_help run_scripts/test.sh "$@"
bash run_scripts/setup.sh cpu
use_environment

unset PYTHONDONTWRITEBYTECODE # a hundred processes import the package, and would compile it each

# Unit tests in as many processes as there are cores, at most four: each may import verl, and then takes 1 GB. They
# share the cores, so torch gets one thread in each.
unit_tests() {
  OMP_NUM_THREADS=1 python -m pytest -n logical --maxprocesses 4 --dist worksteal "$@"
}

# Tests that import verl are left out: the import alone takes as long as all of this.
quick=(tests/algorithm tests/config/test_settings.py tests/data_prep tests/report tests/reward_fns tests/simulator
  tests/test_readme.py tests/test_scripts.py tests/test_toy_world.py)

ruff check .
ruff format --check .
if [ "${1:-}" = --fast ]; then
  unit_tests -m "not slow and not e2e" "${quick[@]}"
  exit
fi
pyright
case "${1:-}" in
  --unit) unit_tests -m "not e2e" ;;
  "") unit_tests -m "not e2e" && python -m pytest -m e2e ;;
  *) python -m pytest "$@" ;;
esac
