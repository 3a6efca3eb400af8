// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rows of the table of cases that are too long to be written down. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases_made.h"
#include "harness.h"

#define HEAD_LIMIT     16384
#define FIELDS_MAX     100
#define EXTENSION_MAX  256
#define CREDENTIAL_MAX 512
#define MEBIBYTE       (1024 * 1024)

/* What the row being made sends, and what of it is to be executed. */
static FILE *sent, *executed;
static char *sent_bytes, *executed_text;
static size_t sent_size, executed_size;

static void begin(void)
{
	sent = open_memstream(&sent_bytes, &sent_size);
	executed = open_memstream(&executed_text, &executed_size);
	assert_true(sent && executed);
}

static void end(struct rows *rows, const char *name, const char *answers, enum after after)
{
	fclose(sent);
	fclose(executed);
	rows_add(rows, &(struct row){ .name = name,
				      .bytes = sent_bytes,
				      .size = sent_size,
				      .answers = answers,
				      .executed = executed_text,
				      .after = after });
	free(sent_bytes);
	free(executed_text);
}

static void put_many(FILE *out, char byte, size_t count)
{
	while (count--)
		putc(byte, out);
}

/* So many bytes that look like requests, should anything ever take them for some. */
static void put_filler(FILE *out, size_t size)
{
	static const char filler[] = GET("/smuggled");

	for (size_t i = 0; i < size; i++)
		putc(filler[i % (sizeof(filler) - 1)], out);
}

/* --- lines and fields ------------------------------------------------------------------------------ */

/* A head of exactly so many bytes; key is its Authorization line, or nothing. */
static void put_head(size_t size, const char *key)
{
	size_t before = strlen("GET /a HTTP/1.1\r\n" HOST "X: ") + strlen("\r\n\r\n") + strlen(key);

	fputs("GET /a HTTP/1.1\r\n" HOST "X: ", sent);
	put_many(sent, 'x', size - before);
	fprintf(sent, "\r\n%s\r\n", key);
}

static void put_fields(unsigned int count)
{
	/* Host and Authorization are two of them. */
	fputs("GET /a HTTP/1.1\r\n" HOST, sent);
	for (unsigned int i = 2; i < count; i++)
		fprintf(sent, "X-%u: y\r\n", i);
	fputs(GOOD "\r\n", sent);
}

static void add_lines(struct rows *rows)
{
	begin();
	put_head(HEAD_LIMIT, GOOD);
	fputs("GET /a", executed);
	end(rows, "a head of 16 KiB", "200", STAYS);
	begin();
	fputs("\r\n", sent);
	put_head(HEAD_LIMIT, GOOD);
	fputs(GET("/b"), sent);
	fputs("GET /a" THEN "GET /b", executed);
	end(rows, "a head of 16 KiB behind an empty line", "200 200", STAYS);
	begin();
	put_head(HEAD_LIMIT, "");
	end(rows, "a head of 16 KiB without a key", "401", STAYS);
	begin();
	put_head(HEAD_LIMIT + 1, GOOD);
	fputs(GET("/b"), sent);
	end(rows, "a head of 16 KiB and a byte", "431", ENDS);
	begin();
	put_head(HEAD_LIMIT + 1, "");
	end(rows, "a head of 16 KiB and a byte without a key", "431", ENDS);
	begin();
	fputs(GET("/a"), sent);
	put_head(HEAD_LIMIT + 1, GOOD);
	fputs("GET /a", executed);
	end(rows, "a head of 16 KiB and a byte behind a good request", "200 431", ENDS);
	begin();
	fputs("GET /", sent);
	put_many(sent, 'a', 4 * HEAD_LIMIT);
	end(rows, "64 KiB of a target", "431", ENDS);
	begin();
	put_fields(FIELDS_MAX);
	fputs("GET /a", executed);
	end(rows, "100 fields", "200", STAYS);
	begin();
	put_fields(FIELDS_MAX + 1);
	fputs(GET("/b"), sent);
	end(rows, "101 fields", "431", ENDS);
	begin();
	fputs("GET /a HTTP/1.1\r\n" HOST GOOD, sent);
	put_many(sent, 'n', 8000);
	fputs(": a\r\n\r\n", sent);
	fputs("GET /a", executed);
	end(rows, "a name of 8,000 bytes", "200", STAYS);
}

/* --- the request line ------------------------------------------------------------------------------ */

static void add_request_lines(struct rows *rows)
{
	begin();
	fputs("GET /", sent);
	put_many(sent, 'a', 8000);
	fputs(" HTTP/1.1\r\n" HOST GOOD "\r\n", sent);
	fputs("GET /", executed);
	put_many(executed, 'a', 8000);
	end(rows, "a target of 8,000 bytes", "200", STAYS);
	begin();
	put_many(sent, 'M', 60);
	fputs(" /a HTTP/1.1\r\n" HOST GOOD "\r\n", sent);
	put_many(executed, 'M', 60);
	fputs(" /a", executed);
	end(rows, "a method of 60 bytes", "200", STAYS);
	begin();
	fputs("GET http://", sent);
	put_many(sent, 'h', 120);
	fputs("/a HTTP/1.1\r\nHost: ", sent);
	put_many(sent, 'H', 120);
	fputs("\r\n" GOOD "\r\n", sent);
	fputs("GET http://", executed);
	put_many(executed, 'h', 120);
	fputs("/a", executed);
	end(rows, "absolute-form of an authority of 120 bytes", "200", STAYS);
	begin();
	fputs("GET http://", sent);
	put_many(sent, 'h', 120);
	fputs("/a HTTP/1.1\r\nHost: ", sent);
	put_many(sent, 'h', 119);
	fputs("i\r\n" GOOD "\r\n", sent);
	end(rows, "absolute-form of another authority, the last of 120 bytes", "400", ENDS);
}

/* --- bodies ------------------------------------------------------------------------------------------- */

static void put_body(const char *key, size_t size)
{
	fprintf(sent, "POST /a HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n", key, size);
	put_filler(sent, size);
}

static void add_bodies(struct rows *rows)
{
	begin();
	put_body(GOOD, 100000);
	fputs(GET("/b"), sent);
	fputs("POST /a ", executed);
	put_filler(executed, 100000);
	fputs(THEN "GET /b", executed);
	end(rows, "a body of 100,000 bytes", "200 200", STAYS);
	begin();
	put_body(GOOD, MEBIBYTE);
	fputs(HEAD("GET /b", OTHER), sent);
	fputs("POST /a ", executed);
	put_filler(executed, MEBIBYTE);
	end(rows, "a body of 1 MiB", "200 401", STAYS);
	begin();
	put_body(OTHER, MEBIBYTE);
	fputs(GET("/b"), sent);
	fputs("GET /b", executed);
	end(rows, "a refused body of 1 MiB", "401 200", STAYS);
	begin();
	put_body(USED, 100000);
	fputs(GET("/b"), sent);
	fputs("GET /b", executed);
	end(rows, "a body of 100,000 bytes with a used-up key", "429 200", STAYS);
	begin();
	put_body(OTHER, 2 * MEBIBYTE);
	fputs(GET("/b"), sent);
	end(rows, "a refused body of 2 MiB", "401", ENDS);
}

/* A chunked body of so many chunks, each of so many bytes. */
static void put_chunks(const char *key, size_t count, size_t size)
{
	fprintf(sent, "POST /a HTTP/1.1\r\n" HOST CHUNKED "%s\r\n", key);
	for (size_t i = 0; i < count; i++) {
		fprintf(sent, "%zx\r\n", size);
		put_filler(sent, size);
		fputs("\r\n", sent);
	}
	fputs("0\r\n\r\n", sent);
}

static void add_chunked(struct rows *rows, const char *name, size_t count, size_t size)
{
	begin();
	put_chunks(GOOD, count, size);
	fputs(GET("/b"), sent);
	fputs("POST /a ", executed);
	for (size_t i = 0; i < count; i++)
		put_filler(executed, size);
	fputs(THEN "GET /b", executed);
	end(rows, name, "200 200", STAYS);
}

static void add_extension(struct rows *rows, const char *name, size_t size, bool passes)
{
	begin();
	fputs(POST("/a", CHUNKED) "5;", sent);
	put_many(sent, 'e', size);
	fputs("\r\nhello\r\n0\r\n\r\n" GET("/b"), sent);
	if (passes)
		fputs("POST /a hello" THEN "GET /b", executed);
	end(rows, name, passes ? "200 200" : "", passes ? STAYS : BREAKS);
	rows->rows[rows->count - 1].unfinished = !passes;
}

static void add_chunked_bodies(struct rows *rows)
{
	add_chunked(rows, "a thousand chunks of one byte", 1000, 1);
	add_chunked(rows, "a hundred chunks of 999 bytes", 100, 999);
	add_chunked(rows, "a chunk of 1 MiB", 1, MEBIBYTE);
	add_extension(rows, "an extension of 250 bytes", EXTENSION_MAX - 6, true);
	add_extension(rows, "an extension of 260 bytes", EXTENSION_MAX + 4, false);
	add_extension(rows, "an extension of 20,000 bytes", 20000, false);
	begin();
	put_chunks(OTHER, 500, 500);
	fputs(GET("/b"), sent);
	fputs("GET /b", executed);
	end(rows, "a refused body of 500 chunks", "401 200", STAYS);
	begin();
	put_chunks(OTHER, 2, MEBIBYTE);
	fputs(GET("/b"), sent);
	end(rows, "a refused chunked body of 2 MiB", "401", ENDS);
}

/* --- authorization ---------------------------------------------------------------------------------- */

static void add_credential(struct rows *rows, const char *name, size_t size)
{
	begin();
	fputs("GET /a HTTP/1.1\r\n" HOST BEARER, sent);
	put_many(sent, 'k', size);
	fputs("\r\n\r\n" GET("/b"), sent);
	fputs("GET /b", executed);
	end(rows, name, "401 200", STAYS);
}

static void add_authorizations(struct rows *rows)
{
	add_credential(rows, "a credential of 512 bytes", CREDENTIAL_MAX);
	add_credential(rows, "a credential of 513 bytes", CREDENTIAL_MAX + 1);
	add_credential(rows, "a credential of 8,000 bytes", 8000);
	begin();
	fputs("GET /a HTTP/1.1\r\n" HOST BEARER GOOD_KEY, sent);
	put_many(sent, 'x', CREDENTIAL_MAX);
	fputs("\r\n\r\n", sent);
	end(rows, "a good key and 512 bytes", "401", STAYS);
	begin();
	fputs("GET /a HTTP/1.1\r\n" HOST "Authorization: bearer", sent);
	put_many(sent, ' ', 600);
	fputs(GOOD_KEY "\r\n\r\n", sent);
	fputs("GET /a", executed);
	end(rows, "600 spaces before the key", "200", STAYS);
	begin();
	fputs("GET /a HTTP/1.1\r\n" HOST, sent);
	for (int i = 0; i < 15; i++) {
		fprintf(sent, "X-%02d: ", i);
		put_many(sent, 'x', 1016);
		fputs("\r\n", sent);
	}
	fputs("aUTHORIZATION: bearer  " GOOD_KEY "\t\r\n\r\n", sent);
	fputs("GET /a", executed);
	end(rows, "the key behind 15 KiB of other fields", "200", STAYS);
}

/* --- connections ---------------------------------------------------------------------------------------- */

/* Pipelined requests, of which every third is refused. */
static void add_pipeline(struct rows *rows, const char *name, unsigned int count)
{
	char answers[2048] = "";

	begin();
	for (unsigned int i = 0; i < count; i++) {
		bool refused = i % 3 == 2;

		fprintf(sent, "GET /%u HTTP/1.1\r\n" HOST "%s\r\n", i, refused ? OTHER : GOOD);
		strcat(answers, refused ? "401 " : "200 ");
		if (!refused)
			fprintf(executed, "GET /%u" THEN, i);
	}
	end(rows, name, answers, STAYS);
}

void rows_add_long(struct rows *rows, enum section section)
{
	switch (section) {
	case LINES:
		add_lines(rows);
		break;
	case REQUEST_LINE:
		add_request_lines(rows);
		break;
	case FRAMING:
		add_bodies(rows);
		break;
	case CHUNKED_BODIES:
		add_chunked_bodies(rows);
		break;
	case AUTHORIZATION:
		add_authorizations(rows);
		break;
	default:
		add_pipeline(rows, "20 requests, every third refused", 20);
		add_pipeline(rows, "200 requests, every third refused", 200);
		break;
	}
}
