#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The oldest kernel that is supported, and one between: the programs load there, and a few tests pass.
# "make test-vm" runs them all, which takes hours.
cd "$(dirname "$0")/../.." || exit 1

log=$(mktemp)
trap 'rm -f "$log"' EXIT
number=0
echo 1..2
for kernel in linux-image-cloud-amd64 linux-image-6.12-cloud-amd64; do
	number=$((number + 1))
	if ! apt-cache show $kernel >/dev/null 2>&1; then
		echo "ok $number - $kernel # SKIP there is no such package here"
	elif tests/vm/run $kernel net/test_identity net/test_doors net/test_clock >"$log" 2>&1; then
		echo "ok $number - $kernel"
	else
		tail -n 80 "$log" | sed 's/^/# /'
		echo "not ok $number - $kernel"
	fi
	sed -n 's/^kernel /# figure: /p; s/^[0-9]* passed, [0-9]* failed/# figure: &/p' "$log"
done
