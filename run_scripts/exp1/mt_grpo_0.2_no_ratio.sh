#!/usr/bin/env bash
# Experiment 1, three tasks: ablation, MT-GRPO (lambda 0.2) without ratio preservation: filter and resampling stay.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp1 mt_grpo mt_grpo.weights.trade_off=0.2 mt_grpo.sampler.ratio=false "$@"
