/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes and words of HTTP: character classes by table, and names recognised without a buffer.
 */
#ifndef SLUICE_TEXT_H
#define SLUICE_TEXT_H

#include "core.h"

/* Classes of a byte. */
#define TEXT_VALUE   0x01 /* may stand in a field's value: HTAB, SP, VCHAR, obs-text */
#define TEXT_TARGET  0x02 /* may stand in a request target: VCHAR but '#' */
#define TEXT_TOKEN   0x04 /* tchar, RFC 9110 5.6.2 */
#define TEXT_TOKEN68 0x08 /* token68 but '=', RFC 9110 11.2 */
#define TEXT_HOST    0x10 /* may stand in a host name or an IPv4 address: unreserved, RFC 3986 */
#define TEXT_ALNUM   0x20 /* base62 */

#define TEXT_V	    TEXT_VALUE
#define TEXT_VT	    (TEXT_V | TEXT_TARGET)
#define TEXT_VTC    (TEXT_VT | TEXT_TOKEN)
#define TEXT_VTC6   (TEXT_VTC | TEXT_TOKEN68)
#define TEXT_VTC6H  (TEXT_VTC6 | TEXT_HOST)
#define TEXT_VTC6HA (TEXT_VTC6H | TEXT_ALNUM)

static const __u8 text_class[256] = {
	['\t'] = TEXT_V,
	[' '] = TEXT_V,
	['!'] = TEXT_VTC,
	['"'] = TEXT_VT,
	['#'] = TEXT_V | TEXT_TOKEN,
	['$' ... '\''] = TEXT_VTC,
	['(' ... ')'] = TEXT_VT,
	['*'] = TEXT_VTC,
	['+'] = TEXT_VTC6,
	[','] = TEXT_VT,
	['-' ... '.'] = TEXT_VTC6H,
	['/'] = TEXT_VT | TEXT_TOKEN68,
	['0' ... '9'] = TEXT_VTC6HA,
	[':' ... '@'] = TEXT_VT,
	['A' ... 'Z'] = TEXT_VTC6HA,
	['[' ... ']'] = TEXT_VT,
	['^'] = TEXT_VTC,
	['_'] = TEXT_VTC6H,
	['`'] = TEXT_VTC,
	['a' ... 'z'] = TEXT_VTC6HA,
	['{'] = TEXT_VT,
	['|'] = TEXT_VTC,
	['}'] = TEXT_VT,
	['~'] = TEXT_VTC6H,
	[0x80 ... 0xff] = TEXT_V,
};

core_inline bool text_is(__u8 byte, __u8 class)
{
	return text_class[byte] & class;
}

core_inline bool text_is_digit(__u8 byte)
{
	return byte >= '0' && byte <= '9';
}

/* True for SP and HTAB. */
core_inline bool text_is_blank(__u8 byte)
{
	return byte == ' ' || byte == '\t';
}

core_inline __u8 text_lower(__u8 byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/*
 * A byte of a field's name in the form that look-alikes share: in lower case, and '-' for whatever
 * is neither letter nor digit. Servers that hand fields on as environment variables (CGI and its
 * like) make one name of `X-Key-Id`, `X_Key_Id` and, some of them, `X.Key.Id`.
 */
core_inline __u8 text_name_byte(__u8 byte)
{
	return text_is(byte, TEXT_ALNUM) ? byte | 0x20 : '-'; /* digits have that bit */
}

/*
 * The last 24 bytes that were shifted in, newest in the lowest byte of part[0]. Since no byte that
 * is shifted in is NUL, a word of up to 23 bytes equals another exactly where all parts do.
 */
struct text_word {
	__u64 part[3];
};

core_inline void text_word_clear(struct text_word *word)
{
	word->part[0] = 0;
	word->part[1] = 0;
	word->part[2] = 0;
}

core_inline void text_word_add(struct text_word *word, __u8 byte)
{
	word->part[2] = word->part[2] << 8 | word->part[1] >> 56;
	word->part[1] = word->part[1] << 8 | word->part[0] >> 56;
	word->part[0] = word->part[0] << 8 | byte;
}

core_inline bool text_word_is_empty(const struct text_word *word)
{
	return !word->part[0];
}

/* Up to eight characters of a string literal as they stand in a part, at compile time. */
#define TEXT_BYTE(text, i)                                                                         \
	((i) + 1 < sizeof(text)                                                                    \
		 ? (__u64)(__u8)(text)[(i) % sizeof(text)] << (((sizeof(text) - 2 - (i)) & 7) * 8) \
		 : 0)
#define TEXT_PART(text)                                                                            \
	(TEXT_BYTE(text, 0) | TEXT_BYTE(text, 1) | TEXT_BYTE(text, 2) | TEXT_BYTE(text, 3) |       \
	 TEXT_BYTE(text, 4) | TEXT_BYTE(text, 5) | TEXT_BYTE(text, 6) | TEXT_BYTE(text, 7))

/* True where the word is `third` `second` `first`, each part but the leading one of 8 characters. */
#define text_word_is3(word, third, second, first)                                                  \
	((word)->part[0] == TEXT_PART(first) && (word)->part[1] == TEXT_PART(second) &&            \
	 (word)->part[2] == TEXT_PART(third))
#define text_word_is2(word, second, first) text_word_is3(word, "", second, first)
#define text_word_is(word, first)	   text_word_is3(word, "", "", first)

#endif
