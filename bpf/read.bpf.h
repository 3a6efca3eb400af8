/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Read a request's head where it lies: in a socket buffer. Kernel only.
 */
#ifndef SLUICE_READ_BPF_H
#define SLUICE_READ_BPF_H

#include "abi.h"
#include "http.h"

/* A head's limit must be smaller: what lies behind cannot be reached in a buffer. */
#define READ_HEAD_MAX 32768
#define READ_BLOCKS   4 /* pieces of HTTP_PLAIN bytes for each call of read_step() */

_Static_assert(HEAD_LIMIT_MAX + 3 < READ_HEAD_MAX,
	       "the largest head, an empty line, one byte more");

struct read_state {
	struct __sk_buff *skb;
	struct http_head *head;
	enum http_result result;
};

/* The loop stays one: written out, the verifier would have to walk through each of its rounds. */
static __always_inline enum http_result read_block(struct http_head *head, const __u8 *bytes)
{
	enum http_result result = HTTP_MORE;
	__u32 i;

	if (http_head_plain(head, bytes))
		return HTTP_MORE;
#pragma clang loop unroll(disable)
	for (i = 0; i < HTTP_PLAIN && result == HTTP_MORE; i++)
		result = http_head_byte(head, bytes[i]);
	return result;
}

/*
 * Blocks while there are whole ones, since it is calls that cost most here; then single bytes. The
 * head's length is where it goes on: a count of our own would be followed value by value.
 */
static long read_step(__u32 index, void *context)
{
	struct read_state *state = context;
	struct http_head *head = state->head;
	const __u8 *bytes = (const __u8 *)(long)state->skb->data;
	const __u8 *end = (const __u8 *)(long)state->skb->data_end;
	__u32 i;

	bytes += head->length & (READ_HEAD_MAX - 1);
#pragma clang loop unroll(disable)
	for (i = 0; i < READ_BLOCKS; i++) {
		if (bytes + (i + 1) * HTTP_PLAIN > end)
			break;
		state->result = read_block(head, bytes + i * HTTP_PLAIN);
		if (state->result != HTTP_MORE)
			return 1;
	}
	if (i)
		return 0;
	if (bytes + 1 > end)
		return 1;
	state->result = http_head_byte(head, *bytes);
	return state->result != HTTP_MORE;
}

/*
 * Run the parser over a buffer's bytes, which must lie in one piece (bpf_skb_pull_data).
 *
 * head		was begun, with a limit of less than READ_HEAD_MAX; the head begins where the buffer does
 *
 * Returns HTTP_MORE where the buffer ends before the head does, else what the parser said.
 *
 * Not static, so that the verifier looks at it once, by itself, and not again wherever it is called.
 */
__weak __noinline enum http_result read_head(struct __sk_buff *skb, struct http_head *head)
{
	struct read_state state = { .skb = skb, .head = head, .result = HTTP_MORE };

	if (!head)
		return HTTP_BAD;
	bpf_loop(READ_HEAD_MAX, read_step, &state, 0);
	return state.result;
}

#endif
