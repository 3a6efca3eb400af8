/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Read a request's head where it lies: in a socket buffer. Kernel only.
 */
#ifndef SLUICE_READ_BPF_H
#define SLUICE_READ_BPF_H

#include "abi.h"
#include "http_swift.h"

_Static_assert(HEAD_LIMIT_MAX + 3 < HTTP_REACH, "the largest head, an empty line, one byte more");

struct read_state {
	struct __sk_buff *skb;
	struct http_head *head;
	enum http_result result;
};

/*
 * The head's length is where it goes on: a count of our own would be followed value by value.
 */
static long read_step(__u32 index, void *context)
{
	struct read_state *state = context;
	const struct http_text text = {
		.begin = (const __u8 *)(long)state->skb->data,
		.end = (const __u8 *)(long)state->skb->data_end,
	};

	if (swift_at(state->head, &text) + 1 > text.end)
		return 1;
	state->result = http_head_bytes(state->head, &text);
	return state->result != HTTP_MORE;
}

/*
 * Run the parser over a buffer's bytes, which must lie in one piece (bpf_skb_pull_data).
 *
 * head		was begun, with a limit of less than HTTP_REACH; the head begins where the buffer does
 *
 * Returns HTTP_MORE where the buffer ends before the head does, else what the parser said.
 */
core_global enum http_result read_head(struct __sk_buff *skb, struct http_head *head)
{
	struct read_state state = { .skb = skb, .head = head, .result = HTTP_MORE };

	if (!head)
		return HTTP_BAD;
	bpf_loop(HTTP_REACH, read_step, &state, 0);
	return state.result;
}

#endif
