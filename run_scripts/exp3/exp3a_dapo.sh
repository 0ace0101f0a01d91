#!/usr/bin/env bash
# Experiment 3a, MATH, ARC and SciKnowEval on Qwen2.5-7B: DAPO.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp3a dapo "$@"
