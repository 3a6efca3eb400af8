/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Cases: chunked bodies, RFC 9112 7.1. */
#include "cases.h"

#define HELLO "5\r\nhello\r\n"
#define LAST  "0\r\n\r\n"

/* A body that passes as hello, with a request behind it. */
#define CHUNKS(name, chunks)                                                                       \
	ROW(name, "200 200", "POST /a hello" THEN "GET /b", STAYS,                                 \
	    POST("/a", CHUNKED) chunks GET("/b"))

/* A body that turns bad: whatever follows, it is not executed. */
#define BROKEN(name, chunks)                                                                       \
	{                                                                                          \
		name, TEXT(POST("/a", CHUNKED) chunks GET("/b")), "", "", BREAKS, 1, NULL          \
	}

static const struct row cases_chunked[] = {
	CHUNKS("one chunk", HELLO LAST),
	CHUNKS("five chunks", "1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n" LAST),
	CHUNKS("leading zeros", "0005\r\nhello\r\n" LAST),
	CHUNKS("sixteen digits", "0000000000000005\r\nhello\r\n" LAST),
	CHUNKS("a last chunk of three zeros", HELLO "000\r\n\r\n"),
	CHUNKS("a last chunk of sixteen zeros", HELLO "0000000000000000\r\n\r\n"),
	CHUNKS("extensions", "5;a\r\nhello\r\n0;a=b;c=\"d\"\r\n\r\n"),
	CHUNKS("an extension with quoted CR-less text",
	       "5;a=\"0;\\\"\\\\ GET /b HTTP/1.1\"\r\nhello\r\n" LAST),
	ROW("digits of either case", "200 200",
	    "POST /a 01234567890123456789012345678901" THEN "GET /b", STAYS,
	    POST("/a", CHUNKED) "a\r\n0123456789\r\nA\r\n0123456789\r\n0c\r\n012345678901\r\n" LAST
		    GET("/b")),
	ROW("no data at all", "200 200", "POST /a" THEN "GET /b", STAYS,
	    POST("/a", CHUNKED) LAST GET("/b")),
	ROW("data that look like the end and a request", "200 200",
	    "POST /a \r\n0\r\n\r\n" SMUGGLED THEN "GET /b", STAYS,
	    POST("/a", CHUNKED) "7\r\n\r\n0\r\n\r\n\r\n76\r\n" SMUGGLED "\r\n" LAST GET("/b")),
	ROW("two chunked bodies", "200 200", "POST /a hello" THEN "PUT /b hello", STAYS,
	    POST("/a", CHUNKED) HELLO LAST HEAD("PUT /b", GOOD CHUNKED) HELLO LAST),
	ROW("a refused chunked body", "401 200", "GET /b", STAYS,
	    HEAD("POST /a", OTHER CHUNKED) HELLO "76;a=b\r\n" SMUGGLED "\r\n" LAST GET("/b")),
	ROW("a chunked body with a used-up key", "429 200", "GET /b", STAYS,
	    HEAD("POST /a", USED CHUNKED) HELLO "76\r\n" SMUGGLED "\r\n" LAST GET("/b")),
	ROW("a refused chunked body without data", "401 200", "GET /b", STAYS,
	    HEAD("POST /a", CHUNKED) LAST GET("/b")),
	ROW("a refused chunked body and close", "401", "", ENDS,
	    HEAD("POST /a", OTHER CHUNKED "Connection: close\r\n") HELLO LAST GET("/b")),

	BROKEN("0x before the size", "0x5\r\nhello\r\n" LAST),
	BROKEN("a plus sign", "+5\r\nhello\r\n" LAST),
	BROKEN("a minus sign", "-5\r\nhello\r\n" LAST),
	BROKEN("an underscore", "0_5\r\nhello\r\n" LAST),
	BROKEN("a space before the size", " 5\r\nhello\r\n" LAST),
	BROKEN("a tab before the size", "\t5\r\nhello\r\n" LAST),
	BROKEN("a space behind the size", "5 \r\nhello\r\n" LAST),
	BROKEN("a tab behind the size", "5\t\r\nhello\r\n" LAST),
	BROKEN("a space before the semicolon", "5 ;a\r\nhello\r\n" LAST),
	BROKEN("a tab before the semicolon", "5\t;a\r\nhello\r\n" LAST),
	BROKEN("a space behind the last size", HELLO "0 \r\n\r\n"),
	BROKEN("no size", "\r\nhello\r\n" LAST),
	BROKEN("no size, but an extension", ";a\r\nhello\r\n" LAST),
	BROKEN("a size that is no digit", "g\r\nhello\r\n" LAST),
	BROKEN("a digit that is none, behind one that is", "5g\r\nhello\r\n" LAST),
	BROKEN("a comma", "5,5\r\nhello\r\n" LAST),
	BROKEN("a NUL behind the size", "5\0\r\nhello\r\n" LAST),
	BROKEN("a byte from 0x80", "5\x85\r\nhello\r\n" LAST),
	BROKEN("seventeen digits", "00000000000000005\r\nhello\r\n" LAST),
	BROKEN("seventeen digits that overflow", "10000000000000005\r\nhello\r\n" LAST),
	BROKEN("seventeen zeros for the last chunk", HELLO "00000000000000000\r\n\r\n"),

	BROKEN("LF behind the size", "5\nhello\r\n" LAST),
	BROKEN("CR behind the size", "5\rhello\r\n" LAST),
	BROKEN("CR CR LF behind the size", "5\r\r\nhello\r\n" LAST),
	BROKEN("LF behind the data", "5\r\nhello\n" LAST),
	BROKEN("CR behind the data", "5\r\nhello\r" LAST),
	BROKEN("LF CR behind the data", "5\r\nhello\n\r" LAST),
	BROKEN("nothing behind the data", "5\r\nhello" LAST),
	BROKEN("data longer than the size", "5\r\nhello!\r\n" LAST),
	BROKEN("data shorter than the size", "5\r\nhell\r\n" LAST),
	BROKEN("data shorter by CRLF and a chunk", "7\r\nhello\r\n" LAST),
	BROKEN("CRLF between two chunks", HELLO "\r\n" LAST),
	BROKEN("CRLF before the first chunk", "\r\n" HELLO LAST),
	BROKEN("LF behind the last chunk's size", HELLO "0\n\r\n"),
	BROKEN("LF for the last line", HELLO "0\r\n\n"),
	BROKEN("CR for the last line", HELLO "0\r\n\r"),
	BROKEN("no last line", HELLO "0\r\n"),

	BROKEN("a control byte in an extension", "5;a\x01\r\nhello\r\n" LAST),
	BROKEN("a LF in an extension", "5;a\nhello\r\n" LAST),
	BROKEN("a CR in an extension", "5;a\rb\r\nhello\r\n" LAST),
	BROKEN("a NUL in an extension", "5;a=\"\0\"\r\nhello\r\n" LAST),
	BROKEN("a DEL in an extension", "5;a=\"\x7f\"\r\nhello\r\n" LAST),
	BROKEN("a quote that is not closed", "5;a=\"b\r\nhello\r\n" LAST),
	BROKEN("a quote that an escape keeps open", "5;a=\"b\\\"\r\nhello\r\n" LAST),
	BROKEN("a LF within quotes", "5;a=\"\n\"\r\nhello\r\n" LAST),
	BROKEN("a CRLF within quotes", "5;a=\"\r\n\"\r\nhello\r\n" LAST),
	BROKEN("an extension without a name", "5;\r\nhello\r\n" LAST),
	BROKEN("an extension with a value alone", "5;=b\r\nhello\r\n" LAST),
	BROKEN("an extension that is no token", "5;a(b\r\nhello\r\n" LAST),
	BROKEN("an extension in the last chunk that is no token", HELLO "0;a(b\r\n\r\n"),

	BROKEN("a trailer", HELLO "0\r\nX: y\r\n\r\n"),
	BROKEN("a trailer with a key", HELLO "0\r\n" GOOD "\r\n"),
	BROKEN("a trailer that frames", HELLO "0\r\n" SMUGGLED_LENGTH "\r\n" SMUGGLED),
	BROKEN("a trailer line of LF", HELLO "0\r\nX: y\n\r\n"),
	{ "a refused body that turns bad",
	  TEXT(HEAD("POST /a", OTHER CHUNKED) "5\r\nhello!\r\n" LAST GET("/b")), "", "", BREAKS, 0,
	  NULL },
	{ "a refused body with a trailer",
	  TEXT(HEAD("POST /a", OTHER CHUNKED) HELLO "0\r\nX: y\r\n\r\n" GET("/b")), "", "", BREAKS,
	  0, NULL },
	{ "a body that turns bad behind a good request",
	  TEXT(GET("/0") POST("/a", CHUNKED) "5\nhello\r\n" LAST GET("/b")), "200", "GET /0",
	  BREAKS, 1, NULL },
	{ "a chunk of 2^63 - 1 bytes", TEXT(POST("/a", CHUNKED) "7fffffffffffffff\r\n" SMUGGLED),
	  "", "", HALF, 1, NULL },
	{ "the end of input in a chunk's size", TEXT(POST("/a", CHUNKED) "5"), "", "", HALF, 1,
	  NULL },
	{ "the end of input in a chunk's data", TEXT(POST("/a", CHUNKED) "5\r\nhe"), "", "", HALF,
	  1, NULL },
	{ "the end of input behind a chunk", TEXT(POST("/a", CHUNKED) HELLO), "", "", HALF, 1,
	  NULL },
	{ "the end of input before the last LF", TEXT(POST("/a", CHUNKED) HELLO "0\r\n\r"), "", "",
	  HALF, 1, NULL },
};
