// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rows of the table of cases that are made of the corpus of heads. */
#include "../parity/http_corpus.h"

#undef TEXT
#undef HOST
#undef BEARER
#undef HTTP10

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cases_made.h"
#include "harness.h"

#define BODY_MAX   1000 /* bytes; rows of a longer body are in cases_long.c */
#define HEAD_LIMIT 16384

static void *copy(const void *data, size_t size)
{
	char *bytes = malloc(size + 1);

	assert_non_null(bytes);
	memcpy(bytes, data, size);
	bytes[size] = '\0';
	return bytes;
}

void rows_free(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		free((char *)rows->rows[i].name);
		free((char *)rows->rows[i].bytes);
		free((char *)rows->rows[i].answers);
		free((char *)rows->rows[i].executed);
	}
	free(rows->rows);
	*rows = (struct rows){ 0 };
}

void rows_add(struct rows *rows, const struct row *row)
{
	struct row *added;

	rows->rows = realloc(rows->rows, (rows->count + 1) * sizeof(*row));
	assert_non_null(rows->rows);
	added = &rows->rows[rows->count++];
	*added = *row;
	added->name = copy(row->name, strlen(row->name));
	added->bytes = copy(row->bytes, row->size);
	added->answers = copy(row->answers, strlen(row->answers));
	added->executed = copy(row->executed, strlen(row->executed));
}

/* --- heads of the corpus -------------------------------------------------------------------------- */

/* Where the rows of a section begin in the corpus; they go on to the next. */
static const struct {
	const char *row;
	enum section section;
} beginnings[] = {
	{ ROW_BARE, LINES },
	{ ROW_METHOD, REQUEST_LINE },
	{ ROW_BOTH, FRAMING },
	{ ROW_AUTH, AUTHORIZATION },
	{ ROW_EXPECT, CONNECTIONS },
	{ ROW_IDENTITY, AUTHORIZATION },
	{ ROW_PRECEDENCE, REQUEST_LINE },
};

/* One head of the corpus, and what its variants are made of. */
struct source {
	const struct http_case *head;
	char executed[4096]; /* "METHOD target", " body" */
	char body[BODY_MAX + 16];
	const char *no_body; /* "-" where the method is HEAD */
	bool ends;	     /* the client does not want the connection to go on */
	bool has_key;
};

/* Where in the head the text stands, letter case aside; -1: nowhere. */
static ptrdiff_t find(const struct http_case *head, const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i + length <= head->size; i++)
		if (!strncasecmp(head->bytes + i, text, length))
			return i;
	return -1;
}

/* Find out what is needed of a good head; false where there is more body than can be sent. */
static bool read_head(struct source *source)
{
	const char *bytes = source->head->bytes, *space;
	struct http_head head;
	bool http10;
	size_t i;

	http_head_begin(&head, HEAD_LIMIT);
	for (i = 0; i < source->head->size; i++)
		http_head_byte(&head, bytes[i]);
	if (head.content_length > BODY_MAX)
		return false;
	memset(source->body, 'b', head.content_length);
	bytes += strspn(bytes, "\r\n");
	space = strchr(bytes, ' ');
	snprintf(source->executed, sizeof(source->executed), "%.*s%s%s",
		 (int)(strchr(space + 1, ' ') - bytes), bytes, source->body[0] ? " " : "",
		 source->body);
	if (head.chunked)
		strcpy(source->body, "0\r\n\r\n");
	source->no_body = strncmp(bytes, "HEAD ", 5) ? "" : "-";
	http10 = find(source->head, " HTTP/1.0\r\n") >= 0;
	source->ends = find(source->head, "close") >= 0 ||
		       (http10 && find(source->head, "keep-alive") < 0);
	return true;
}

static const char *status_of(const struct source *source, bool good_key)
{
	switch (source->head->verdict) {
	case HTTP_DONE:
		return good_key ? "200" : "401";
	case HTTP_TOO_LARGE:
		return "431";
	case HTTP_VERSION:
		return "505";
	case HTTP_EXPECTATION:
		return "417";
	default:
		return "400";
	}
}

/* The corpus' own row, and the bytes as far as they can be shown. */
static void name_row(const struct source *source, const char *what, char name[256])
{
	size_t length = snprintf(name, 100, "%s, %s: ", source->head->row, what);

	if (length > 99)
		length = 99;
	for (size_t i = 0; i < source->head->size && length < 240; i++) {
		unsigned char byte = source->head->bytes[i];

		if (byte == '\r' || byte == '\n')
			length += sprintf(name + length, byte == '\r' ? "\\r" : "\\n");
		else if (isprint(byte) && byte != '\\')
			name[length++] = byte;
		else
			length += sprintf(name + length, "\\x%02x", byte);
	}
	name[length] = '\0';
}

/* What comes around a head. */
struct around {
	const char *name;
	const char *before;
	const char *behind;
};

static enum after after_of(const struct source *source, const struct around *around)
{
	if (source->head->verdict != HTTP_DONE)
		return ENDS;
	if (!source->ends)
		return STAYS;
	return *around->behind ? CLOSES : ENDS;
}

/* Add the head with fields put in at an offset, between other requests. */
static void add_variant(struct rows *rows, const struct source *source, const char *fields,
			size_t at, const struct around *around)
{
	const struct http_case *head = source->head;
	bool passes = head->verdict == HTTP_DONE && *fields;
	enum after after = after_of(source, around);
	bool goes_on = after == STAYS;
	char name[256], answers[32], executed[sizeof(source->executed) + 64];
	char *bytes;
	size_t size;
	FILE *out = open_memstream(&bytes, &size);

	assert_non_null(out);
	fputs(around->before, out);
	fwrite(head->bytes, 1, at, out);
	fputs(fields, out);
	fwrite(head->bytes + at, 1, head->size - at, out);
	fputs(source->body, out);
	fputs(around->behind, out);
	fclose(out);
	name_row(source, around->name, name);
	snprintf(answers, sizeof(answers), "%s%s%s%s", *around->before ? "200 " : "",
		 status_of(source, *fields), source->no_body,
		 goes_on && *around->behind ? " 200" : "");
	snprintf(executed, sizeof(executed), "%s%s%s", *around->before ? "GET /before" THEN : "",
		 passes ? source->executed : "",
		 goes_on && *around->behind ? THEN "GET /behind" : "");
	rows_add(rows, &(struct row){ .name = name,
				      .bytes = bytes,
				      .size = size,
				      .answers = answers,
				      .executed = executed,
				      .after = after,
				      .share = *around->before ? ONCE_FULL : SOME,
				      .cut_from = strlen(around->before),
				      .cut_to = size - strlen(around->behind) });
	free(bytes);
}

/* A head that has a key of its own: only as it is; where it is bad, the key is a good one. */
static void add_with_own_key(struct rows *rows, const struct source *source)
{
	struct http_case head = *source->head;
	struct source with_key = *source;
	char *bytes = copy(head.bytes, head.size), *at;

	while (head.verdict != HTTP_DONE && (at = memmem(bytes, head.size, KEY, strlen(KEY))))
		memcpy(at, GOOD_KEY, strlen(GOOD_KEY));
	head.bytes = bytes;
	with_key.head = &head;
	add_variant(rows, &with_key, "", 0, &(struct around){ "as it is", "", "" });
	add_variant(rows, &with_key, "", 0,
		    &(struct around){ "good around", GET("/before"), GET("/behind") });
	free(bytes);
}

static void add_head(struct rows *rows, const struct http_case *head)
{
	static const struct around alone = { "as it is", "", "" };
	static const struct around first = { "key first", "", "" };
	static const struct around last = { "key last", "", "" };
	static const struct around around = { "good around", GET("/before"), GET("/behind") };
	struct source source = { .head = head, .no_body = "" };
	ptrdiff_t first_line = find(head, " HTTP/1.1\r\n");

	if (head->verdict == HTTP_DONE && !read_head(&source))
		return;
	if (find(head, "\nAuthorization:") >= 0) {
		add_with_own_key(rows, &source);
		return;
	}
	add_variant(rows, &source, "", 0, &alone);
	if (first_line < 0)
		first_line = find(head, " HTTP/1.0\r\n");
	if (first_line >= 0)
		add_variant(rows, &source, GOOD, first_line + strlen(" HTTP/1.1\r\n"), &first);
	if (head->size < 4 || memcmp(head->bytes + head->size - 4, "\r\n\r\n", 4) != 0)
		return;
	add_variant(rows, &source, GOOD, head->size - 2, &last);
	add_variant(rows, &source, GOOD, head->size - 2, &around);
}

void rows_add_corpus(struct rows *rows, enum section section)
{
	enum section at = LINES;

	for (size_t i = 0; i < HTTP_CORPUS_SIZE; i++) {
		for (size_t n = 0; n < ARRAY_SIZE(beginnings); n++)
			if (!strcmp(http_corpus[i].row, beginnings[n].row))
				at = beginnings[n].section;
		if (at == section)
			add_head(rows, &http_corpus[i]);
	}
}
