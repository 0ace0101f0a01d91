#!/usr/bin/env bash
# One run of the miniature comparison: one method, one seed, on the CPU. Run it again to resume where it was stopped.
#
#   bash run_scripts/mini/run.sh METHOD SEED [VERL OVERRIDES...]      e.g.  mt_grpo 0
#   SETTING=equal three tasks; nine: three sizes of each
#   NAME=...      name of the method in the report (METHOD); needed where overrides make it another method:
#                 NAME=mt_grpo_0.1 bash run_scripts/mini/run.sh mt_grpo 0 mt_grpo.weights.trade_off=0.1
#   STEPS=80, DATA_DIR=outputs/mini/data (nine: data-nine), OUT_DIR=outputs/mini/SETTING/NAME-SEED
set -euo pipefail
out=${OUT_DIR:+$(realpath -m "$OUT_DIR")} data=${DATA_DIR:+$(realpath -m "$DATA_DIR")}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source run_scripts/common.sh
show_help run_scripts/mini/run.sh "$@"
if [ $# -lt 2 ]; then
  echo "usage: bash run_scripts/mini/run.sh METHOD SEED [VERL OVERRIDES...]" >&2
  exit 2
fi
method=$1 seed=$2
shift 2
setting=${SETTING:-equal}
case $setting in
  equal) sizes=mini train=1900 model=warm_model made=outputs/mini/data batch=12 answers=2 ;;
  nine) sizes="mini mini2 mini3" train=700 model=warm_model_nine made=outputs/mini/data-nine batch=18 answers=1 ;;
  *)
    echo "error: SETTING=$setting, but the settings are equal and nine" >&2
    exit 2
    ;;
esac
use_environment
use_cpu
name=${NAME:-$method}
out=${out:-$PWD/outputs/mini/$setting/$name-$seed} data=${data:-$PWD/$made}
asked="$setting $name $method $seed ${STEPS:-80} $*"
if [ -e "$out/finished" ]; then
  if [ -s "$out/finished" ] && [ "$(cat "$out/finished")" != "$asked" ]; then
    echo "error: $out holds a finished run of other settings: give this one another NAME or OUT_DIR" >&2
    exit 2
  fi
  echo "$name, seed $seed: finished already, in $out"
  exit 0
fi
mkdir -p "$data"
(
  flock 8 # runs that start together make the data only once
  if [ ! -e "$data/test.parquet" ]; then
    tasks=$(for family in countdown arc zebra; do for size in $sizes; do echo "$family:$size"; done; done | paste -sd,)
    mt-grpo prepare --tasks "$tasks" --train $train --test 200 --seed 0 -o "$data"
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
  data.train_files="$(hydra_text "$data/train.parquet")" \
  data.val_files="$(hydra_text "$data/test.parquet")" \
  data.train_batch_size=$batch \
  actor_rollout_ref.actor.ppo_mini_batch_size=$batch \
  actor_rollout_ref.model.path="$(hydra_text "$PWD/run_scripts/mini/$model")" \
  actor_rollout_ref.rollout.seed="$seed" \
  mt_grpo.seed="$seed" \
  actor_rollout_ref.rollout.val_kwargs.n=$answers \
  trainer.total_training_steps="${STEPS:-80}" \
  trainer.save_freq=20 \
  trainer.max_actor_ckpt_to_keep=2 \
  trainer.resume_mode=auto \
  trainer.default_local_dir="$(hydra_text "$out/checkpoints")" \
  hydra.run.dir="$(hydra_text "$out/hydra")" \
  "$@" >>"$out/train.log" 2>&1 9>&- || fail_with_log "$out/train.log"
# What `mt-grpo replay` reads lies beside the checkpoints, which go.
for file in decisions.jsonl outcomes.jsonl; do
  if [ -e "$out/checkpoints/$file" ]; then mv "$out/checkpoints/$file" "$out/"; fi
done
rm -rf "$out/checkpoints"
echo "$asked" >"$out/finished"
