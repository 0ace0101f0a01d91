#!/usr/bin/env bash
# Experiment 2, nine tasks: the regularised weights of Subroutine 2 with eta 1e-2.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp2 mt_grpo_reg mt_grpo.weights.eta=1e-2 "$@"
