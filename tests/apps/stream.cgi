#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Answer in five pieces, a tenth of a second apart.
printf 'Content-Type: text/plain\r\n\r\n'
for i in 0 1 2 3 4; do
	printf 'piece %d\n' $i
	sleep 0.1
done
