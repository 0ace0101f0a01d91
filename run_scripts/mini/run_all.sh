#!/usr/bin/env bash
# All comparisons of the miniature, with their packed logs, tables and pictures. Run it again to resume where it was
# stopped. It says first how many runs are left and about how long they take. They include runs that the committed pages
# do not have yet: other tables then change too, and with them what the tests compare.
#
#   bash run_scripts/mini/run_all.sh
#   JOBS=2    runs at a time; those with verl get a /tmp each (needs `unshare`; two take 16 GiB of memory)
#   ONLY=lab  those without verl, at equal rollouts; ONLY=verl: those with it, at equal steps
#   DRY=1     says what is left, and starts nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source run_scripts/common.sh
show_help run_scripts/mini/run_all.sh "$@"
use_environment
export JOBS="${JOBS:-1}"
if ! [[ $JOBS =~ ^[1-9][0-9]*$ ]]; then
  echo "error: JOBS=$JOBS, but it is how many runs there are at a time: a whole number above 0, such as JOBS=2" >&2
  exit 2
fi
case "${ONLY:-}" in
  "" | lab | verl) ;;
  *)
    echo "error: ONLY=$ONLY, but there are lab and verl" >&2
    exit 2
    ;;
esac
KEPT=(mt_grpo/weight/ mt_grpo/trained/ mt_grpo/generated/ mt_grpo/zero_grad_rate/ mt_grpo/filtered_rate/ mt_grpo/total_rollouts
  mt_grpo/total_tokens timing_s/step val-core/mt_grpo/)

# SETTING NAME METHOD SEED [OVERRIDES...]
with_verl() {
  local seed method steps="trainer.total_training_steps"
  for seed in 0 1 2; do
    for method in mt_grpo grpo mt_grpo_lean dapo mt_grpo_stream; do echo "equal $method $method $seed"; done
    echo "equal dapo_stream dapo $seed mt_grpo.sampler.schedule=streaming"
    # With nine tasks each trains until it has generated what GRPO does in 80 steps, or a little more.
    for method in grpo mt_grpo_lean; do echo "nine $method $method $seed trainer.test_freq=20"; done
    echo "nine mt_grpo mt_grpo $seed $steps=20 trainer.test_freq=5"
    echo "nine dapo_stream dapo $seed mt_grpo.sampler.schedule=streaming $steps=50"
  done
  for method in sec_grpo sec_dapo grpo_iwu grpo_rps mt_grpo_reg; do echo "equal $method $method 0"; done
  echo "equal mt_grpo_0.1 mt_grpo 0 mt_grpo.weights.trade_off=0.1"
}

run() { # SETTING NAME METHOD SEED [OVERRIDES...]
  echo "== $2, seed $4 ($1)"
  export SETTING=$1 NAME=$2
  if [ "$JOBS" = 1 ]; then
    bash run_scripts/mini/run.sh "${@:3}"
  else
    # verl's sockets in /tmp have the same names in every run, so two runs there would hang, waiting for each other.
    # shellcheck disable=SC2016
    unshare --map-root-user --mount bash -c 'mount -t tmpfs tmpfs /tmp && exec bash run_scripts/mini/run.sh "$@"' \
      run "${@:3}"
  fi
}
export -f run

count_left() { # how many runs of each kind are left
  verl_left=0 lab_left=0
  local setting name seed purpose
  if [ "${ONLY:-verl}" = verl ]; then
    while read -r setting name _ seed _; do
      [ -e "outputs/mini/$setting/$name-$seed/finished" ] || verl_left=$((verl_left + 1))
    done < <(with_verl)
  fi
  if [ "${ONLY:-lab}" = lab ]; then
    for setting in equal unequal rare nine fresh; do
      for purpose in choose rates report; do
        lab_left=$((lab_left + $(python run_scripts/lab/compare.py $purpose $setting --count -o outputs/lab/$purpose-$setting)))
      done
    done
  fi
}

count_left
echo "$verl_left runs with verl are left, about 6 minutes each (12 if there are two at a time), and $lab_left without it," \
  "about 1.5 minutes of one core each: at most $(((verl_left * 6 + lab_left * 3 / 2 / JOBS + 59) / 60)) hours with JOBS=$JOBS and as many cores."
if [ -n "${DRY:-}" ]; then exit; fi

if [ "${ONLY:-lab}" = lab ]; then
  for setting in equal unequal rare nine fresh; do
    for purpose in choose rates report; do
      python run_scripts/lab/compare.py $purpose $setting --jobs "$JOBS" -o outputs/lab/$purpose-$setting
      if [ -e outputs/lab/$purpose-$setting ]; then # rare and fresh have nothing to choose
        kept=("${KEPT[@]}")
        if [ $purpose != report ]; then kept=(mt_grpo/total_rollouts val-core/mt_grpo/); fi
        python run_scripts/mini/pack_logs.py outputs/lab/$purpose-$setting -o run_scripts/lab/compared/$purpose-$setting \
          --keep "${kept[@]}" --digits 4
      fi
    done
  done
  python run_scripts/lab/equal_rollouts.py --write
  python run_scripts/lab/curves.py -o run_scripts/mini/figures
fi
if [ "${ONLY:-verl}" = verl ]; then
  with_verl | xargs -P "$JOBS" -L 1 bash -c 'run "$@"' run
  for setting in equal nine; do
    python run_scripts/mini/pack_logs.py outputs/mini/$setting -o run_scripts/mini/logs/$setting
  done
  mt-grpo report run_scripts/mini/logs/equal --baseline dapo -o outputs/mini-report
  python run_scripts/lab/in_verl.py # the table of nine tasks
fi
