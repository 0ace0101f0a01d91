#!/usr/bin/env bash
# Experiment 3a, MATH, ARC and SciKnowEval on Qwen2.5-7B: MT-GRPO with lambda 0.2.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp3a mt_grpo \
  mt_grpo.weights.trade_off=0.2 \
  mt_grpo.weights.improvement_clip=0.2 \
  \
  "$@"
