/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What most heads are made of, eight bytes at a time.
 *
 * What a head is, http_head_byte() says alone: where bytes are taken here, the parser stands as if it had
 * been given one after the other, and whatever is not as usual is left to it.
 */
#ifndef SLUICE_HTTP_SWIFT_H
#define SLUICE_HTTP_SWIFT_H

#include "http.h"
#include "swift.h"

#define HTTP_SWIFT_MAX (SWIFT_WORDS * SWIFT_WORD) /* bytes that one call takes, at most */

/* Bytes that may change the state in which those of a class do not. */
core_inline __u64 swift_not_plain(__u64 word, __u8 class)
{
	switch (class) {
	case TEXT_VALUE:
		return swift_below(word, ' ') | swift_equal(word, 0x7f);
	case TEXT_TARGET:
		return swift_below(word, '!') | swift_equal(word, '#') | swift_equal(word, 0x7f) |
		       (word & SWIFT_HIGH);
	default: /* TEXT_HOST, TEXT_TOKEN68: what both have */
		return ~(swift_alnum(word) | swift_within(word, '-', '.') |
			 swift_within(word, '_', '_')) &
		       SWIFT_HIGH;
	}
}

/* --- lines ------------------------------------------------------------------------------------- */

/* The CR and the LF behind a field's value. */
core_inline enum http_result swift_line_end(struct http_head *head)
{
	enum http_result result = HTTP_MORE;

	head->length++;
	if (head->state != HTTP_IN_VALUE || head->field != HTTP_FIELD_OTHER)
		result = http_turn(head, '\r');
	if (result != HTTP_MORE)
		return result;
	head->length++;
	http_enter(head, HTTP_AT_LINE);
	return HTTP_MORE;
}

/* A field's name and its colon. */
core_inline enum http_result swift_field(struct http_head *head, const __u8 *bytes, const __u8 *end)
{
	struct text_word name;
	__u32 length = swift_name(bytes, end, &name);

	if (!length || head->fields >= HTTP_FIELDS_MAX)
		return HTTP_MORE;
	head->fields++;
	head->line_at = head->length;
	head->unlike = false;
	head->word = name;
	head->length += length + 1;
	http_enter(head, HTTP_IN_NAME);
	return http_turn(head, ':');
}

/* Bytes that change nothing, and the end of a line behind them. */
core_inline enum http_result swift_plain(struct http_head *head, const __u8 *bytes, const __u8 *end)
{
	__u32 i, some = SWIFT_WORD;
	__u64 word = 0;

	for (i = 0; i < SWIFT_WORDS && some == SWIFT_WORD; i++) {
		if (bytes + (i + 1) * SWIFT_WORD > end)
			return HTTP_MORE;
		word = core_word(bytes + i * SWIFT_WORD);
		some = swift_before(swift_not_plain(word, head->plain));
		head->length += some;
	}
	if (some > SWIFT_WORD - 2 || (word >> some * 8 & 0xffff) != ('\n' << 8 | '\r') ||
	    head->state == HTTP_IN_TARGET)
		return HTTP_MORE;
	return swift_line_end(head);
}

/* --- parts that most requests have --------------------------------------------------------------- */

/* A method in capitals, and the begin of a target. */
core_inline enum http_result swift_method(struct http_head *head, __u64 word)
{
	struct text_word method = { { 0 } };
	__u32 length = swift_before(~swift_within(word, 'A', 'Z') & SWIFT_HIGH);
	enum http_result result;

	if (!length || length > SWIFT_WORD - 2 || (word >> length * 8 & 0xffff) != ('/' << 8 | ' '))
		return HTTP_MORE;
	swift_add(&method, core_swap_bytes(word), length);
	head->word = method;
	head->line_at = head->length;
	head->length += length + 1;
	http_enter(head, HTTP_IN_METHOD);
	result = http_turn(head, ' ');
	if (result != HTTP_MORE)
		return result;
	head->length++;
	return http_turn(head, '/');
}

/* The rest of a request line. */
core_inline enum http_result swift_version(struct http_head *head, __u64 first, __u64 second)
{
	if (!swift_begins(first, " HTTP/1.") ||
	    (!swift_begins(second, "1\r\n") && !swift_begins(second, "0\r\n")))
		return HTTP_MORE;
	text_word_clear(&head->word);
	head->word.part[0] = first << 8 | second >> 56;
	head->length += sizeof(" HTTP/1.1\r\n") - 1;
	http_enter(head, HTTP_AT_REQUEST_END);
	return http_turn(head, '\n');
}

/* "Bearer" in any case, and the blanks around it. */
core_inline enum http_result swift_scheme(struct http_head *head, __u64 first)
{
	if (!swift_begins(first | 0x0020202020202000ULL, " bearer "))
		return HTTP_MORE;
	head->word.part[0] = TEXT_PART("bearer");
	head->unlike = false;
	head->phase = HTTP_AUTH_GAP;
	head->length += SWIFT_WORD;
	return HTTP_MORE;
}

core_inline enum http_result swift_keep_alive(struct http_head *head, __u64 first, __u64 second)
{
	if (!swift_begins(first, " keep-al") || !swift_begins(second, "ive\r\n"))
		return HTTP_MORE;
	head->word.part[0] = TEXT_PART("ep-alive");
	head->word.part[1] = TEXT_PART("ke");
	head->phase = HTTP_WORD_INSIDE;
	head->length += sizeof(" keep-alive") - 1;
	return swift_line_end(head);
}

/* --- all of it ----------------------------------------------------------------------------------- */

core_inline enum http_result swift_take(struct http_head *head, const __u8 *bytes, const __u8 *end)
{
	__u64 first, second;

	if (head->limit - head->length < HTTP_SWIFT_MAX || bytes + SWIFT_WORD > end)
		return HTTP_MORE;
	if (head->plain) {
		__u32 before = head->length;
		enum http_result result = swift_plain(head, bytes, end);

		if (result != HTTP_MORE || head->length != before)
			return result;
	}
	if (head->state == HTTP_AT_LINE)
		return swift_field(head, bytes, end);
	first = core_word(bytes);
	if (head->state == HTTP_AT_START)
		return swift_method(head, first);
	if (bytes + 2 * SWIFT_WORD > end)
		return HTTP_MORE;
	first = core_swap_bytes(first);
	second = core_swap_bytes(core_word(bytes + SWIFT_WORD));
	if (head->state == HTTP_IN_TARGET)
		return swift_version(head, first, second);
	if (head->state != HTTP_IN_SPECIAL || head->phase)
		return HTTP_MORE;
	if (head->field == HTTP_FIELD_AUTHORIZATION)
		return swift_scheme(head, first);
	if (head->field == HTTP_FIELD_CONNECTION)
		return swift_keep_alive(head, first, second);
	return HTTP_MORE;
}

/*
 * Take some of the bytes from `bytes` up to `end`, of which there is one at least: as many as can be taken
 * at once, but one at least. head->length says how many. Else as http_head_byte().
 */
core_inline enum http_result http_head_bytes(struct http_head *head, const __u8 *bytes,
					     const __u8 *end)
{
	__u32 before = head->length;
	enum http_result result = swift_take(head, bytes, end);

	if (result != HTTP_MORE || head->length != before)
		return result;
	return http_head_byte(head, *bytes);
}

#endif
