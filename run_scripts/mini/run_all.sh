#!/usr/bin/env bash
# The whole miniature comparison, one run after another, and its report. Run it again to go on where it was stopped.
#
#   bash run_scripts/mini/run_all.sh            18 runs of five to ten minutes on two cores
#   STEPS, DATA_DIR as in run.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source run_scripts/common.sh
use_environment

run() { # NAME METHOD SEED [OVERRIDES...]
  echo "== $1, seed $3"
  NAME=$1 bash run_scripts/mini/run.sh "${@:2}"
}

for seed in 0 1 2; do
  for method in grpo dapo mt_grpo mt_grpo_stream; do run "$method" "$method" "$seed"; done
done
for method in sec_grpo sec_dapo grpo_iwu grpo_rps mt_grpo_reg; do run "$method" "$method" 0; done
run mt_grpo_0.05 mt_grpo 0 mt_grpo.weights.trade_off=0.05
mt-grpo report outputs/mini --baseline dapo -o outputs/mini-report
