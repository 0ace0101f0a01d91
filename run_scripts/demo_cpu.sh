#!/usr/bin/env bash
# MT-GRPO on three tasks, from scratch, on a machine without a GPU: installs, makes data, trains a tiny model with real
# verl, Ray and vLLM while you watch, then prints a table and draws a picture.
#
#   bash run_scripts/demo_cpu.sh [VERL OVERRIDES...]      e.g.  trainer.total_training_steps=60 +mt_grpo=dapo
#   MT_GRPO_DEMO_DIR=DIR    where everything goes (default: outputs/demo-<date>)
set -euo pipefail
out=$(realpath -m "${MT_GRPO_DEMO_DIR:-$(dirname "${BASH_SOURCE[0]}")/../outputs/demo-$(date +%Y%m%d-%H%M%S)}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source run_scripts/common.sh
show_help run_scripts/demo_cpu.sh "$@"
bash run_scripts/setup.sh cpu
use_environment
use_cpu

method=mt_grpo
overrides=()
for override in "$@"; do
  case "$override" in
    +mt_grpo=*) method=${override#+mt_grpo=} ;;
    *) overrides+=("$override") ;;
  esac
done

mt-grpo prepare --tasks countdown:mini,arc:mini,zebra:mini --train 1000 --test 64 --seed 0 -o "$out/data"
wait_for_turn
start_run "$out" "$method" 0
python -m verl.trainer.main_ppo +platform=cpu "+mt_grpo=$method" +experiment=mini \
  data.train_files="$(hydra_text "$out/data/train.parquet")" \
  data.val_files="$(hydra_text "$out/data/test.parquet")" \
  actor_rollout_ref.model.path="$(hydra_text "$PWD/run_scripts/tiny_model/checkpoint")" \
  trainer.total_training_steps=20 \
  trainer.save_freq=20 \
  trainer.resume_mode=disable \
  trainer.default_local_dir="$(hydra_text "$out/checkpoints")" \
  hydra.run.dir="$(hydra_text "$out/hydra")" \
  "${overrides[@]}" >"$out/train.log" 2>&1 9>&- &
watch_training "$out" $!
mt-grpo show "$out" -o "$out/demo.png"
