/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What most answers' heads are made of, eight bytes at a time: as http_swift.h, with response_byte() for
 * the one that alone says what an answer is.
 */
#ifndef SLUICE_RESPONSE_SWIFT_H
#define SLUICE_RESPONSE_SWIFT_H

#include "response.h"
#include "swift.h"

#define RESPONSE_TAKEN_MAX 128 /* bytes that one call takes, at most; a power of 2 */

_Static_assert((SWIFT_NAME + SWIFT_WORDS + 2) * SWIFT_WORD < RESPONSE_TAKEN_MAX,
	       "a name, what comes before a value, and the value");

/* The next byte: found anew, as in http_swift.h. */
core_inline const __u8 *response_at(const __u8 *bytes, const __u32 *taken)
{
	return bytes + core_index(*taken, RESPONSE_TAKEN_MAX);
}

/* A status, and the space behind it. */
core_inline void response_swift_status(struct response *response, const __u8 *bytes,
				       const __u8 *end, __u32 *taken)
{
	__u64 first, second;
	__u8 hundreds, tens, ones;

	if (response->index || bytes + 2 * SWIFT_WORD > end)
		return;
	first = core_swap_bytes(core_word(bytes));
	second = core_word(bytes + SWIFT_WORD);
	hundreds = second >> 8;
	tens = second >> 16;
	ones = second >> 24;
	if (!swift_begins(first, "HTTP/1.") || !text_is_digit(first) || (__u8)second != ' ' ||
	    !text_is_digit(hundreds) || hundreds == '0' || !text_is_digit(tens) ||
	    !text_is_digit(ones) || (__u8)(second >> 32) != ' ')
		return;
	response->minor = (__u8)first - '0';
	response->status = (hundreds - '0') * 100 + (tens - '0') * 10 + (ones - '0');
	response->index = 13;
	response->state = RESPONSE_IN_REASON;
	*taken = 13;
}

/* The end of the head, or a field's name. */
core_inline enum response_event response_swift_name(struct response *response, const __u8 *bytes,
						    const __u8 *end, __u32 *taken)
{
	struct text_word name;
	__u32 length = swift_name(bytes, end, &name);

	if (length) {
		response->word = name;
		*taken = length + 1;
		return response_name_byte(response, ':');
	}
	if ((__u16)swift_word(bytes, end) != SWIFT_CRLF)
		return RESPONSE_MORE;
	*taken = 2;
	return response_head_end(response);
}

core_inline enum response_event response_swift_length(struct response *response, const __u8 *bytes,
						      const __u8 *end, __u32 *taken)
{
	__u64 word = swift_word(response_at(bytes, taken), end);
	__u32 digits = swift_digits(word >> 8);

	if ((__u8)word != ' ' || !digits)
		return RESPONSE_MORE;
	response->number = swift_number(word >> 8, digits);
	response->phase = RESPONSE_VALUE_INSIDE;
	*taken += 1 + digits;
	if ((__u16)swift_word(response_at(bytes, taken), end) != SWIFT_CRLF)
		return RESPONSE_MORE;
	response->phase = RESPONSE_VALUE_CR;
	*taken += 2;
	return response_length_end(response);
}

/* The rest of a line that is not looked at. */
core_inline enum response_event response_swift_line(struct response *response, const __u8 *bytes,
						    const __u8 *end, __u32 *taken)
{
	const __u8 *at = response_at(bytes, taken);
	__u32 i, some = SWIFT_WORD, length = 0;

	for (i = 0; i < SWIFT_WORDS && some == SWIFT_WORD; i++) {
		if (at + (i + 1) * SWIFT_WORD > end)
			break;
		some = swift_before(swift_equal(core_word(at + i * SWIFT_WORD), '\n'));
		length += some;
	}
	*taken += length + (some < SWIFT_WORD);
	if (some == SWIFT_WORD)
		return RESPONSE_MORE;
	if (response->state == RESPONSE_IN_VALUE)
		return response_go(response, RESPONSE_AT_LINE);
	return response_turn(response, '\n');
}

core_inline enum response_event response_swift(struct response *response, const __u8 *bytes,
					       const __u8 *end, __u32 *taken)
{
	enum response_event event = RESPONSE_MORE;

	if (response->state == RESPONSE_IN_STATUS)
		response_swift_status(response, bytes, end, taken);
	else if (response->state == RESPONSE_AT_LINE)
		event = response_swift_name(response, bytes, end, taken);
	if (event != RESPONSE_MORE)
		return event;
	if (response->state == RESPONSE_IN_LENGTH && response->phase == RESPONSE_VALUE_START)
		return response_swift_length(response, bytes, end, taken);
	/* What comes first in a reason is looked at. */
	if (response->state == RESPONSE_IN_VALUE ||
	    (response->state == RESPONSE_IN_REASON && response->index == 13))
		return response_swift_line(response, bytes, end, taken);
	return RESPONSE_MORE;
}

/*
 * Take some of the bytes from `bytes` up to `end`, of which there is one at least: up to one from which
 * something follows, as many as can be taken at once, but one at least. Not while there is something to
 * skip.
 *
 * Returns the event of the last of them, as response_byte() would.
 */
core_inline enum response_event response_bytes(struct response *response, const __u8 *bytes,
					       const __u8 *end, __u32 *ret_taken)
{
	enum response_event event;

	*ret_taken = 0;
	event = response_swift(response, bytes, end, ret_taken);
	if (*ret_taken)
		return event;
	*ret_taken = 1;
	return response_byte(response, *bytes);
}

#endif
