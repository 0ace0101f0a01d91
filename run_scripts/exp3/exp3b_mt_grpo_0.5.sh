#!/usr/bin/env bash
# Experiment 3b, the four domains of SciKnowEval on OLMo-3-7B-Instruct: MT-GRPO with lambda 0.5.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp3b mt_grpo \
  mt_grpo.weights.trade_off=0.5 \
  mt_grpo.weights.improvement_clip=0.2 \
  \
  "$@"
