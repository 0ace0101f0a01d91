#!/usr/bin/env bash
# Experiment 1, three tasks: DAPO with a self-evolving curriculum.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
train exp1 sec_dapo "$@"
