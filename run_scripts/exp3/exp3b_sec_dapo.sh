#!/usr/bin/env bash
# Experiment 3b, the four domains of SciKnowEval on OLMo-3-7B-Instruct: DAPO with a self-evolving curriculum.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp3b sec_dapo "$@"
