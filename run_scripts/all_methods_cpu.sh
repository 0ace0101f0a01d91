#!/usr/bin/env bash
# A few real steps of every method on the CPU, one after another: does each of them train?
#
#   bash run_scripts/all_methods_cpu.sh [STEPS]           default: 5; about three minutes per method on two cores
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/common.sh
show_help run_scripts/all_methods_cpu.sh "$@"
steps=${1:-5}
out=$(realpath -m "outputs/all-methods-$(date +%Y%m%d-%H%M%S)")
stages='mt_grpo.weights.stages=[[countdown-mini],[arc-mini,zebra-mini]]'
for config in mt_grpo_recipe/config/mt_grpo/*.yaml; do
  method=$(basename "$config" .yaml)
  overrides=(trainer.total_training_steps="$steps" trainer.val_before_train=False trainer.test_freq="$steps" trainer.save_freq=-1)
  case "$method" in seq_*) overrides+=("$stages" mt_grpo.weights.stage_steps=2) ;; esac
  echo "== $method"
  MT_GRPO_DEMO_DIR=$out/$method bash run_scripts/demo_cpu.sh "+mt_grpo=$method" "${overrides[@]}"
done
use_environment
mt-grpo report "$out"/* --baseline grpo -o "$out/report"
