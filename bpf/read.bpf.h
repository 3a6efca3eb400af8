/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Read a request's head where it lies: in a socket buffer. Kernel only.
 */
#ifndef SLUICE_READ_BPF_H
#define SLUICE_READ_BPF_H

#include "http.h"

/* A head's limit must be smaller: what lies behind cannot be reached in a buffer. */
#define READ_HEAD_MAX 32768
#define READ_STEP     16 /* bytes read between two checks of where the buffer ends */

struct read_state {
	struct __sk_buff *skb;
	struct http_head *head;
	__u32 from; /* where the bytes begin that read_byte() takes */
	enum http_result result;
};

/* The offsets come from the loop's index: a count of our own would be followed value by value. */
static long read_block(__u32 index, void *context)
{
	struct read_state *state = context;
	const __u8 *end = (const __u8 *)(long)state->skb->data_end;
	const __u8 *bytes = (const __u8 *)(long)state->skb->data;
	__u32 i;

	bytes += (index * READ_STEP) & (READ_HEAD_MAX - 1);
	if (bytes + READ_STEP > end)
		return 1;
	for (i = 0; i < READ_STEP; i++) {
		state->result = http_head_byte(state->head, bytes[i]);
		if (state->result != HTTP_MORE)
			return 1;
	}
	return 0;
}

static long read_byte(__u32 index, void *context)
{
	struct read_state *state = context;
	const __u8 *end = (const __u8 *)(long)state->skb->data_end;
	const __u8 *byte = (const __u8 *)(long)state->skb->data;

	byte += (state->from + index) & (READ_HEAD_MAX - 1);
	if (byte + 1 > end)
		return 1;
	state->result = http_head_byte(state->head, *byte);
	return state->result != HTTP_MORE;
}

/*
 * Run the parser over a buffer's bytes, which must lie in one piece (bpf_skb_pull_data).
 *
 * head		was begun, with a limit of less than READ_HEAD_MAX
 *
 * Returns HTTP_MORE where the buffer ends before the head does, else what the parser said.
 */
static __noinline enum http_result read_head(struct __sk_buff *skb, struct http_head *head)
{
	struct read_state state = { .skb = skb, .head = head, .result = HTTP_MORE };

	bpf_loop(READ_HEAD_MAX / READ_STEP, read_block, &state, 0);
	if (state.result != HTTP_MORE)
		return state.result;
	state.from = head->length;
	bpf_loop(READ_STEP, read_byte, &state, 0);
	return state.result;
}

#endif
