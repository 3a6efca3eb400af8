/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers of applications, and the events that following them brings.
 *
 * events: one letter for each event other than RESPONSE_MORE, in order: S status, K skip, E end,
 * C until close, W switched. What follows an end is the next answer.
 */
#ifndef SLUICE_RESPONSE_CORPUS_H
#define SLUICE_RESPONSE_CORPUS_H

#include <stdbool.h>
#include <stddef.h>

struct response_case {
	const char *promise;
	const char *events;
	bool to_head;
	const char *bytes;
	size_t size;
};

#define BYTES(text) text, sizeof(text) - 1
#define OK	    "HTTP/1.1 200 OK\r\n"
#define CHUNKED	    "Transfer-Encoding: chunked\r\n\r\n"

#define IS_MEASURED "an answer with Content-Length ends with its body"
#define IS_BODILESS "an answer to HEAD, 204 and 304 ends with its head"
#define IS_INTERIM  "1xx answers are followed by the final one"
#define IS_SWITCHED "a 101 ends HTTP"
#define IS_CHUNKED  "a chunked answer ends with its last chunk and trailers"
#define IS_OPEN	    "an answer without a length lasts until the connection closes"
#define IS_SEVERAL  "answers in one write are told apart"
#define IS_LENIENT  "a bare LF ends a line, as a client would read it"
#define IS_UNCLEAR  "an answer whose end is not certain lasts until the connection closes"
#define IS_NO_HTTP  "what is not HTTP/1.x lasts until the connection closes"

/* clang-format off: a case a line */
static const struct response_case response_corpus[] = {
	{ IS_MEASURED, "SKE", false, BYTES(OK "Content-Length: 5\r\n\r\nhello") },
	{ IS_MEASURED, "SE", false, BYTES(OK "Content-Length: 0\r\n\r\n") },
	{ IS_MEASURED, "SKE", false,
	  BYTES(OK "X: y\r\nCONTENT-length:\t 005 \t\r\nZ:\r\n\r\nhello") },
	{ IS_MEASURED, "SKE", false,
	  BYTES("HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx") },
	{ IS_MEASURED, "SKE", false, BYTES("HTTP/1.1 500\r\nContent-Length: 1\r\n\r\nx") },
	{ IS_MEASURED, "SKE", false, BYTES("HTTP/1.0 200 \r\nContent-Length: 1\r\n\r\nx") },
	{ IS_MEASURED, "SKE", false, BYTES(OK "Connection: close\r\nContent-Length: 1\r\n\r\nx") },
	{ IS_MEASURED, "SKE", false, BYTES(OK "Content-Length: 17\r\n\r\nHTTP/1.1 200 OK\r\n") },
	{ IS_MEASURED, "SKE", false, BYTES(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx") },
	{ IS_MEASURED, "SK", false, BYTES(OK "Content-Length: 9223372036854775807\r\n\r\nx") },
	{ IS_MEASURED, "SKE", false,
	  BYTES(OK "X-Content-Length: 3\r\nContent-Length: 1\r\n\r\nx") },
	{ IS_MEASURED, "SKESKE", false,
	  BYTES(OK "Content-Length: 17\r\n\r\nHTTP/1.1 200 OK\r\n" OK
		   "Content-Length: 1\r\n\r\nx") },
	{ IS_MEASURED, "SKE", false, BYTES("HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nx") },
	{ IS_MEASURED, "SE", false, BYTES("HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n") },

	{ IS_BODILESS, "SE", true, BYTES(OK "Content-Length: 5\r\n\r\n") },
	{ IS_BODILESS, "SE", true, BYTES(OK CHUNKED) },
	{ IS_BODILESS, "SE", true, BYTES(OK "\r\n") },
	{ IS_BODILESS, "SE", false, BYTES("HTTP/1.1 204 No Content\r\n\r\n") },
	{ IS_BODILESS, "SE", false,
	  BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") },
	{ IS_BODILESS, "SE", false, BYTES("HTTP/1.1 304 Not Modified\r\n" CHUNKED) },
	{ IS_BODILESS, "SE", false, BYTES("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n") },
	{ IS_BODILESS, "SE", false, BYTES("HTTP/1.0 204 No Content\r\n" CHUNKED) },
	{ IS_BODILESS, "SE", true, BYTES("HTTP/1.1 304 Not Modified\r\n\r\n") },
	{ IS_BODILESS, "SE", true, BYTES("HTTP/1.0 200 OK\r\n\r\n") },
	{ IS_BODILESS, "SE", true, BYTES("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n") },
	{ IS_BODILESS, "SESE", true,
	  BYTES(OK "Content-Length: 5\r\n\r\n" OK "Content-Length: 5\r\n\r\n") },

	{ IS_INTERIM, "SKE", false,
	  BYTES("HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx") },
	{ IS_INTERIM, "SKE", false,
	  BYTES("HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 9\r\n\r\n"
		"HTTP/1.1 102 Processing\r\n\r\n" OK "Content-Length: 1\r\n\r\nx") },
	{ IS_INTERIM, "SE", true,
	  BYTES("HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\n") },
	{ IS_INTERIM, "SKE", false,
	  BYTES("HTTP/1.1 100 Continue\r\n" CHUNKED OK CHUNKED "1\r\nx\r\n0\r\n\r\n") },
	{ IS_INTERIM, "SE", false, BYTES("HTTP/1.1 199 x\r\n\r\nHTTP/1.1 204 y\r\n\r\n") },
	{ IS_INTERIM, "SC", false, BYTES("HTTP/1.1 100 Continue\r\n\r\n" OK "\r\n") },
	{ IS_INTERIM, "", false, BYTES("HTTP/1.1 100 Continue\r\n\r\n") },

	{ IS_SWITCHED, "W", false,
	  BYTES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n") },
	{ IS_SWITCHED, "W", false,
	  BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n") },
	{ IS_SWITCHED, "W", false, BYTES("HTTP/1.1 101\r\nContent-Length: 5\r\n\r\n") },
	{ IS_SWITCHED, "WC", false, BYTES("HTTP/1.1 101 S\r\n\r\n\x81\x05hello" OK) },
	{ IS_SWITCHED, "SE", false,
	  BYTES("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: "
		"0\r\n\r\n") },

	{ IS_CHUNKED, "SKKE", false, BYTES(OK CHUNKED "5\r\nhello\r\n1\r\nx\r\n0\r\n\r\n") },
	{ IS_CHUNKED, "SE", false, BYTES(OK CHUNKED "0\r\n\r\n") },
	{ IS_CHUNKED, "SKE", false,
	  BYTES(OK CHUNKED "00a;n=\"v\"; x\r\n0123456789\r\n000\r\n\r\n") },
	{ IS_CHUNKED, "SKE", false,
	  BYTES(OK CHUNKED "A \r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\n") },
	{ IS_CHUNKED, "SKESE", false,
	  BYTES(OK CHUNKED "1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 n\r\n\r\n") },
	{ IS_CHUNKED, "SK", false, BYTES(OK CHUNKED "7fffffffffffffff\r\nx") },
	{ IS_CHUNKED, "SKE", false, BYTES(OK CHUNKED "11\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n") },
	{ IS_CHUNKED, "SKE", false, BYTES(OK CHUNKED "5\r\n0\r\n\r\n\r\n0\r\n\r\n") },
	{ IS_CHUNKED, "SKE", false,
	  BYTES(OK "Transfer-Encoding: gzip, CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n") },
	{ IS_CHUNKED, "SKE", false,
	  BYTES(OK "Transfer-Encoding: gzip\r\ntransfer-encoding:\tchunked "
		   "\r\n\r\n1\r\nx\r\n0\r\n\r\n") },

	{ IS_OPEN, "SC", false, BYTES(OK "\r\n") },
	{ IS_OPEN, "SC", false, BYTES("HTTP/1.0 200 OK\r\nContent-Type: a\r\n\r\n") },
	{ IS_OPEN, "SC", false, BYTES(OK "Connection: close\r\n\r\n") },
	{ IS_OPEN, "SC", false, BYTES(OK "Transfer-Encoding: gzip\r\n\r\n") },
	{ IS_OPEN, "SC", false, BYTES(OK "Transfer-Encoding: identity\r\n\r\n") },
	{ IS_OPEN, "SC", false, BYTES(OK "Transfer-Encoding:\r\n\r\n") },

	{ IS_SEVERAL, "SKESKESE", false,
	  BYTES(OK "Content-Length: 1\r\n\r\nx" OK CHUNKED "1\r\nx\r\n0\r\n\r\n"
		   "HTTP/1.1 204 No Content\r\n\r\n") },
	{ IS_SEVERAL, "SESC", false, BYTES("HTTP/1.1 304 NM\r\n\r\n" OK "\r\n") },
	{ IS_SEVERAL, "SKESESKE", false,
	  BYTES(OK "Content-Length: 1\r\n\r\nx"
		   "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
		   "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno") },

	{ IS_LENIENT, "SKE", false, BYTES("HTTP/1.1 200 OK\nContent-Length: 1\n\nx") },
	{ IS_LENIENT, "SKE", false, BYTES("HTTP/1.1 200\nContent-Length: 1\r\n\nx") },
	{ IS_LENIENT, "SKE", false,
	  BYTES("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n1\nx\n0\nX: y\n\n") },
	{ IS_LENIENT, "SKE", false, BYTES(OK "X: a\r\n folded\r\nContent-Length: 1\r\n\r\nx") },
	{ IS_LENIENT, "SKE", false, BYTES(OK "X: \xff\0\x01\rb\r\nContent-Length: 1\r\n\r\nx") },

	{ IS_UNCLEAR, "SC", false,
	  BYTES(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") },
	{ IS_UNCLEAR, "SC", false,
	  BYTES(OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n") },
	{ IS_UNCLEAR, "SC", false, BYTES("HTTP/1.0 200 OK\r\n" CHUNKED) },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length: 1\r\nContent-Length: 2\r\n") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length: 1, 1") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length: -") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length:\r") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length:\n") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length: 1\r2") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length: 1\r\n ") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length: 1 2") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length: 99999999999999999999") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length: 9223372036854775808") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Transfer-Encoding: chunked;") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Transfer-Encoding: chunked, gzip\r\n") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Transfer-Encoding: chunked, chunked\r\n") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Transfer-Encoding: gzip c") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Transfer-Encoding: chunked\r\n ") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "Content-Length ") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK ":") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "no colon\r") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK "\rx") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK CHUNKED "\r\n") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK CHUNKED "\n") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK CHUNKED "g") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK CHUNKED ";a\r\n") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK CHUNKED "1\rx") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK CHUNKED "fffffffffffffffff") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK CHUNKED "8000000000000000") },
	{ IS_UNCLEAR, "SKC", false, BYTES(OK CHUNKED "1\r\nxy") },
	{ IS_UNCLEAR, "SKC", false, BYTES(OK CHUNKED "1\r\nx\ry") },
	{ IS_UNCLEAR, "SC", false, BYTES(OK CHUNKED "0\r\n\rx") },

	{ IS_NO_HTTP, "C", false, BYTES("<") },
	{ IS_NO_HTTP, "C", false, BYTES("HTTP/2") },
	{ IS_NO_HTTP, "C", false, BYTES("http") },
	{ IS_NO_HTTP, "C", false, BYTES("HTTP/1.1\t") },
	{ IS_NO_HTTP, "C", false, BYTES("HTTP/1.x") },
	{ IS_NO_HTTP, "C", false, BYTES("HTTP/1.1 20x") },
	{ IS_NO_HTTP, "C", false, BYTES("HTTP/1.1 2000") },
	{ IS_NO_HTTP, "C", false, BYTES("HTTP/1.1 099 ") },
	{ IS_NO_HTTP, "C", false, BYTES("\r") },
	{ IS_NO_HTTP, "SEC", false, BYTES(OK "Content-Length: 0\r\n\r\n\r") },
};
/* clang-format on */

#define RESPONSE_CORPUS_SIZE (sizeof(response_corpus) / sizeof(*response_corpus))

#endif
