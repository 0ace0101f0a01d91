#!/usr/bin/env bash
# MT-GRPO on Countdown, Zebra and ARC with Qwen2.5-3B, as in section 6.1 of the paper (two GPUs there).
#
#   bash run_mt_grpo_qwen2.5-3b.sh [VERL OVERRIDES...]
#   DATA_DIR=data/exp1, OUT_DIR=outputs/mt_grpo     where puzzles are made, unless already there, and where the run goes
set -euo pipefail
recipe=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=$(realpath -m "${DATA_DIR:-data/exp1}")
out=$(realpath -m "${OUT_DIR:-outputs/mt_grpo}")
if [ ! -e "$data/test.parquet" ]; then mt-grpo prepare exp1 -o "$data"; fi
mkdir -p "$out"
# A log per attempt: verl's file logger empties its file at every start.
export VERL_FILE_LOGGER_PATH=$out/metrics-$(date -u +%Y%m%d-%H%M%S).jsonl
python -m verl.trainer.main_ppo --config-path "$recipe/config" --config-name mt_grpo_trainer \
  data.train_files="'$data/train.parquet'" \
  data.val_files="'$data/test.parquet'" \
  trainer.default_local_dir="'$out/checkpoints'" \
  "$@"
