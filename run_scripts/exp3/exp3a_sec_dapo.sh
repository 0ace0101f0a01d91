#!/usr/bin/env bash
# Experiment 3a, MATH, ARC and SciKnowEval on Qwen2.5-7B: DAPO with a self-evolving curriculum.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp3a sec_dapo "$@"
