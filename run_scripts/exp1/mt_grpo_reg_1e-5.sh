#!/usr/bin/env bash
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
run_paper exp1/mt_grpo_reg_1e-5 "$@"
