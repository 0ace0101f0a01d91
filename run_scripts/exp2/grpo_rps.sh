#!/usr/bin/env bash
# Experiment 2, nine tasks: ablation, the ratio-preserving sampler with uniform weights.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp2 grpo_rps "$@"
