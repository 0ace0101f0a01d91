#!/usr/bin/env bash
# Experiment 1, three tasks: ablation, improvement-aware weights (lambda 0.25) without the sampler.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp1 grpo_iwu mt_grpo.weights.trade_off=0.25 "$@"
