// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Request heads. The text is the head, to be parsed with the default limit and with one near its own
 * length; cuts are drawn from the text. What must hold: see check_*().
 */
#include "head_oracle.h"

#define LIMIT 16384

static enum http_result parse(struct http_head *head, const uint8_t *bytes, size_t size)
{
	enum http_result result = HTTP_MORE;

	for (size_t i = 0; i < size && result == HTTP_MORE; i++)
		result = http_head_byte(head, bytes[i]);
	return result;
}

/* As a buffer is read: several bytes at a time where they are offered. */
static enum http_result parse_blocks(struct http_head *head, const uint8_t *bytes, size_t size)
{
	const struct http_text text = { bytes, bytes + size };
	enum http_result result = HTTP_MORE;

	while (head->length < size && result == HTTP_MORE)
		result = http_head_bytes(head, &text);
	return result;
}

/* However it is cut, and however it is taken, the same is found. */
static void check_cuts(const uint8_t *bytes, size_t size, size_t limit,
		       const struct http_head *whole, enum http_result verdict)
{
	struct dice dice = dice_of(bytes, size);
	enum http_result result = HTTP_MORE;
	struct http_head head, moved;
	size_t at = 0;

	http_head_begin(&head, limit);
	while (at < size && result == HTTP_MORE) {
		size_t part = 1 + dice_throw(&dice, dice_throw(&dice, 2) ? 12 : size - at);

		part = part < size - at ? part : size - at;
		moved = head;
		memset(&head, 0xff, sizeof(head));
		at += part;
		result = parse_blocks(&moved, bytes, at);
		head = moved;
	}
	require(result == verdict);
	require(!memcmp(&head, whole, sizeof(head)));
}

static void check_line(const uint8_t *bytes, const struct http_head *head,
		       const struct http_span *line)
{
	require(line->at > 0 && bytes[line->at - 1] == '\n');
	require(line->at + line->length + 4 <= head->length);
	require(!memchr(bytes + line->at, '\r', line->length));
	require(!memchr(bytes + line->at, '\n', line->length));
	require(bytes[line->at + line->length] == '\r');
}

/* What is to be overwritten lies inside the head, in a line of its own. */
static void check_spans(const uint8_t *bytes, const struct http_head *head)
{
	const struct http_span *credential = &head->credential, *line = &head->authorization;

	require(head->content_length <= INT64_MAX);
	require(!head->chunked || !head->content_length);
	require(!!credential->length == (head->credential_kind == CREDENTIAL_BEARER));
	if (line->length)
		check_line(bytes, head, line);
	if (credential->length)
		require(credential->at > line->at &&
			credential->at + credential->length <= line->at + line->length);
	for (int i = 0; i < head->foreign_identities; i++)
		check_line(bytes, head, &head->foreign_identity[i]);
}

static void check_same_span(const struct http_span *a, const struct http_span *b)
{
	require(a->at == b->at && a->length == b->length);
}

static void check_same(const struct http_head *head, const struct http_head *found)
{
	require(head->content_length == found->content_length);
	require(head->chunked == found->chunked);
	require(head->persistent == found->persistent);
	require(head->upgrade == found->upgrade);
	require(head->is_head_method == found->is_head_method);
	require(head->minor == found->minor);
	require(head->credential_kind == found->credential_kind);
	check_same_span(&head->authorization, &found->authorization);
	check_same_span(&head->credential, &found->credential);
	require(head->foreign_identities == found->foreign_identities);
	for (int i = 0; i < head->foreign_identities; i++)
		check_same_span(&head->foreign_identity[i], &found->foreign_identity[i]);
}

/*
 * What the oracle says. It judges a value as a whole, so that it may want more, or reach the limit,
 * where the parser has already refused; in nothing else may they differ.
 */
static void check_oracle(const uint8_t *bytes, size_t size, size_t limit,
			 const struct http_head *head, enum http_result verdict)
{
	struct oracle_head oracle;

	oracle_read_head(bytes, size, limit, &oracle);
	if (verdict == HTTP_BAD &&
	    (oracle.verdict == HTTP_MORE || oracle.verdict == HTTP_TOO_LARGE))
		return;
	require(verdict == oracle.verdict);
	if (verdict == HTTP_BAD || verdict == HTTP_TOO_LARGE)
		return;
	require(head->length == oracle.length);
	if (verdict == HTTP_DONE || verdict == HTTP_EXPECTATION)
		check_same(head, &oracle.found);
}

static void check_limit(const uint8_t *bytes, size_t size, size_t limit)
{
	struct http_head head;
	enum http_result verdict;

	http_head_begin(&head, limit);
	verdict = parse(&head, bytes, size);
	require(head.length <= size && head.length <= limit + 2);
	if (verdict == HTTP_DONE || verdict == HTTP_EXPECTATION)
		check_spans(bytes, &head);
	check_cuts(bytes, size, limit, &head, verdict);
	check_oracle(bytes, size, limit, &head, verdict);
	if (verdict != HTTP_MORE)
		require(http_head_byte(&head, 'a') != HTTP_MORE);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct dice dice = dice_of(bytes, size);

	check_limit(bytes, size, LIMIT);
	check_limit(bytes, size, dice_throw(&dice, size + 3));
	return 0;
}
