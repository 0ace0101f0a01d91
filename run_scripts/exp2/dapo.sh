#!/usr/bin/env bash
# Experiment 2, nine tasks: DAPO.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp2 dapo "$@"
