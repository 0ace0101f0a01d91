#!/usr/bin/env bash
# Experiment 2, nine tasks: MT-GRPO with lambda 0.3.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp2 mt_grpo \
  mt_grpo.weights.trade_off=0.3 \
  mt_grpo.weights.weight_decay=1e-4 \
  \
  "$@"
