#!/usr/bin/env bash
# The whole miniature comparison and its report. Run it again to resume where it was stopped.
#
#   bash run_scripts/mini/run_all.sh            18 runs; two at a time on two cores they took 108 minutes
#   JOBS=2    runs at a time, each with a /tmp of its own (needs `unshare`; two take 16 GiB of memory)
#   STEPS, DATA_DIR as in run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source run_scripts/common.sh
use_environment
export JOBS="${JOBS:-1}"

# NAME METHOD SEED [OVERRIDES...]
comparison() {
  local seed method
  for seed in 0 1 2; do
    for method in mt_grpo dapo mt_grpo_stream grpo; do echo "$method $method $seed"; done
    if [ $seed = 0 ]; then
      for method in sec_grpo sec_dapo grpo_iwu grpo_rps mt_grpo_reg; do echo "$method $method $seed"; done
      echo "mt_grpo_0.1 mt_grpo $seed mt_grpo.weights.trade_off=0.1"
    fi
  done
}

run() { # NAME METHOD SEED [OVERRIDES...]
  echo "== $1, seed $3"
  export NAME=$1
  if [ "$JOBS" = 1 ]; then
    bash run_scripts/mini/run.sh "${@:2}"
  else
    # verl's sockets in /tmp have the same names in every run, so two runs there would hang, waiting for each other.
    # shellcheck disable=SC2016
    unshare --map-root-user --mount bash -c 'mount -t tmpfs tmpfs /tmp && exec bash run_scripts/mini/run.sh "$@"' \
      run "${@:2}"
  fi
}
export -f run

comparison | xargs -P "$JOBS" -L 1 bash -c 'run "$@"' run
mt-grpo report outputs/mini --baseline dapo -o outputs/mini-report
