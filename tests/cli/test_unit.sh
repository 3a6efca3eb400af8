#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The service's unit, as systemd judges it.
cd "$(dirname "$0")/../.." || exit 1

echo 1..1
name='the unit leaves the service little to do harm with'
if ! command -v systemd-analyze >/dev/null; then
	echo "ok 1 - $name # SKIP there is no systemd-analyze"
elif said=$(systemd-analyze security --no-pager --offline=true --threshold=25 scripts/sluiced.service 2>&1); then
	echo "ok 1 - $name"
else
	echo "$said" | sed 's/^/# /'
	echo "not ok 1 - $name"
fi
