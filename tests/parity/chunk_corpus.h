/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Chunked bodies and what is to become of them, one row of the contract's cases after the other.
 *
 * The verdict falls with the last byte of each: CHUNK_END, CHUNK_BAD, or CHUNK_MORE where the body
 * is not whole.
 */
#ifndef SLUICE_CHUNK_CORPUS_H
#define SLUICE_CHUNK_CORPUS_H

#include <stddef.h>

#include "chunk.h"

struct chunk_case {
	const char *row;
	enum chunk_event verdict;
	bool trailers; /* the setting */
	const char *bytes;
	size_t size;
};

#define CHUNKS(text) text, sizeof(text) - 1
#define LAST	     "0\r\n\r\n"
#define TEN(text)    text text text text text text text text text text
#define CHUNK_243    TEN(TEN("ab")) TEN("cdef") "ghi"

#define ROW_SIZE     "a chunk's size is 1 to 16 hex digits and nothing else"
#define ROW_SIZE_MAX "a chunk's size is at most 2^63-1"
#define ROW_LINE_END "a line of chunked framing ends with CRLF"
#define ROW_DATA     "a chunk's data is as long as its size says, and one CRLF follows"
#define ROW_LAST     "leading zeros and either case pass, and any zero is the last chunk"
#define ROW_EXTENDED "an extension that follows the grammar passes"
#define ROW_UNQUOTED "control bytes and unbalanced quotes in an extension are bad"
#define ROW_BLANK    "white space in and around extensions is bad"
#define ROW_LONG     "extensions of one chunk are 256 bytes at most"
#define ROW_NO_FIELD "trailers are bad where they are not set to pass"
#define ROW_TRAILER  "trailers that may follow a body pass where they are set to"
#define ROW_BARRED   "trailers that frame, route, modify, authenticate or identify are bad"
#define ROW_STRICT   "trailers are read as strictly as the fields of a head"

/* clang-format off: a case a line */
static const struct chunk_case chunk_corpus[] = {
	{ ROW_SIZE, CHUNK_END, false, CHUNKS(LAST) },
	{ ROW_SIZE, CHUNK_END, false, CHUNKS("5\r\nhello\r\n" LAST) },
	{ ROW_SIZE, CHUNK_END, false, CHUNKS("10\r\n0123456789abcdef\r\n1\r\n\n\r\n" LAST) },
	{ ROW_SIZE, CHUNK_END, false, CHUNKS("5\r\n0\r\n\r\n\r\n" LAST) },
	{ ROW_SIZE, CHUNK_END, false, CHUNKS("0000000000000001\r\nx\r\n0000000000000000\r\n\r\n") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("00000000000000001") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("00000000000000000") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("0x") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("0X") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("x") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("+") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("-") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("1_") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("_") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS(" ") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("\t") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("5 ") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("5\t") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("5\x0b") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("5\0") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("0 ") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("\r") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("\n") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS(";") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("1\r\nx\r\n\r") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("1\r\nx\r\n;") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("g") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("5g") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("5h") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("5,") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("5.") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("@") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("/") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS(":") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("`") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("\xff") },
	{ ROW_SIZE, CHUNK_BAD, false, CHUNKS("\xb1") },
	{ ROW_SIZE, CHUNK_MORE, false, CHUNKS("") },
	{ ROW_SIZE, CHUNK_MORE, false, CHUNKS("5\r\nhell") },
	{ ROW_SIZE_MAX, CHUNK_MORE, false, CHUNKS("7fffffffffffffff\r\nx") },
	{ ROW_SIZE_MAX, CHUNK_BAD, false, CHUNKS("8000000000000000") },
	{ ROW_SIZE_MAX, CHUNK_BAD, false, CHUNKS("ffffffffffffffff") },
	{ ROW_SIZE_MAX, CHUNK_BAD, false, CHUNKS("10000000000000000") },
	{ ROW_SIZE_MAX, CHUNK_BAD, false, CHUNKS("10000000000000005") },

	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5\n") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5\rh") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5\r\r") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5\r0") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5;a\n") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5;a=b\n") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5;a\r0") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5\r\nhello\n") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5\r\nhello\r0") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("5\r\nhello\r\r") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("0\n") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("0\r\n\n") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("0\r\n\rG") },
	{ ROW_LINE_END, CHUNK_BAD, false, CHUNKS("0\r\n\r\r") },
	{ ROW_LINE_END, CHUNK_BAD, true, CHUNKS("0\r\n\n") },
	{ ROW_LINE_END, CHUNK_BAD, true, CHUNKS("0\r\nX: y\n") },
	{ ROW_LINE_END, CHUNK_BAD, true, CHUNKS("0\r\nX: y\rZ") },
	{ ROW_LINE_END, CHUNK_BAD, true, CHUNKS("0\r\nX: y\r\n\n") },
	{ ROW_LINE_END, CHUNK_BAD, true, CHUNKS("0\r\nX: y\r\n\rG") },

	{ ROW_DATA, CHUNK_BAD, false, CHUNKS("4\r\nhello") },
	{ ROW_DATA, CHUNK_BAD, false, CHUNKS("6\r\nhello\r\n") },
	{ ROW_DATA, CHUNK_BAD, false, CHUNKS("7\r\nhello\r\n0") },
	{ ROW_DATA, CHUNK_BAD, false, CHUNKS("5\r\nhello0") },
	{ ROW_DATA, CHUNK_BAD, false, CHUNKS("5\r\nhello\r\n\r") },
	{ ROW_DATA, CHUNK_BAD, false, CHUNKS("5\r\nhello\r\n\n") },
	{ ROW_DATA, CHUNK_BAD, false, CHUNKS("\r") },
	{ ROW_DATA, CHUNK_BAD, false, CHUNKS("1\r\n\r\n") },

	{ ROW_LAST, CHUNK_END, false, CHUNKS("000\r\n\r\n") },
	{ ROW_LAST, CHUNK_END, false, CHUNKS("00A\r\n0123456789\r\n" LAST) },
	{ ROW_LAST, CHUNK_END, false, CHUNKS("a\r\n0123456789\r\nB\r\n0123456789a\r\n" LAST) },
	{ ROW_LAST, CHUNK_END, false, CHUNKS("000;a\r\n\r\n") },

	{ ROW_EXTENDED, CHUNK_END, false, CHUNKS("1;a\r\nx\r\n0;b\r\n\r\n") },
	{ ROW_EXTENDED, CHUNK_END, false, CHUNKS("1;a=b\r\nx\r\n" LAST) },
	{ ROW_EXTENDED, CHUNK_END, false, CHUNKS("1;a=b;c;d=\"e\";f\r\nx\r\n" LAST) },
	{ ROW_EXTENDED, CHUNK_END, false, CHUNKS("1;a=\"\"\r\nx\r\n" LAST) },
	{ ROW_EXTENDED, CHUNK_END, false, CHUNKS("1;a=\"b c\t;=,\x80\xff\"\r\nx\r\n" LAST) },
	{ ROW_EXTENDED, CHUNK_END, false, CHUNKS("1;a=\"\\\"\\\\\\ \\;\"\r\nx\r\n" LAST) },
	{ ROW_EXTENDED, CHUNK_END, false,
	  CHUNKS("1;!#$%&'*+-.^_`|~09azAZ=!#$%&'*+-.^_`|~\r\nx\r\n" LAST) },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;;") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;\r") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;a;\r") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;=") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;a=\r") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;a=;") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;a==") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;a=b=") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;a,") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;a\xff") },
	{ ROW_EXTENDED, CHUNK_BAD, false, CHUNKS("1;a=\xff") },

	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a\0") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=b\x01") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"\0") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"\x7f") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"\r") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"\n") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"\\\r") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"\\\n") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"\\\0") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"b\\\"\r") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;\"") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a\"") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=b\"") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"b\"c") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"b\"\"") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a=\"b\"=") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a='b\"") },
	{ ROW_UNQUOTED, CHUNK_BAD, false, CHUNKS("1;a\\") },

	{ ROW_BLANK, CHUNK_BAD, false, CHUNKS("1 ") },
	{ ROW_BLANK, CHUNK_BAD, false, CHUNKS("1; ") },
	{ ROW_BLANK, CHUNK_BAD, false, CHUNKS("1;\t") },
	{ ROW_BLANK, CHUNK_BAD, false, CHUNKS("1;a ") },
	{ ROW_BLANK, CHUNK_BAD, false, CHUNKS("1;a= ") },
	{ ROW_BLANK, CHUNK_BAD, false, CHUNKS("1;a=b ") },
	{ ROW_BLANK, CHUNK_BAD, false, CHUNKS("1;a=\"b\" ") },
	{ ROW_BLANK, CHUNK_BAD, false, CHUNKS("1;a=\"b\"\t") },

	{ ROW_LONG, CHUNK_END, false, CHUNKS("1;a=\"" CHUNK_243 "bcdefghi\"\r\nx\r\n" LAST) },
	{ ROW_LONG, CHUNK_END, false,
	  CHUNKS("1;" CHUNK_243 "abcdefghijkl\r\nx\r\n1;" CHUNK_243
		 "abcdefghijkl\r\nx\r\n0;" CHUNK_243 "abcdefghijkl\r\n\r\n") },
	{ ROW_LONG, CHUNK_BAD, false, CHUNKS("1;" CHUNK_243 "abcdefghijklm") },
	{ ROW_LONG, CHUNK_BAD, false, CHUNKS("1;" CHUNK_243 "abcdefghij;k;") },
	{ ROW_LONG, CHUNK_BAD, false, CHUNKS("0;a=\"" CHUNK_243 "bcdefghij\"") },

	{ ROW_NO_FIELD, CHUNK_BAD, false, CHUNKS("0\r\nX") },
	{ ROW_NO_FIELD, CHUNK_BAD, false, CHUNKS("1\r\nx\r\n0\r\nA") },
	{ ROW_NO_FIELD, CHUNK_BAD, false, CHUNKS("0\r\n ") },
	{ ROW_NO_FIELD, CHUNK_BAD, false, CHUNKS("0\r\n0") },

	{ ROW_TRAILER, CHUNK_END, true, CHUNKS(LAST) },
	{ ROW_TRAILER, CHUNK_END, true, CHUNKS("1\r\nx\r\n0\r\nX: y\r\n\r\n") },
	{ ROW_TRAILER, CHUNK_END, true,
	  CHUNKS("0\r\nX:\r\nExpires: \x80\xff\t \r\nETag: \"a\"\r\n\r\n") },
	{ ROW_TRAILER, CHUNK_END, true,
	  CHUNKS("0\r\nDigest: a\r\nServer-Timing: a\r\nX-Checksum_1: b\r\n\r\n") },
	{ ROW_TRAILER, CHUNK_END, true,
	  CHUNKS("0\r\nContent: a\r\nX-If-Match: b\r\nHostname: c\r\nIf: d\r\n\r\n") },
	{ ROW_TRAILER, CHUNK_END, true,
	  CHUNKS("0\r\nX-Authorization: a\r\nX-Key-Ids: b\r\nTea: c\r\n\r\n") },
	{ ROW_TRAILER, CHUNK_MORE, true, CHUNKS("0\r\nX: y\r\n") },

	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nContent-Length:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\ncontent_length:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nContent-Type:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nContent-Encoding:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nContent.Range:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nContent-:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nTransfer-Encoding:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nTRANSFER_ENCODING:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nTrailer:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nTE:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nConnection:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nKeep-Alive:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nProxy-Connection:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nProxy-Authorization:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nUpgrade:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nHTTP2-Settings:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nHost:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nVia:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nForwarded:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nX-Forwarded-For:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nX_Forwarded_Host:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nCache-Control:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nExpect:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nMax-Forwards:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nPragma:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nRange:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nIf-Match:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nif_modified_since:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nAuthorization:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nX: y\r\nauthorization:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nWWW-Authenticate:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nCookie:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nSet-Cookie:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nX-Key-Id:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nx_key_id:") },
	{ ROW_BARRED, CHUNK_BAD, true, CHUNKS("0\r\nX.Key~Id:") },

	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\n ") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\nX: y\r\n ") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\nX: y\r\n\t") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\n:") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\nX ") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\nX\r") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\nX\x80") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\nX: \0") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\nX: \x7f") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\nX: a\x0b") },
	{ ROW_STRICT, CHUNK_BAD, true, CHUNKS("0\r\n\"") },
};
/* clang-format on */

#define CHUNK_CORPUS_SIZE (sizeof(chunk_corpus) / sizeof(*chunk_corpus))

#endif
