// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Requests that two recipients may read differently, or that are none: the gate refuses them and
 * ends the connection. Each is built to smuggle another one behind it.
 */
#include "stream.h"

#include <stdio.h>
#include <string.h>

/*
 * {post}, {get}	a request line
 * {host}, {auth}	the Host field; the Authorization field with the connection's own key
 * {head}		{post}{host}{auth}
 * {hidden}		the smuggled request; {size}, {hex} its length
 * {long}, {many}	a field of 17,000 bytes; 100 fields
 */
struct refused {
	int status;
	const char *bytes;
};

static const struct refused refusals[] = {
	/* Two framings: CL.TE, TE.CL, and those that look like one. */
	{ 400, "{head}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: {size}\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{hex}\r\n{hidden}\r\n0"
	       "\r\n\r\n" },
	{ 400, "{head}Content-Length: 0\r\nTransfer-Encoding: identity\r\n\r\n{hidden}" },
	/* TE.TE */
	{ 400, "{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400,
	  "{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
	{ 400, "{head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding:\x0b"
	       "chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head}\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "{head} Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}" },
	{ 400, "POST /r/90/9/l HTTP/1.0\r\n{host}{auth}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	       "{hidden}" },
	/* Lengths */
	{ 400, "{head}Content-Length: +{size}\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: -1\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: 0{size}\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: 0x{hex}\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: 1_0\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: {size}, {size}\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: {size};a=b\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: 1 0\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length:\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length:\r\n {size}\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: 0\r\nContent-Length: {size}\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: {size}\r\nContent-Length: 0\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: {size}\r\nContent-Length: {size}\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length : {size}\r\n\r\n{hidden}" },
	{ 400, "{head}Content_Length: {size}\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: 9223372036854775808\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: 18446744073709551616\r\n\r\n{hidden}" },
	{ 400, "{head}Content-Length: 1e1\r\n\r\n{hidden}" },
	{ 400, "{head}X: y\nContent-Length: {size}\r\n\r\n{hidden}" },
	{ 400, "{head}Connection: content-length\r\nContent-Length: {size}\r\n\r\n{hidden}" },
	{ 400, "{head}Connection: close, Transfer-Encoding\r\n\r\n{hidden}" },
	{ 400, "{head}Connection: authorization\r\n\r\n{hidden}" },
	/* Lines */
	{ 400, "{head}X: y\n\n{hidden}" },
	{ 400, "{head}X: y\n\r\n{hidden}" },
	{ 400, "{head}X: y\r\r\n{hidden}" },
	{ 400, "{head}X: y\r\n\n{hidden}" },
	{ 400, "{head}\n{hidden}" },
	{ 400, "{head}X: y\r\n folded\r\n\r\n{hidden}" },
	{ 400, "{head}X: y\r\n\t\r\n\r\n{hidden}" },
	{ 400, "{head}no colon\r\n\r\n{hidden}" },
	{ 400, "{head}: no name\r\n\r\n{hidden}" },
	{ 400, "{head}X(: y\r\n\r\n{hidden}" },
	{ 400, "{head}X: \x01\r\n\r\n{hidden}" },
	{ 400, "{head}X: \x7f\r\n\r\n{hidden}" },
	{ 400, "\r\n\r\n{head}\r\n{hidden}" },
	{ 400, "\n{head}\r\n{hidden}" },
	{ 400, " {head}\r\n{hidden}" },
	{ 400, "POST /r/90/9/l HTTP/1.1\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST /r/90/9/l HTTP/1.1\r\n {host}{auth}\r\n{hidden}" },
	/* Request lines */
	{ 400, "POST  /r/90/9/l HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST\t/r/90/9/l HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST /r/90/9/l HTTP/1.1 \r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST /r/90 /9/l HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST /r/90/9/l#f HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST /r/90/9/\xc3\xa4 HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST r/90/9/l HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST http://b.test/r/90/9/l HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST * HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "CONNECT api.test:80 HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "P(ST /r/90/9/l HTTP/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST /r/90/9/l HTTP/1.10\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST /r/90/9/l http/1.1\r\n{host}{auth}\r\n{hidden}" },
	{ 400, "POST /r/90/9/l HTTP/1\r\n{host}{auth}\r\n{hidden}" },
	{ 505, "POST /r/90/9/l HTTP/1.2\r\n{host}{auth}\r\n{hidden}" },
	{ 505, "POST /r/90/9/l HTTP/2.0\r\n{host}{auth}\r\n{hidden}" },
	{ 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}" },
	{ 505, "GET /r/90/9/l\r\n{hidden}" },
	/* Who, and what else */
	{ 400, "{post}{auth}\r\n{hidden}" },
	{ 400, "{post}{host}{host}{auth}\r\n{hidden}" },
	{ 400, "{post}Host:\r\n{auth}\r\n{hidden}" },
	{ 400, "{post}Host: a@b\r\n{auth}\r\n{hidden}" },
	{ 400, "{post}Host: a, b\r\n{auth}\r\n{hidden}" },
	{ 400, "{head}{auth}\r\n{hidden}" },
	{ 400, "{head}Authorization: Bearer " OTHER_SECRET "\r\n\r\n{hidden}" },
	{ 400, "{get}{host}Authorization: Bearer " OWN_SECRET ", Bearer x\r\n\r\n{hidden}" },
	{ 400, "{head}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n{hidden}" },
	{ 417, "{head}Content-Length: {size}\r\nExpect: 200-ok\r\n\r\n{hidden}" },
	{ 417, "{head}Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: "
	       "1\r\n\r\n{hidden}" },
	{ 431, "{get}{host}{auth}{long}\r\n{hidden}" },
	{ 431, "{get}{host}{auth}{many}\r\n{hidden}" },
	{ 400, "\x16\x03\x01\x02\x01\x01{hidden}" },
	{ 400, "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n{get}{host}{auth}\r\n{hidden}" },
};

/* Behind the head of an admitted request, whose body turns out to be none. */
static const char *const chunks[] = {
	"{hex}\n{hidden}\r\n0\r\n\r\n",
	"0x{hex}\r\n{hidden}\r\n0\r\n\r\n",
	"+{hex}\r\n{hidden}\r\n0\r\n\r\n",
	" {hex}\r\n{hidden}\r\n0\r\n\r\n",
	"{hex} \r\n{hidden}\r\n0\r\n\r\n",
	"{hex} ;a=b\r\n{hidden}\r\n0\r\n\r\n",
	"-1\r\n{hidden}\r\n0\r\n\r\n",
	"\r\n{hidden}\r\n0\r\n\r\n",
	"{hidden}",
	"1_0\r\n{hidden}\r\n0\r\n\r\n",
	"10000000000000000\r\n{hidden}",
	"00000000000000001\r\nx\r\n0\r\n\r\n{hidden}",
	"3\r\nabc0\r\n\r\n{hidden}",
	"3\r\nabcd\r\n0\r\n\r\n{hidden}",
	"3\r\nabc\n0\r\n\r\n{hidden}",
	"3\r\nabc\r0\r\n\r\n{hidden}",
	"3\r\nabc\r\n\r\n0\r\n\r\n{hidden}",
	"3;a\nb\r\nabc\r\n0\r\n\r\n{hidden}",
	"3;a=\"\r\nabc\r\n0\r\n\r\n{hidden}",
	"3;\x01\r\nabc\r\n0\r\n\r\n{hidden}",
	"0\r\n{hidden}",
	"0\r\nX: y\r\n\r\n{hidden}",
	"0\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}",
	"0\r\nAuthorization: Bearer " OTHER_SECRET "\r\n\r\n{hidden}",
	"0\r\n\n{hidden}",
	"0\n\r\n{hidden}",
	"0\r\r\n{hidden}",
	"0 0\r\n\r\n{hidden}",
};

struct hidden {
	char bytes[512];
	size_t size;
};

/* What the token that begins at text stands for, put; the length of the token, 0: it is none. */
static size_t put_token(struct stream *stream, const char *text, const struct hidden *hidden)
{
	static const struct {
		const char *token, *bytes;
	} plain[] = {
		{ "{post}", "POST /r/90/9/l HTTP/1.1\r\n" },
		{ "{get}", "GET /r/90/9/l HTTP/1.1\r\n" },
		{ "{host}", "Host: api.test\r\n" },
		{ "{auth}", "Authorization: Bearer " OWN_SECRET "\r\n" },
		{ "{head}", "POST /r/90/9/l HTTP/1.1\r\nHost: api.test\r\n"
			    "Authorization: Bearer " OWN_SECRET "\r\n" },
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (!strncmp(text, plain[i].token, strlen(plain[i].token))) {
			put(stream, "%s", plain[i].bytes);
			return strlen(plain[i].token);
		}
	if (!strncmp(text, "{hidden}", 8)) {
		put_bytes(stream, hidden->bytes, hidden->size);
		return 8;
	}
	if (!strncmp(text, "{size}", 6)) {
		put(stream, "%zu", hidden->size);
		return 6;
	}
	if (!strncmp(text, "{hex}", 5)) {
		put(stream, "%zx", hidden->size);
		return 5;
	}
	if (!strncmp(text, "{long}", 6)) {
		put(stream, "X: %0*d\r\n", 17000, 0);
		return 6;
	}
	if (strncmp(text, "{many}", 6))
		return 0;
	for (int i = 0; i < 100; i++)
		put(stream, "X-%d: y\r\n", i);
	return 6;
}

static void put_pattern(struct stream *stream, const char *pattern, const struct hidden *hidden)
{
	while (*pattern) {
		size_t token = *pattern == '{' ? put_token(stream, pattern, hidden) : 0;

		if (!token)
			put_bytes(stream, pattern, 1);
		pattern += token ? token : 1;
	}
}

void put_refused(struct stream *stream, struct mutator *mutator)
{
	struct expected *expected = &stream->expected[stream->expected_count];
	struct hidden hidden;

	hidden.size = hidden_request(mutator, hidden.bytes, sizeof(hidden.bytes));
	stream->marks[stream->mark_count++] = (struct mark){ stream->size, stream->expected_count };
	*expected = (struct expected){ .status = 400 };
	stream->ends = true;
	if (chance(mutator, 3)) {
		/* The application may have answered by then, or not; the gate may only close. */
		stream->loose = true;
		put(stream,
		    "POST /r/%zu/9/l HTTP/1.1\r\nHost: api.test\r\nAuthorization: "
		    "Bearer " OWN_SECRET "\r\nTransfer-Encoding: chunked\r\n\r\n",
		    stream->expected_count);
		put_pattern(stream, pick(mutator, chunks), &hidden);
		stream->expected_count++;
	} else {
		const struct refused *refused = &pick(mutator, refusals);

		expected->status = refused->status;
		put_pattern(stream, refused->bytes, &hidden);
		stream->expected_count++;
	}
	if (chance(mutator, 3))
		put(stream, "GET /hidden HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " OTHER_SECRET
			    "\r\n\r\n");
}
