/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What most answers' heads are made of, eight bytes at a time: as http_swift.h, with response_byte() for
 * the one that alone says what an answer is.
 */
#ifndef SLUICE_RESPONSE_SWIFT_H
#define SLUICE_RESPONSE_SWIFT_H

#include "response.h"
#include "swift.h"

/* Bytes up to the LF of a line, or of as many words as can be looked at. Returns whether it is there. */
core_inline bool response_swift_lf(const __u8 *bytes, const __u8 *end, __u32 *ret_taken)
{
	__u32 i, some = SWIFT_WORD, taken = 0;

	for (i = 0; i < SWIFT_WORDS && some == SWIFT_WORD; i++) {
		if (bytes + (i + 1) * SWIFT_WORD > end)
			break;
		some = swift_before(swift_equal(core_word(bytes + i * SWIFT_WORD), '\n'));
		taken += some;
	}
	*ret_taken = taken + (some < SWIFT_WORD);
	return some < SWIFT_WORD;
}

/* The rest of a line that is not looked at. */
core_inline enum response_event response_swift_line(struct response *response, const __u8 *bytes,
						    const __u8 *end, __u32 *ret_taken)
{
	if (!response_swift_lf(bytes, end, ret_taken))
		return RESPONSE_MORE;
	if (response->state == RESPONSE_IN_VALUE)
		return response_go(response, RESPONSE_AT_LINE);
	return response_turn(response, '\n');
}

/* A status line with a space behind the status. */
core_inline enum response_event response_swift_status(struct response *response, const __u8 *bytes,
						      const __u8 *end, __u32 *ret_taken)
{
	__u64 first, second;
	__u8 hundreds, tens, ones;
	enum response_event event;

	if (response->index || bytes + 2 * SWIFT_WORD > end)
		return RESPONSE_MORE;
	first = core_swap_bytes(core_word(bytes));
	second = core_word(bytes + SWIFT_WORD);
	hundreds = second >> 8;
	tens = second >> 16;
	ones = second >> 24;
	if (!swift_begins(first, "HTTP/1.") || !text_is_digit(first) || (__u8)second != ' ' ||
	    !text_is_digit(hundreds) || hundreds == '0' || !text_is_digit(tens) ||
	    !text_is_digit(ones) || (__u8)(second >> 32) != ' ')
		return RESPONSE_MORE;
	response->minor = (__u8)first - '0';
	response->status = (hundreds - '0') * 100 + (tens - '0') * 10 + (ones - '0');
	response->index = 13;
	response->state = RESPONSE_IN_REASON;
	event = response_swift_line(response, bytes + 13, end, ret_taken);
	*ret_taken += 13;
	return event;
}

core_inline enum response_event response_swift_length(struct response *response, const __u8 *bytes,
						      const __u8 *end, __u32 *ret_taken)
{
	__u64 word = swift_word(bytes, end), behind;
	__u32 digits = swift_digits(word >> 8);

	if ((__u8)word != ' ' || !digits)
		return RESPONSE_MORE;
	response->number = swift_number(word >> 8, digits);
	response->phase = RESPONSE_VALUE_INSIDE;
	*ret_taken = 1 + digits;
	behind = swift_word(bytes + 1 + digits, end);
	if ((__u16)behind != SWIFT_CRLF)
		return RESPONSE_MORE;
	response->phase = RESPONSE_VALUE_CR;
	*ret_taken += 2;
	return response_length_end(response);
}

/* The end of the head, or a field. */
core_inline enum response_event response_swift_field(struct response *response, const __u8 *bytes,
						     const __u8 *end, __u32 *ret_taken)
{
	struct text_word name;
	__u32 length = swift_name(bytes, end, &name), value = 0;
	enum response_event event;

	if (!length && (__u16)swift_word(bytes, end) == SWIFT_CRLF) {
		*ret_taken = 2;
		return response_head_end(response);
	}
	if (!length)
		return RESPONSE_MORE;
	response->word = name;
	event = response_name_byte(response, ':');
	bytes += length + 1;
	if (response->state == RESPONSE_IN_VALUE)
		event = response_swift_line(response, bytes, end, &value);
	else if (response->state == RESPONSE_IN_LENGTH)
		event = response_swift_length(response, bytes, end, &value);
	*ret_taken = length + 1 + value;
	return event;
}

core_inline enum response_event response_swift(struct response *response, const __u8 *bytes,
					       const __u8 *end, __u32 *ret_taken)
{
	switch (response->state) {
	case RESPONSE_IN_STATUS:
		return response_swift_status(response, bytes, end, ret_taken);
	case RESPONSE_AT_LINE:
		return response_swift_field(response, bytes, end, ret_taken);
	case RESPONSE_IN_REASON:
		if (response->index == 12) /* what comes first in it is looked at */
			return RESPONSE_MORE;
		/* fall through */
	case RESPONSE_IN_VALUE:
		return response_swift_line(response, bytes, end, ret_taken);
	default:
		return RESPONSE_MORE;
	}
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
