#!/usr/bin/env bash
# Experiment 2, nine tasks: DAPO with a self-evolving curriculum.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp2 sec_dapo "$@"
