// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The decision core as the kernel runs it, on what the test puts into the variables below. Each
 * program leaves what it found in them, to be compared with what user space found.
 */
#include "read.bpf.h"
#include "decide.h"
#include "response.h"
#include "scan.bpf.h"
#include "parity.h"

/* In */
struct parity_input input;
struct token token;
struct settings settings;
struct key_policy policy;
struct key_digest wanted;
__u64 now_ms;

/* In and out */
struct key_usage usage;
struct chunk chunk;

/* Out */
struct http_head head;
struct key_digest digest;
struct limit_state state;
struct grant grant;
struct decision decision;
struct response response;
__u32 end;
__u8 events[PARITY_INPUT_MAX];

/* The head in the packet. */
SEC("tc")
int parity_packet(struct __sk_buff *skb)
{
	http_head_begin(&head, input.limit);
	return read_head(skb, &head);
}

static long take_head_byte(__u32 index, void *context)
{
	__u32 *result = context;

	if (index >= input.length || index >= PARITY_INPUT_MAX)
		return 1;
	*result = http_head_byte(&head, input.bytes[index]);
	return *result != HTTP_MORE;
}

/* The head in input.bytes. */
SEC("tc")
int parity_head(struct __sk_buff *skb)
{
	__u32 result = HTTP_MORE;

	http_head_begin(&head, input.limit);
	bpf_loop(PARITY_INPUT_MAX, take_head_byte, &result, 0);
	return result;
}

static long take_response_byte(__u32 index, void *context)
{
	enum response_event event;

	if (index >= input.length || index >= PARITY_INPUT_MAX)
		return 1;
	event = parity_follow(&response, input.bytes[index], input.to_head);
	events[index] = event;
	return 0;
}

/* The answers in input.bytes. */
SEC("tc")
int parity_response(struct __sk_buff *skb)
{
	response_begin(&response, input.to_head);
	bpf_loop(PARITY_INPUT_MAX, take_response_byte, NULL, 0);
	return 0;
}

static long take_chunk_byte(__u32 index, void *context)
{
	if (index >= input.length || index >= PARITY_INPUT_MAX)
		return 1;
	events[index] = parity_chunk_byte(&chunk, input.bytes[index]);
	return 0;
}

/* The chunked body in input.bytes. */
SEC("tc")
int parity_chunks(struct __sk_buff *skb)
{
	chunk_begin(&chunk, input.trailers);
	bpf_loop(PARITY_INPUT_MAX, take_chunk_byte, NULL, 0);
	return 0;
}

/* More of the chunked body that `chunk` stands in, in the packet behind input.length bytes. */
SEC("tc")
int parity_scan(struct __sk_buff *skb)
{
	return scan_chunks(skb, &chunk, input.length, &end);
}

/* The token, input.length characters long. */
SEC("tc")
int parity_token(struct __sk_buff *skb)
{
	return decide_token(&token, input.length, &settings, &digest, &decision);
}

/* A request under policy. */
SEC("tc")
int parity_limit(struct __sk_buff *skb)
{
	enum limit_result result =
		limit_take(&usage, policy.per_minute, policy.per_day, now_ms, &state);

	if (result == LIMIT_USED_UP)
		limit_count_refused(&usage);
	return result;
}

/* A key, from what is known of it to the verdict. */
SEC("tc")
int parity_key(struct __sk_buff *skb)
{
	if (!decide_again(&token, &settings, &usage, now_ms, &grant) &&
	    !decide_key(&policy, &wanted, now_ms, &grant, &decision))
		return 0;
	return decide_usage(&usage, &grant, now_ms, &decision);
}

char _license[] SEC("license") = "Dual BSD/GPL";
