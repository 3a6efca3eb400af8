/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parser of chunked bodies must find, said once more and plainly: the oracle of fuzz_chunk. */
#ifndef SLUICE_CHUNK_ORACLE_H
#define SLUICE_CHUNK_ORACLE_H

#include <ctype.h>

#include "chunk.h"
#include "fuzz.h"

struct oracle_chunks {
	enum chunk_event verdict;
	size_t length; /* of the body, with CHUNK_END */
	size_t data;   /* bytes of it that are data */
};

static inline uint64_t oracle_size(struct reader *in)
{
	char digits[CHUNK_DIGITS_MAX + 1] = "";
	uint64_t size;

	for (int i = 0; isxdigit(reader_peek(in)); i++) {
		reader_need(in, i < CHUNK_DIGITS_MAX);
		digits[i] = reader_take(in);
	}
	reader_need(in, *digits);
	size = strtoull(digits, NULL, 16);
	reader_need(in, size <= INT64_MAX);
	return size;
}

static inline void oracle_quoted(struct reader *in)
{
	for (;;) {
		uint8_t byte = reader_take(in);

		if (byte == '"')
			return;
		if (byte == '\\')
			byte = reader_take(in);
		reader_need(in, is_value_byte(byte));
	}
}

static inline void oracle_extensions(struct reader *in)
{
	size_t from = in->at;

	while (reader_peek(in) == ';') {
		in->at++;
		reader_need(in, reader_while(in, is_tchar).length);
		if (reader_peek(in) != '=')
			continue;
		in->at++;
		if (reader_peek(in) != '"') {
			reader_need(in, reader_while(in, is_tchar).length);
			continue;
		}
		in->at++;
		oracle_quoted(in);
	}
	reader_need(in, in->at - from <= CHUNK_EXTENSION_MAX);
}

/* A name in capitals, with '_' for what is neither letter nor digit, as CGI has it. */
static inline bool oracle_is_barred(struct piece name)
{
	static const char *const names[] = {
		"HOST",
		"TE",
		"TRANSFER_ENCODING",
		"TRAILER",
		"CONNECTION",
		"KEEP_ALIVE",
		"UPGRADE",
		"HTTP2_SETTINGS",
		"VIA",
		"FORWARDED",
		"CACHE_CONTROL",
		"EXPECT",
		"MAX_FORWARDS",
		"PRAGMA",
		"RANGE",
		"AUTHORIZATION",
		"WWW_AUTHENTICATE",
		"COOKIE",
		"SET_COOKIE",
		"X_KEY_ID",
	};
	static const char *const starts[] = { "CONTENT_", "IF_", "PROXY_", "X_FORWAR" };
	char text[64] = "";

	for (size_t i = 0; i < name.length && i < sizeof(text) - 1; i++)
		text[i] = is_alnum(name.text[i]) ? toupper(name.text[i]) : '_';
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(text, names[i]))
			return true;
	}
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		if (!strncmp(text, starts[i], strlen(starts[i])))
			return true;
	}
	return false;
}

static inline void oracle_trailers(struct reader *in, bool trailers)
{
	size_t from = in->at;

	for (int fields = 0; reader_peek(in) != '\r'; fields++) {
		struct piece name, value;

		reader_need(in, trailers && fields < CHUNK_FIELDS_MAX);
		name = reader_while(in, is_tchar);
		reader_need(in, name.length && !oracle_is_barred(name));
		reader_expect(in, ":");
		value = reader_until(in, '\r');
		reader_need(in, piece_is_all(value, is_value_byte));
		reader_expect(in, "\r\n");
		reader_need(in, in->at - from <= CHUNK_TRAILERS_MAX);
	}
	reader_expect(in, "\r\n");
}

static inline void oracle_body(struct reader *in, bool trailers, struct oracle_chunks *chunks)
{
	for (;;) {
		uint64_t size = oracle_size(in);

		oracle_extensions(in);
		reader_expect(in, "\r\n");
		if (!size)
			break;
		if (size > in->size - in->at)
			reader_stop(in, in->at_end);
		in->at += size;
		chunks->data += size;
		reader_expect(in, "\r\n");
	}
	oracle_trailers(in, trailers);
	reader_stop(in, CHUNK_END);
}

static inline void oracle_read_chunks(const uint8_t *bytes, size_t size, bool trailers,
				      struct oracle_chunks *ret_chunks)
{
	/* No verdict may be 0, and CHUNK_MORE is: CHUNK_SKIP, which is none, stands for it. */
	struct reader in = { .bytes = bytes,
			     .size = size,
			     .limit = SIZE_MAX,
			     .at_end = CHUNK_SKIP,
			     .at_limit = CHUNK_BAD,
			     .bad = CHUNK_BAD };
	int stopped;

	memset(ret_chunks, 0, sizeof(*ret_chunks));
	stopped = setjmp(in.out);
	if (!stopped)
		oracle_body(&in, trailers, ret_chunks);
	ret_chunks->verdict = stopped == CHUNK_SKIP ? CHUNK_MORE : stopped;
	ret_chunks->length = in.at;
}

#endif
