// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The parts of a decision, each a program of its own to be timed (core.c), on the gate's own tables.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "core.h"
#include "decide.h"
#include "maps.bpf.h"
#include "read.bpf.h"
#include "response_swift.h"

#include "core_keys.h"

/* The shed's own program, and with it the licence. */
#include "shed.bpf.c"

/* In */
__u32 key_count;
struct token token;
__u32 token_length;

/* Between the parts */
struct http_head head;
struct response response;
struct key_digest digest;
struct grant grant;
struct decision decision;

/* The head in the packet. */
SEC("tc")
int core_head(struct __sk_buff *skb)
{
	http_head_begin(&head, HEAD_LIMIT_MAX);
	return read_head(skb, &head);
}

static long follow_some(__u32 index, struct __sk_buff **skb)
{
	const __u8 *bytes = (const __u8 *)(long)(*skb)->data;
	const __u8 *end = (const __u8 *)(long)(*skb)->data_end;
	__u32 taken;

	bytes += response.reserved[0];
	if (bytes + 1 > end)
		return 1;
	if (response_bytes(&response, bytes, end, &taken) > RESPONSE_STATUS)
		return 1;
	response.reserved[0] += taken;
	return 0;
}

/* The head of the answer in the packet, of less than 256 bytes. */
SEC("tc")
int core_response(struct __sk_buff *skb)
{
	response_begin(&response, false);
	bpf_loop(256, follow_some, &skb, 0);
	return response.state;
}

/* The key's text. */
SEC("tc")
int core_digest(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct settings *set = bpf_map_lookup_elem(&settings, &zero);

	return set && decide_token(&token, token_length, set, &digest, &decision);
}

static __always_inline bool look_up(__u32 number)
{
	digest = core_key_digest(number);
	return decide_key(bpf_map_lookup_elem(&keys, &digest), &digest, 1, &grant, &decision);
}

static __always_inline bool look_up_any(void)
{
	return look_up(bpf_get_prandom_u32() % (key_count ?: 1));
}

/* A random key. */
SEC("tc")
int core_look_up(struct __sk_buff *skb)
{
	return look_up_any();
}

/* Whether or not its limits are used up by then. */
static __always_inline void take(void)
{
	decide_usage(bpf_map_lookup_elem(&usage, &grant.slot), &grant,
		     bpf_ktime_get_tai_ns() / 1000000, &decision);
}

/* One more request of the key that was looked up last. */
SEC("tc")
int core_window(struct __sk_buff *skb)
{
	take();
	return true;
}

/* The key that came before. */
SEC("tc")
int core_again(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct settings *set = bpf_map_lookup_elem(&settings, &zero);
	struct key_usage *used = bpf_map_lookup_elem(&usage, &grant.slot);

	if (!set || !used)
		return false;
	return decide_again(&token, set, used, 1, &grant) || (look_up(0) && (used->version = 1));
}

/* All of it. */
SEC("tc")
int core_decision(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct settings *set = bpf_map_lookup_elem(&settings, &zero);

	http_head_begin(&head, HEAD_LIMIT_MAX);
	if (!set || read_head(skb, &head) != HTTP_DONE ||
	    !decide_token(&token, token_length, set, &digest, &decision) || !look_up_any())
		return false;
	take();
	return true;
}

/* What no program can do without. */
SEC("xdp.frags")
int core_drop(struct xdp_md *packet)
{
	return XDP_DROP;
}
