#!/usr/bin/env bash
# Experiment 2, nine tasks: DAPO on one family after another: Zebra, ARC, Countdown.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp2 seq_dapo \
  'mt_grpo.weights.stages=[[1-zebra,2-zebra,3-zebra],[1-arc,2-arc,3-arc],[1-countdown,2-countdown,3-countdown]]' \
  \
  "$@"
