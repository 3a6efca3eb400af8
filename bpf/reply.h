/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What varies in the gate's own answers (struct reply_template). */
#ifndef SLUICE_REPLY_H
#define SLUICE_REPLY_H

#include "abi.h"
#include "core.h"
#include "limit.h"

#define REPLY_RETRY_AFTER_MAX 99999 /* what its place can hold */
#define REPLY_TRACE_PART      6	    /* characters of a trace id that one random number makes */

/* Write value in decimal at p, right-aligned in width places. The rest stays as it is. */
core_inline void reply_put_digits(__u8 *p, int width, __u64 value)
{
	for (int i = width - 1; i >= 0; i--) {
		p[i] = '0' + value % 10;
		value /= 10;
		if (!value)
			break;
	}
}

/* Write the seconds until a minute since the epoch, RFC 9110 10.2.3. */
core_inline void reply_put_retry_after(__u8 *p, __u32 reset_minute, __u64 now_ms)
{
	__u64 reset_ms = reset_minute * LIMIT_MINUTE_MS;
	__u64 seconds = reset_ms > now_ms ? (reset_ms - now_ms + 999) / 1000 : 1;

	if (seconds > REPLY_RETRY_AFTER_MAX) /* the clock was set back by more than a day */
		seconds = REPLY_RETRY_AFTER_MAX;
	reply_put_digits(p, REPLY_RETRY_AFTER_WIDTH, seconds);
}

/* Write REPLY_TRACE_PART characters of a-z0-9. */
core_inline void reply_put_trace(__u8 *p, __u32 random)
{
	for (int i = 0; i < REPLY_TRACE_PART; i++) {
		__u32 digit = random % 36;

		p[i] = digit < 26 ? 'a' + digit : '0' + digit - 26;
		random /= 36;
	}
}

#endif
