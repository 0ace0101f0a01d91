#!/usr/bin/env bash
# Try the environment of `setup.sh gpu` on a machine without a GPU: install it, then run everything that needs none.
#
#   bash run_scripts/test_gpu_install.sh [FOLDER]     FOLDER gets the environment (outputs/gpu-environment): 11 GB
#
# It tries the versions that only GPU users get. .ci/run leaves it out, for its size.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/common.sh
show_help run_scripts/test_gpu_install.sh "$@"
folder=$(realpath -m "${1:-outputs/gpu-environment}")
python3 -m venv "$folder"
unset CONDA_PREFIX
export VIRTUAL_ENV=$folder PATH=$folder/bin:$PATH
bash run_scripts/setup.sh gpu

# On such a machine the doctor reports one problem.
doctor=$(mt-grpo doctor actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.n=8 \
  +actor_rollout_ref.model.override_config.attn_implementation=sdpa || true)
echo "$doctor"
if [ "$(grep -c '^problem' <<<"$doctor")" != 1 ] || ! grep -q "no GPU is visible to torch" <<<"$doctor"; then
  echo "error: the doctor should have found one problem only, the missing GPU." >&2
  exit 1
fi
# One test asks whether the CPU environment is complete, which this one is not meant to be.
OMP_NUM_THREADS=1 python -m pytest -n logical --maxprocesses 4 --dist worksteal -m "not e2e" \
  --deselect tests/cpu/test_install.py::test_this_environment_is_complete
