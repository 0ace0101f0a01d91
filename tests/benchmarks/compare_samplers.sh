#!/usr/bin/env bash
# The samplers side by side in real training: the demo with each, one after another, then groups and seconds per step.
#
#   bash tests/benchmarks/compare_samplers.sh [STEPS]         default: 20; about four minutes per sampler on two cores
#   OUT_DIR=...                                               outputs/samplers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
steps=${1:-20}
out=$(realpath -m "${OUT_DIR:-outputs/samplers}")
runs=("dapo dapo" "rounds mt_grpo" "streaming mt_grpo_stream mt_grpo.sampler.surplus=drain"
  "streaming-abort mt_grpo_stream mt_grpo.sampler.surplus=abort")
for run in "${runs[@]}"; do
  read -r name method overrides <<<"$run"
  echo "== $name"
  # The weights stay uniform, so that all four fill the same batch.
  MT_GRPO_DEMO_DIR=$out/$name bash run_scripts/demo_cpu.sh "+mt_grpo=$method" "trainer.total_training_steps=$steps" \
    mt_grpo.weights.rule=fixed trainer.val_before_train=False "trainer.test_freq=$steps" trainer.save_freq=-1 \
    ${overrides:+"$overrides"}
done
source run_scripts/common.sh
use_environment
python tests/benchmarks/bench_step.py "$out"/{dapo,rounds,streaming,streaming-abort}/metrics-*.jsonl
