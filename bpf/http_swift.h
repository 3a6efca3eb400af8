/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What most heads are made of, in large pieces: a field's name, a value, the end of its line.
 *
 * What a head is, http_head_byte() says alone: where bytes are taken here, the parser stands as if it had
 * been given one after the other, and whatever is not as usual is left to it.
 *
 * Each part finds its bytes by the head's length anew: what the verifier knows of it is the same then, by
 * whatever way it came.
 */
#ifndef SLUICE_HTTP_SWIFT_H
#define SLUICE_HTTP_SWIFT_H

#include "http.h"
#include "swift.h"

#define HTTP_REACH 32768 /* bytes from where a head begins, within which it is read; a power of 2 */

/* Bytes that one call takes, at most: a name, what comes before a value, the value, and the head's end. */
#define HTTP_SWIFT_MAX ((SWIFT_NAME + SWIFT_WORDS + 4) * SWIFT_WORD)

/* Where a head is read. */
struct http_text {
	const __u8 *begin; /* its first byte */
	const __u8 *end;   /* behind the last one that is there */
};

/* The next byte. */
core_inline const __u8 *swift_at(const struct http_head *head, const struct http_text *text)
{
	return text->begin + core_index(head->length, HTTP_REACH);
}

core_inline __u64 swift_next(const struct http_head *head, const struct http_text *text)
{
	return swift_word(swift_at(head, text), text->end);
}

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

/* Take the bytes of a class that come first, as far as SWIFT_WORDS reach. */
core_inline void swift_plain(struct http_head *head, const struct http_text *text, __u8 class)
{
	const __u8 *bytes = swift_at(head, text);
	__u32 i, some = SWIFT_WORD, length = 0;

	for (i = 0; i < SWIFT_WORDS && some == SWIFT_WORD; i++) {
		some = swift_before(
			swift_not_plain(swift_word(bytes + i * SWIFT_WORD, text->end), class));
		length += some;
	}
	head->length += length;
}

/* --- the ends of lines --------------------------------------------------------------------------- */

/* The end of a field's line, and that of the head. */
core_inline enum http_result swift_line_end(struct http_head *head, const struct http_text *text)
{
	enum http_result result = HTTP_MORE;
	__u64 word = swift_next(head, text);

	if ((__u16)word != SWIFT_CRLF)
		return HTTP_MORE;
	head->length++;
	if (head->state != HTTP_IN_VALUE || head->field != HTTP_FIELD_OTHER)
		result = http_turn(head, '\r');
	if (result != HTTP_MORE)
		return result;
	head->length++;
	http_enter(head, HTTP_AT_LINE);
	if ((__u16)(word >> 16) != SWIFT_CRLF)
		return HTTP_MORE;
	head->length += 2;
	http_enter(head, HTTP_AT_HEAD_END);
	return http_turn(head, '\n');
}

/* The rest of a request line, behind the target. */
core_inline enum http_result swift_version(struct http_head *head, const struct http_text *text)
{
	__u64 first = core_swap_bytes(swift_next(head, text)), second;

	if (!swift_begins(first, " HTTP/1."))
		return HTTP_MORE;
	second = core_swap_bytes(swift_word(swift_at(head, text) + SWIFT_WORD, text->end));
	if (!swift_begins(second, "1\r\n") && !swift_begins(second, "0\r\n"))
		return HTTP_MORE;
	text_word_clear(&head->word);
	head->word.part[0] = first << 8 | second >> 56;
	head->length += sizeof(" HTTP/1.1\r\n") - 1;
	return http_over(head, http_request_end(head, '\n'));
}

/* --- values -------------------------------------------------------------------------------------- */

/* What comes before a host's name or address, or the port behind it. */
core_inline void swift_host(struct http_head *head, const struct http_text *text)
{
	__u64 word = swift_next(head, text);

	if (head->phase == HTTP_HOST_START && (__u8)word == ' ' && text_is(word >> 8, TEXT_HOST)) {
		head->phase = HTTP_HOST_NAME;
		head->plain = TEXT_HOST;
		head->length++;
	} else if (head->phase == HTTP_HOST_PORT) {
		head->length += swift_digits(word << 8 >> 8);
	}
}

core_inline void swift_length(struct http_head *head, const struct http_text *text)
{
	__u64 word = swift_next(head, text);
	__u32 digits = swift_digits(word >> 8);

	if ((__u8)word != ' ' || !digits || (__u8)(word >> 8) == '0')
		return;
	head->content_length = swift_number(word >> 8, digits);
	head->phase = HTTP_WORD_INSIDE;
	head->length += 1 + digits;
}

/* "Bearer" in any case, and the blanks around it, before a token. */
core_inline void swift_bearer(struct http_head *head, const struct http_text *text)
{
	__u64 scheme = core_swap_bytes(swift_next(head, text));
	__u8 first = swift_word(swift_at(head, text) + SWIFT_WORD, text->end);

	if (!swift_begins(scheme | 0x0020202020202000ULL, " bearer ") ||
	    !text_is(first, TEXT_TOKEN68))
		return;
	head->word.part[0] = TEXT_PART("bearer");
	head->length += SWIFT_WORD;
	head->credential.at = head->length;
	head->phase = HTTP_AUTH_TOKEN;
	head->plain = TEXT_TOKEN68;
}

core_inline void swift_keep_alive(struct http_head *head, const struct http_text *text)
{
	const __u8 *behind = swift_at(head, text) + SWIFT_WORD;

	if (!swift_begins(core_swap_bytes(swift_next(head, text)), " keep-al") ||
	    !swift_begins(core_swap_bytes(swift_word(behind, text->end)), "ive\r\n"))
		return;
	head->word.part[0] = TEXT_PART("ep-alive");
	head->word.part[1] = TEXT_PART("ke");
	head->phase = HTTP_WORD_INSIDE;
	head->length += sizeof(" keep-alive") - 1;
}

/* The begin of a value that concerns the gate, or all of it. */
core_inline void swift_special(struct http_head *head, const struct http_text *text)
{
	switch (head->field) {
	case HTTP_FIELD_HOST:
		if (!(head->notes & HTTP_NOTE_ABSOLUTE)) /* else it is compared */
			swift_host(head, text);
		return;
	case HTTP_FIELD_AUTHORIZATION:
		if (head->phase == HTTP_AUTH_START)
			swift_bearer(head, text);
		return;
	case HTTP_FIELD_LENGTH:
		if (head->phase == HTTP_WORD_START)
			swift_length(head, text);
		return;
	case HTTP_FIELD_CONNECTION:
		if (head->phase == HTTP_WORD_START)
			swift_keep_alive(head, text);
	}
}

/* --- lines --------------------------------------------------------------------------------------- */

/* A method in capitals, and the begin of a target. */
core_inline enum http_result swift_method(struct http_head *head, const struct http_text *text)
{
	struct text_word method = { { 0 } };
	__u64 word = swift_next(head, text);
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
core_inline enum http_result swift_field(struct http_head *head, const struct http_text *text)
{
	struct text_word name;
	__u32 length = swift_name(swift_at(head, text), text->end, &name);

	if (!length || head->fields >= HTTP_FIELDS_MAX)
		return HTTP_MORE;
	head->fields++;
	head->line_at = head->length;
	head->unlike = false;
	head->word = name;
	head->length += length + 1;
	return http_over(head, http_field_begin(head));
}

core_inline enum http_result swift_take(struct http_head *head, const struct http_text *text)
{
	enum http_result result = HTTP_MORE;

	if (head->limit - head->length < HTTP_SWIFT_MAX)
		return HTTP_MORE;
	if (head->state == HTTP_AT_START)
		result = swift_method(head, text);
	else if (head->state == HTTP_AT_LINE)
		result = swift_field(head, text);
	if (result != HTTP_MORE)
		return result;
	if (head->state == HTTP_IN_SPECIAL && !head->plain)
		swift_special(head, text);
	if (head->plain == TEXT_VALUE) /* most: the compiler knows the class */
		swift_plain(head, text, TEXT_VALUE);
	else if (head->plain)
		swift_plain(head, text, head->plain);
	if (head->state == HTTP_IN_TARGET)
		return swift_version(head, text);
	if (head->state == HTTP_IN_VALUE || head->state == HTTP_IN_SPECIAL)
		return swift_line_end(head, text);
	return HTTP_MORE;
}

/*
 * Take some of the bytes behind those that were taken, of which there is one at least: as many as can be taken
 * at once, but one at least. head->length says how many. Else as http_head_byte().
 */
core_inline enum http_result http_head_bytes(struct http_head *head, const struct http_text *text)
{
	__u32 before = head->length;
	enum http_result result = swift_take(head, text);
	const __u8 *next = swift_at(head, text);

	if (result != HTTP_MORE || head->length != before)
		return result;
	return next + 1 > text->end ? HTTP_MORE : http_head_byte(head, *next);
}

#endif
