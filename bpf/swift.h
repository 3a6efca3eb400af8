/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Eight bytes looked at side by side, the first of them lowest. What is found stands in the highest bit of
 * each.
 */
#ifndef SLUICE_SWIFT_H
#define SLUICE_SWIFT_H

#include "text.h"

#define SWIFT_WORD  8 /* bytes */
#define SWIFT_WORDS 7 /* that are looked at in one go: a key is shorter */
#define SWIFT_NAME  3 /* words of a field's name: struct text_word holds as many */

#define SWIFT_CRLF ('\n' << 8 | '\r')

#define SWIFT_EACH(byte) (0x0101010101010101ULL * (byte))
#define SWIFT_HIGH	 SWIFT_EACH(0x80)

/* How many bytes come before the first that was found. */
core_inline __u32 swift_before(__u64 found)
{
	if (!found)
		return SWIFT_WORD;
	return ((((found & -found) >> 7) - 1) & SWIFT_EACH(1)) * SWIFT_EACH(1) >> 56;
}

/* Bytes below another of up to 0x80: the first that is found is one, those behind it may not be. */
core_inline __u64 swift_below(__u64 word, __u8 byte)
{
	return (word - SWIFT_EACH(byte)) & ~word & SWIFT_HIGH;
}

/* Likewise, those that equal it. */
core_inline __u64 swift_equal(__u64 word, __u8 byte)
{
	return swift_below(word ^ SWIFT_EACH(byte), 1);
}

/* Bytes of ASCII from one to another, exactly. */
core_inline __u64 swift_within(__u64 word, __u8 first, __u8 last)
{
	__u64 ascii = word & ~SWIFT_HIGH;

	return (ascii + SWIFT_EACH(0x80 - first)) & ~(ascii + SWIFT_EACH(0x7f - last)) & ~word &
	       SWIFT_HIGH;
}

core_inline __u64 swift_alnum(__u64 word)
{
	return swift_within(word | SWIFT_EACH(0x20), 'a', 'z') | swift_within(word, '0', '9');
}

/* Bytes that may not stand in a name, or whose form in struct text_word is another's, too. */
core_inline __u64 swift_not_name(__u64 word)
{
	return ~(swift_alnum(word) | swift_within(word, '-', '-')) & SWIFT_HIGH;
}

/* How many digits come first. */
core_inline __u32 swift_digits(__u64 word)
{
	return swift_before(~swift_within(word, '0', '9') & SWIFT_HIGH);
}

/* The number that so many digits make. */
core_inline __u64 swift_number(__u64 word, __u32 digits)
{
	__u64 number = 0;

	for (__u32 i = 0; i < SWIFT_WORD && i < digits; i++, word >>= 8)
		number = number * 10 + (word & 0xf);
	return number;
}

/* Whether the first characters of a word, its bytes swapped, are these. */
#define swift_begins(swapped, text)                                                                \
	((swapped) >> (SWIFT_WORD + 1 - sizeof(text)) * 8 == TEXT_PART(text))

/* Shift in the first bytes of a word, its bytes swapped. By halves, as one shift is of 63 bits at most. */
core_inline void swift_add(struct text_word *name, __u64 swapped, __u32 bytes)
{
	__u32 up = bytes * 4, down = 32 - up;

	name->part[2] = name->part[2] << up << up | name->part[1] >> down >> down;
	name->part[1] = name->part[1] << up << up | name->part[0] >> down >> down;
	name->part[0] = name->part[0] << up << up | swapped >> down >> down;
}

/* The eight bytes at a place; where fewer are left, four or none, and NUL behind them. */
core_inline __u64 swift_word(const __u8 *bytes, const __u8 *end)
{
	if (bytes + SWIFT_WORD <= end)
		return core_word(bytes);
	return bytes + SWIFT_WORD / 2 <= end ? core_half_word(bytes) : 0;
}

/*
 * Read a field's name up to its colon.
 *
 * ret_name	in lower case
 *
 * Returns its length in bytes; 0 where it does not end before `end`, or is not of letters, digits and
 * '-' alone.
 */
core_inline __u32 swift_name(const __u8 *bytes, const __u8 *end, struct text_word *ret_name)
{
	__u32 i, some = SWIFT_WORD, length = 0;
	__u64 word = 0;

	text_word_clear(ret_name);
	for (i = 0; i < SWIFT_NAME && some == SWIFT_WORD; i++) {
		if (bytes + (i + 1) * SWIFT_WORD > end)
			return 0;
		word = core_word(bytes + i * SWIFT_WORD);
		some = swift_before(swift_not_name(word));
		swift_add(ret_name, core_swap_bytes(word | SWIFT_EACH(0x20)), some);
		length += some;
	}
	return some < SWIFT_WORD && (word >> some * 8 & 0xff) == ':' ? length : 0;
}

#endif
