# Functions for the other scripts. Source it, then call what you need.

# show_help SCRIPT [ARGUMENTS...]: if the first argument is -h or --help, print the comment at the head of SCRIPT, and exit.
show_help() {
  case "${2:-}" in
    -h | --help) ;;
    *) return ;;
  esac
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"
  exit
}

# Take the active environment (VIRTUAL_ENV or CONDA_PREFIX), or the repository's own .venv that setup.sh makes.
use_environment() {
  if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then return; fi
  local root
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  if [ ! -f "$root/.venv/bin/activate" ]; then
    echo "error: no environment is active and there is no $root/.venv: run 'bash run_scripts/setup.sh cpu' first." >&2
    return 1
  fi
  # shellcheck disable=SC1091
  source "$root/.venv/bin/activate"
}

# The environment variables for a run without an accelerator; they go with the flag +platform=cpu.
use_cpu() {
  export VERL_PLATFORM=cpu
  export VERL_ENGINE_DEVICE=cuda # verl files its FSDP engine under this device's name; the tensors stay on the CPU
  export TORCHDYNAMO_DISABLE=1
  export VLLM_ENABLE_V1_MULTIPROCESSING=0 # otherwise vLLM starts one more process; see config/platform/cpu.yaml
  # Ray tells each of its processes to use one thread unless this is set. Trainer and engine take turns, while the
  # agent loop runs beside the engine: half the logical cores for each.
  local cores
  cores=$(nproc)
  export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((cores > 3 ? cores / 2 : 1))}"
  export TQ_NUM_THREADS="${TQ_NUM_THREADS:-1}" # TransferQueue warns at every call about more threads than cores
  export RAY_prestart_worker_first_driver=0    # those processes lack our environment, so no actor can use them
  export RAY_USAGE_STATS_ENABLED="${RAY_USAGE_STATS_ENABLED:-0}"
}

# One training run at a time: two on one machine, each in a Ray of its own, would send their engines the weights through
# sockets of the same name in /tmp, and both would hang. Start the run with 9>&-, or the processes it leaves behind hold
# the lock.
wait_for_turn() {
  # Other users of the machine wait for it, too: they cannot write into it, and need not.
  (umask 0 && : >>/tmp/mt-grpo-training.lock) 2>/dev/null || true
  exec 9</tmp/mt-grpo-training.lock
  flock --nonblock 9 || {
    echo "Another training run is active on this machine; waiting for it to end."
    flock 9
  }
}

# start_run DIR METHOD SEED: make the run's directory, name it for the report, and give this attempt a log of its own
# (verl's file logger overwrites its file at every start, which would wipe the log of the part before a resume).
start_run() {
  if ! [[ $3 =~ ^(0|[1-9][0-9]*)$ && $2 != *[\"\\]* ]]; then
    echo "error: method '$2', seed '$3': a seed is a whole number such as 0 or 12, and a name has no quotes or backslashes." >&2
    return 2
  fi
  mkdir -p "$1"
  printf '{"method": "%s", "seed": %s}\n' "$2" "$3" >"$1/run.json"
  # In UTC, since attempts are joined in the order of their names, and local time goes back once a year.
  export VERL_FILE_LOGGER_PATH="$1/metrics-$(date -u +%Y%m%d-%H%M%S).jsonl"
}

# hydra_text TEXT: the text as one value of a Hydra override, whatever characters are in it.
hydra_text() {
  # Within quotes Hydra reads backslashes as they are, but for those in front of a quote.
  printf "'%s'" "$(sed -E "s/(\\\\*)'/\1\1\\\\'/g; s/(\\\\+)\$/\1\1/" <<<"$1")"
}

# watch_training DIR PID: show the run in DIR until the training run PID has ended; if it failed, say why, and exit. The
# training run is in the background, where Ctrl-C does not reach it: it is stopped with this script.
watch_training() {
  # shellcheck disable=SC2064
  trap "kill $2 2>/dev/null || true" EXIT
  mt-grpo watch "$1" --pid "$2" || {
    if [ $? = 130 ]; then exit 130; fi
    echo "The view has ended; training goes on, logged in $1/train.log" >&2
  }
  wait "$2" || fail_with_log "$1/train.log"
  trap - EXIT
}

# fail_with_log FILE: show why a training run stopped, and exit.
fail_with_log() {
  echo "error: training stopped; the end of $1:" >&2
  # As text: what a model wrote may hold any byte.
  grep --text -v -e WARNING -e UserWarning "$1" | tail -n 40 >&2
  exit 1
}

# show_paper_help SCRIPT: how the script of a run of the paper is used.
show_paper_help() {
  echo "The run $1 of the paper (arXiv 2602.05547), as run_scripts/paper_runs.yaml has it."
  echo
  echo "  bash run_scripts/$1.sh [VERL OVERRIDES...]      --cfg job: prints the composed config and starts nothing"
  sed -n '/^#   MODEL /,/^[^#]/s/^# //p' "${BASH_SOURCE[0]}"
}

# run_paper SCRIPT [VERL OVERRIDES...]: the run of the paper that this row of paper_runs.yaml describes. Variables with
# defaults:
#   MODEL      model path or hub name                 (the experiment's own)
#   DATA_DIR   directory with train.parquet and test.parquet   (data/EXPERIMENT; see `mt-grpo prepare`)
#   OUT_DIR    logs and checkpoints                   (outputs/EXPERIMENT/NAME, NAME being the script's)
#   N_GPUS, N_NODES   GPUs per machine, machines      (2, 1); several machines are a Ray cluster at RAY_ADDRESS
run_paper() {
  local name row experiment out data argument trains=1
  for argument in "${@:2}"; do
    case $argument in
      -h | --help)
        show_paper_help "$1"
        return
        ;;
      -c | --cfg | --cfg=* | -i | --info | --info=* | --hydra-help | --version) trains=0 ;; # Hydra prints, and ends
    esac
  done
  use_environment
  name=$(basename "$1")
  row=$(python "$(dirname "${BASH_SOURCE[0]}")/paper_runs.py" "$1")
  shift
  mapfile -t row <<<"$row"
  experiment=${row[0]}
  out=$(realpath -m "${OUT_DIR:-outputs/$experiment/$name}")
  data=$(realpath -m "${DATA_DIR:-data/$experiment}")
  if [ $trains = 1 ]; then
    if [ "${N_NODES:-1}" -gt 1 ] && [ -z "${RAY_ADDRESS:-}" ]; then
      echo "error: N_NODES=$N_NODES, but RAY_ADDRESS is not set. Start Ray on every machine first: 'ray start --head" \
        "--port=6379' on one, 'ray start --address=HEAD:6379' on the others; then RAY_ADDRESS=HEAD:6379 bash $0" >&2
      return 1
    fi
    start_run "$out" "$name" 42
  fi
  python -m verl.trainer.main_ppo "${row[@]:1}" \
    ${MODEL:+actor_rollout_ref.model.path="$(hydra_text "$MODEL")"} \
    data.train_files="$(hydra_text "$data/train.parquet")" \
    data.val_files="$(hydra_text "$data/test.parquet")" \
    trainer.n_gpus_per_node="${N_GPUS:-2}" \
    trainer.nnodes="${N_NODES:-1}" \
    trainer.project_name="mt-grpo-$experiment" \
    trainer.experiment_name="$name" \
    trainer.default_local_dir="$(hydra_text "$out/checkpoints")" \
    "$@"
}
