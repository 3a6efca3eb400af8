/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What both sides of the parity test share.
 */
#ifndef SLUICE_PARITY_H
#define SLUICE_PARITY_H

#include "chunk.h"
#include "response_swift.h"

#define PARITY_INPUT_MAX 20480

struct parity_input {
	__u32 length;
	__u32 limit;	/* of a head, bytes */
	__u32 to_head;	/* the answers are to HEAD requests */
	__u32 trailers; /* may follow a chunked body */
	__u8 bytes[PARITY_INPUT_MAX];
};

/* Follow answers, one after the other, as a driver of the response machine does. */
core_inline enum response_event parity_follow(struct response *response, __u8 byte, bool to_head)
{
	enum response_event event;

	if (response->skip) {
		if (--response->skip)
			return RESPONSE_MORE;
		event = response_skipped(response);
	} else {
		event = response_byte(response, byte);
	}
	if (event == RESPONSE_END)
		response_begin(response, to_head);
	return event;
}

/* Follow a chunked body through its data too, as a driver of the parser does. */
core_inline enum chunk_event parity_chunk_byte(struct chunk *chunk, __u8 byte)
{
	if (!chunk->skip)
		return chunk_byte(chunk, byte);
	return --chunk->skip ? CHUNK_MORE : chunk_skipped(chunk);
}

#endif
