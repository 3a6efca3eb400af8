/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What most heads are made of, in large pieces: a field's name, a value with the end of its line.
 *
 * What a head is, http_head_byte() says alone: where bytes are taken here, the parser stands as if it had
 * been given one after the other, and whatever is not as usual is left to it.
 */
#ifndef SLUICE_HTTP_SWIFT_H
#define SLUICE_HTTP_SWIFT_H

#include "http.h"
#include "swift.h"

/* Bytes that one call takes, at most: what comes before a value, the value, and the end of the head. */
#define HTTP_SWIFT_MAX ((SWIFT_WORDS + 4) * SWIFT_WORD)

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

/* How many bytes of a class come first, as far as SWIFT_WORDS reach. */
core_inline __u32 swift_plain(const __u8 *bytes, const __u8 *end, __u8 class)
{
	__u32 i, some = SWIFT_WORD, length = 0;

	for (i = 0; i < SWIFT_WORDS && some == SWIFT_WORD; i++) {
		some = swift_before(
			swift_not_plain(swift_word(bytes + i * SWIFT_WORD, end), class));
		length += some;
	}
	return length;
}

/* --- the ends of lines --------------------------------------------------------------------------- */

/* The end of a field's line, and that of the head; `behind` is what follows the value. */
core_inline enum http_result swift_line_end(struct http_head *head, __u64 behind)
{
	enum http_result result = HTTP_MORE;

	if ((__u16)behind != SWIFT_CRLF)
		return HTTP_MORE;
	head->length++;
	if (head->state != HTTP_IN_VALUE || head->field != HTTP_FIELD_OTHER)
		result = http_turn(head, '\r');
	if (result != HTTP_MORE)
		return result;
	head->length++;
	http_enter(head, HTTP_AT_LINE);
	if ((__u16)(behind >> 16) != SWIFT_CRLF)
		return HTTP_MORE;
	head->length += 2;
	http_enter(head, HTTP_AT_HEAD_END);
	return http_turn(head, '\n');
}

/* The rest of a request line, behind the target. */
core_inline enum http_result swift_version(struct http_head *head, const __u8 *bytes,
					   const __u8 *end)
{
	__u64 first = core_swap_bytes(swift_word(bytes, end)), second;

	if (!swift_begins(first, " HTTP/1."))
		return HTTP_MORE;
	second = core_swap_bytes(swift_word(bytes + SWIFT_WORD, end));
	if (!swift_begins(second, "1\r\n") && !swift_begins(second, "0\r\n"))
		return HTTP_MORE;
	text_word_clear(&head->word);
	head->word.part[0] = first << 8 | second >> 56;
	head->length += sizeof(" HTTP/1.1\r\n") - 1;
	return http_over(head, http_request_end(head, '\n'));
}

/* --- values -------------------------------------------------------------------------------------- */

/* Bytes that change nothing, and the end of a line behind them. */
core_inline enum http_result swift_rest_of_line(struct http_head *head, const __u8 *bytes,
						const __u8 *end)
{
	__u32 length;

	if (head->plain == TEXT_VALUE) /* most: the compiler knows the class */
		length = swift_plain(bytes, end, TEXT_VALUE);
	else
		length = swift_plain(bytes, end, head->plain);
	head->length += length;
	if (head->state == HTTP_IN_TARGET)
		return swift_version(head, bytes + length, end);
	return swift_line_end(head, swift_word(bytes + length, end));
}

/* A name or an IPv4 address, and a port. */
core_inline enum http_result swift_host(struct http_head *head, const __u8 *bytes, const __u8 *end)
{
	__u32 length, digits;
	__u64 behind;

	if ((__u8)swift_word(bytes, end) != ' ' || head->notes & HTTP_NOTE_ABSOLUTE)
		return HTTP_MORE;
	length = swift_plain(++bytes, end, TEXT_HOST);
	if (!length)
		return HTTP_MORE;
	head->phase = HTTP_HOST_NAME;
	head->plain = TEXT_HOST;
	head->length += 1 + length;
	behind = swift_word(bytes + length, end);
	if ((__u8)behind == ':') {
		digits = swift_digits(behind >> 8);
		head->phase = HTTP_HOST_PORT;
		head->plain = 0;
		head->length += 1 + digits;
		behind = swift_word(bytes + length + 1 + digits, end);
	}
	return swift_line_end(head, behind);
}

core_inline enum http_result swift_length(struct http_head *head, const __u8 *bytes,
					  const __u8 *end)
{
	__u64 word = swift_word(bytes, end);
	__u32 digits = swift_digits(word >> 8);

	if ((__u8)word != ' ' || !digits || (__u8)(word >> 8) == '0')
		return HTTP_MORE;
	head->content_length = swift_number(word >> 8, digits);
	head->phase = HTTP_WORD_INSIDE;
	head->length += 1 + digits;
	return swift_line_end(head, swift_word(bytes + 1 + digits, end));
}

/* "Bearer" in any case, and a token. */
core_inline enum http_result swift_bearer(struct http_head *head, const __u8 *bytes,
					  const __u8 *end)
{
	__u64 scheme = core_swap_bytes(swift_word(bytes, end));
	__u32 length;

	if (!swift_begins(scheme | 0x0020202020202000ULL, " bearer "))
		return HTTP_MORE;
	head->word.part[0] = TEXT_PART("bearer");
	head->phase = HTTP_AUTH_GAP;
	head->length += SWIFT_WORD;
	bytes += SWIFT_WORD;
	length = swift_plain(bytes, end, TEXT_TOKEN68);
	if (!length)
		return HTTP_MORE;
	head->credential.at = head->length;
	head->phase = HTTP_AUTH_TOKEN;
	head->plain = TEXT_TOKEN68;
	head->length += length;
	return swift_line_end(head, swift_word(bytes + length, end));
}

core_inline enum http_result swift_keep_alive(struct http_head *head, const __u8 *bytes,
					      const __u8 *end)
{
	if (!swift_begins(core_swap_bytes(swift_word(bytes, end)), " keep-al") ||
	    !swift_begins(core_swap_bytes(swift_word(bytes + SWIFT_WORD, end)), "ive\r\n"))
		return HTTP_MORE;
	head->word.part[0] = TEXT_PART("ep-alive");
	head->word.part[1] = TEXT_PART("ke");
	head->phase = HTTP_WORD_INSIDE;
	head->length += sizeof(" keep-alive") - 1;
	return swift_line_end(head, swift_word(bytes + sizeof(" keep-alive") - 1, end));
}

/* --- lines --------------------------------------------------------------------------------------- */

/* A method in capitals, and the begin of a target. */
core_inline enum http_result swift_method(struct http_head *head, const __u8 *bytes,
					  const __u8 *end)
{
	struct text_word method = { { 0 } };
	__u64 word = swift_word(bytes, end);
	__u32 length = swift_before(~swift_within(word, 'A', 'Z') & SWIFT_HIGH);
	enum http_result result;

	if (!length || length > SWIFT_WORD - 2 || (word >> length * 8 & 0xffff) != ('/' << 8 | ' '))
		return HTTP_MORE;
	swift_add(&method, core_swap_bytes(word), length);
	head->word = method;
	head->line_at = head->length;
	head->length += length + 1;
	result = http_over(head, http_method_byte(head, ' '));
	if (result != HTTP_MORE)
		return result;
	head->length++;
	return http_target_first(head, '/');
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
	return http_over(head, http_field_begin(head));
}

core_inline enum http_result swift_take(struct http_head *head, const __u8 *bytes, const __u8 *end)
{
	if (head->limit - head->length < HTTP_SWIFT_MAX)
		return HTTP_MORE;
	if (head->plain)
		return swift_rest_of_line(head, bytes, end);
	if (head->state == HTTP_AT_LINE)
		return swift_field(head, bytes, end);
	if (head->state == HTTP_AT_START)
		return swift_method(head, bytes, end);
	if (head->state != HTTP_IN_SPECIAL || head->phase)
		return HTTP_MORE;
	switch (head->field) {
	case HTTP_FIELD_HOST:
		return swift_host(head, bytes, end);
	case HTTP_FIELD_LENGTH:
		return swift_length(head, bytes, end);
	case HTTP_FIELD_AUTHORIZATION:
		return swift_bearer(head, bytes, end);
	case HTTP_FIELD_CONNECTION:
		return swift_keep_alive(head, bytes, end);
	default:
		return HTTP_MORE;
	}
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
