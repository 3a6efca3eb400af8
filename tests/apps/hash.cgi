#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Answer with the SHA-256 of the request's body.
hash=$(sha256sum)
printf 'Content-Type: text/plain\r\n\r\n%.64s' "$hash"
