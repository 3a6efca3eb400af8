/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cases: lines and fields. Most are in the corpus of heads; here is what it takes a connection for. */
static const struct row cases_lines[] = {
	PASSES("a plain request", "GET /a", GET("/a")),
	UNAUTHORIZED("no key", HEAD("GET /a", "")),
	BAD("a bare LF", "GET /a HTTP/1.1\n" HOST GOOD "\r\n"),
};
