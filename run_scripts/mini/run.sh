#!/usr/bin/env bash
# One run of the miniature comparison: one method, one seed, on the CPU. Run it again to resume where it was stopped.
#
#   bash run_scripts/mini/run.sh METHOD SEED [VERL OVERRIDES...]      e.g.  mt_grpo 0   or   mt_grpo 0 mt_grpo.weights.trade_off=0.1
#   NAME=...      name of the method in the report (METHOD)
#   STEPS=80, DATA_DIR=outputs/mini/data, OUT_DIR=outputs/mini/NAME-SEED
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source run_scripts/common.sh
show_help run_scripts/mini/run.sh "$@"
if [ $# -lt 2 ]; then
  echo "usage: bash run_scripts/mini/run.sh METHOD SEED [VERL OVERRIDES...]" >&2
  exit 2
fi
use_environment
use_cpu
method=$1 seed=$2
shift 2
name=${NAME:-$method}
out=$(realpath -m "${OUT_DIR:-outputs/mini/$name-$seed}")
data=$(realpath -m "${DATA_DIR:-outputs/mini/data}")
if [ -e "$out/finished" ]; then
  echo "$name, seed $seed: finished already, in $out"
  exit 0
fi
mkdir -p "$data"
(
  flock 8 # runs that start together make the data only once
  if [ ! -e "$data/test.parquet" ]; then
    mt-grpo prepare --tasks countdown:mini,arc:mini,zebra:mini --train 1900 --test 200 --seed 0 -o "$data"
  fi
) 8>"$data.lock"
# As in the authors' code: I_k is a sum over samples, and the weights move by 0.025 at each of a step's four mini-batches,
# whereas here a step is one.
case $method in
  mt_grpo_targets) ;; # reads no I_k
  mt_grpo_reg) set -- mt_grpo.weights.learning_rate=0.1 "$@" ;;
  mt_grpo* | grpo_iwu) set -- mt_grpo.weights.learning_rate=0.1 mt_grpo.improvement.reduction=sum "$@" ;;
esac
wait_for_turn
start_run "$out" "$name" "$seed"
python -m verl.trainer.main_ppo +platform=cpu "+mt_grpo=$method" +experiment=mini \
  data.train_files="$data/train.parquet" \
  data.val_files="$data/test.parquet" \
  actor_rollout_ref.model.path="$PWD/run_scripts/mini/warm_model" \
  actor_rollout_ref.rollout.seed="$seed" \
  mt_grpo.seed="$seed" \
  actor_rollout_ref.rollout.val_kwargs.n=2 \
  trainer.total_training_steps="${STEPS:-80}" \
  trainer.save_freq=20 \
  trainer.max_actor_ckpt_to_keep=2 \
  trainer.resume_mode=auto \
  trainer.default_local_dir="$out/checkpoints" \
  hydra.run.dir="$out/hydra" \
  "$@" >>"$out/train.log" 2>&1 9>&- || fail_with_log "$out/train.log"
rm -rf "$out/checkpoints"
touch "$out/finished"
