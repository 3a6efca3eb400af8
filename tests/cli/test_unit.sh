#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The service's unit: as systemd judges it, and what it does not try again.
cd "$(dirname "$0")/../.." || exit 1

echo 1..2
name='the unit leaves the service little to do harm with'
if ! command -v systemd-analyze >/dev/null; then
	echo "ok 1 - $name # SKIP there is no systemd-analyze"
elif said=$(systemd-analyze security --no-pager --offline=true --threshold=25 scripts/sluiced.service 2>&1); then
	echo "ok 1 - $name"
else
	echo "$said" | sed 's/^/# /'
	echo "not ok 1 - $name"
fi

name='a daemon whose configuration is wrong is not started again and again'
file=$(mktemp) || exit 1
echo '[port 70000]' >"$file"
build/test/sluiced --config "$file" 2>/dev/null
status=$?
rm -f "$file"
if [ "$status" -ne 0 ] && grep -qx "RestartPreventExitStatus=$status" scripts/sluiced.service; then
	echo "ok 2 - $name"
else
	echo "# it ends with status $status"
	echo "not ok 2 - $name"
fi
