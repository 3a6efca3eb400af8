// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What came back: answer by answer, against what must come. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* An answer that is being read. */
struct answer {
	int status;
	const char *head;
	size_t head_length;
	size_t body_at, body_size; /* chunks: the joined size */
	size_t end;		   /* behind it, in what has come */
	unsigned int rate_headers;
	bool chunked;
	int64_t length; /* -1: none is said */
};

static void complain(struct answers *answers, const char *what)
{
	size_t left = answers->used - answers->at;

	if (answers->wrong[0])
		return;
	snprintf(answers->wrong, sizeof(answers->wrong), "answer %u: %s; got %.*s", answers->count,
		 what, (int)(left < 200 ? left : 200), (char *)answers->bytes + answers->at);
	for (char *c = answers->wrong; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = *c == '\n' ? '|' : ' ';
}

static bool names(const char *line, const char *name)
{
	return !strncasecmp(line, name, strlen(name));
}

/* Read the head at answers->at. False where it is not whole. */
static bool read_head(struct answers *answers, struct answer *answer)
{
	const char *start = (char *)answers->bytes + answers->at;
	const char *end = memmem(start, answers->used - answers->at, "\r\n\r\n", 4), *line;

	if (!end)
		return false;
	*answer = (struct answer){ .head = start, .length = -1 };
	answer->head_length = end + 4 - start;
	if (sscanf(start, "HTTP/1.%*1[01] %3d", &answer->status) != 1 || !names(start, "HTTP/1."))
		return true;
	for (line = memchr(start, '\n', end - start); line; line = memchr(line, '\n', end - line)) {
		line++;
		if (names(line, "Content-Length:"))
			answer->length = strtoll(line + 15, NULL, 10);
		answer->chunked |= names(line, "Transfer-Encoding: chunked");
		answer->rate_headers +=
			names(line, "X-RateLimit-Remaining:") || names(line, "X-RateLimit-Reset:");
	}
	answer->body_at = answers->at + answer->head_length;
	answer->end = answer->body_at;
	return true;
}

/* Whether all chunks are there. Sets end and body_size. */
static bool read_chunks(const struct answers *answers, struct answer *answer)
{
	size_t at = answer->body_at;

	answer->body_size = 0;
	for (;;) {
		const uint8_t *line = answers->bytes + at;
		const uint8_t *end = memmem(line, answers->used - at, "\r\n", 2);
		size_t size;

		if (!end)
			return false;
		size = strtoul((const char *)line, NULL, 16);
		at = end + 2 - answers->bytes;
		if (answers->used - at < size + 2)
			return false;
		at += size + 2;
		answer->body_size += size;
		if (!size)
			break;
	}
	answer->end = at;
	return true;
}

/* Whether the body is there. */
static bool read_body(const struct answers *answers, struct answer *answer, bool bodyless)
{
	size_t there = answers->used - answer->body_at;

	if (bodyless || answer->status == 204 || answer->status == 304)
		return true;
	if (answer->chunked)
		return read_chunks(answers, answer);
	if (answer->length >= 0) {
		answer->body_size = answer->length;
		answer->end = answer->body_at + answer->length;
		return there >= (size_t)answer->length;
	}
	answer->body_size = there;
	answer->end = answers->used;
	return answers->ended;
}

/* The number at the body's start says whose answer it is. */
static bool is_of(const struct answers *answers, const struct answer *answer,
		  const struct expected *expected)
{
	const char *body = (char *)answers->bytes + answer->body_at;
	char text[64];

	if (expected->bodyless)
		return true;
	if (answer->body_size != expected->size)
		return false;
	if (expected->size <= 12)
		return true;
	if (answer->chunked && answer->body_size)
		body = memmem(body, answer->end - answer->body_at, "\r\n", 2) + 2;
	snprintf(text, sizeof(text), "%u:", expected->number);
	return !strncmp(body, text, strlen(text));
}

static void compare(struct answers *answers, const struct stream *stream,
		    const struct answer *answer, const struct expected *expected)
{
	bool served = expected->status < 400;
	char text[128];

	if (answer->status != expected->status) {
		/* A body that turned bad: whatever was due has been answered, or not. */
		if (stream->loose && answers->count == stream->expected_count - 1)
			return;
		snprintf(text, sizeof(text), "%d was expected", expected->status);
		complain(answers, text);
	} else if (served && !is_of(answers, answer, expected)) {
		snprintf(text, sizeof(text), "a body of %zu bytes of request %u was expected",
			 expected->size, expected->number);
		complain(answers, text);
	} else if (answer->rate_headers > 2) {
		complain(answers, "headers of the gate, twice");
	} else if (answer->rate_headers != 2 && (served || expected->status == 429) &&
		   !stream->reads && !stream->window) {
		complain(answers, "the gate's headers are missing");
	} else if (answer->rate_headers && !served && expected->status != 429) {
		complain(answers, "headers that a refusal does not have");
	}
}

void answers_follow(struct answers *answers, const struct stream *stream)
{
	struct answer answer;

	if (stream->kind == MUTATED)
		return;
	while (!answers->wrong[0] && answers->at < answers->used && read_head(answers, &answer)) {
		const struct expected *expected = &stream->expected[answers->count];

		if (!answer.status) {
			complain(answers, "not an answer");
			break;
		}
		if (answer.status >= 100 && answer.status < 200) {
			if (answer.rate_headers)
				complain(answers, "headers of the gate in an interim answer");
			answers->at += answer.head_length;
			continue;
		}
		if (answers->count == stream->expected_count) {
			complain(answers, "one more than was asked for");
			break;
		}
		if (!read_body(answers, &answer, expected->bodyless))
			break;
		compare(answers, stream, &answer, expected);
		answers->count++;
		answers->at = answer.end;
	}
}
