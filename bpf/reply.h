/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What varies in the gate's own answers (struct reply_template). */
#ifndef SLUICE_REPLY_H
#define SLUICE_REPLY_H

#include "abi.h"
#include "core.h"
#include "limit.h"

#define REPLY_RETRY_AFTER_MAX 99999 /* what its place can hold */
#define REPLY_TRACE_PART      6	    /* characters of a trace id that one random number makes */

/* A number below 100,000,000: its digits, one in each byte, the first of them lowest. */
core_inline __u64 reply_digits(__u64 value)
{
	/* BPF's compiler leaves a division as it is: these multiply, and are exact up to here. */
	__u64 fours = value * 109951163 >> 40, twos, ones;

	fours |= (value - fours * 10000) << 32;
	twos = (fours * 10486 >> 20) & 0x0000007f0000007fULL;
	twos |= (fours - twos * 100) << 16;
	ones = (twos * 103 >> 10) & 0x000f000f000f000fULL;
	return ones | (twos - ones * 10) << 8;
}

/*
 * Write a number in decimal at p, right-aligned in width places, up to 8.
 *
 * fill		what stands before the first digit
 */
core_inline void reply_put_number(__u8 *p, const int width, __u64 value, __u8 fill)
{
	__u64 digits = reply_digits(value) >> (8 - width) * 8;
	__u64 first = digits | 1ULL << (width - 1) * 8; /* 0 has a digit, too */
	__u64 before = ((first & -first) - 1) & 0x1010101010101010ULL;

	digits += 0x3030303030303030ULL - (before >> 4) * ('0' - fill);
	for (int i = 0; i < width; i++)
		p[i] = digits >> i * 8;
}

/* Write milliseconds since the epoch, right-aligned in REPLY_RESET_WIDTH places. */
core_inline void reply_put_reset(__u8 *p, __u64 reset_ms)
{
	__u64 high = reset_ms / 100000000, low = reset_ms - high * 100000000;
	const int width = REPLY_RESET_WIDTH - 8;

	reply_put_number(p, width, high, ' ');
	reply_put_number(p + width, 8, low, high ? '0' : ' ');
	if (!high)
		p[width - 1] = ' ';
}

/* Write the seconds until a minute since the epoch, RFC 9110 10.2.3. */
core_inline void reply_put_retry_after(__u8 *p, __u32 reset_minute, __u64 now_ms)
{
	__u64 reset_ms = reset_minute * LIMIT_MINUTE_MS;
	__u64 seconds = reset_ms > now_ms ? (reset_ms - now_ms + 999) / 1000 : 1;

	if (seconds > REPLY_RETRY_AFTER_MAX) /* the clock was set back by more than a day */
		seconds = REPLY_RETRY_AFTER_MAX;
	reply_put_number(p, REPLY_RETRY_AFTER_WIDTH, seconds, ' ');
}

/* Write REPLY_TRACE_PART characters of a-z0-9. */
core_inline void reply_put_trace(__u8 *p, __u32 random)
{
	for (int i = 0; i < REPLY_TRACE_PART; i++) {
		__u64 scaled = (__u64)random * 36;
		__u8 digit = scaled >> 32;

		p[i] = digit < 26 ? 'a' + digit : '0' + digit - 26;
		random = scaled;
	}
}

#endif
