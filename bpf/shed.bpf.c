// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What comes from a source that is shed to a protected port is dropped where it arrives, before TCP or any
 * other program spends time on it.
 *
 * On the network interfaces that the configuration names. It relieves, and does not protect: whatever
 * cannot be read is passed, and met by the guard and the verdict program as without it.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "shed_slot.h"
#include "source.bpf.h"

/* Of the table; written by the daemon before it loads. */
const volatile __u64 shed_seeds[4] = { 0 };
const volatile __u32 shed_bits = 1;

#define VLAN_TAGS_MAX	    2 /* IEEE 802.1ad: the provider's and the customer's */
#define VLAN_TAG_SIZE	    4
#define IPV6_EXTENSIONS_MAX 6
#define IPV6_EXTENSION_UNIT 8 /* bytes: their least length, and what it is counted in */

#define IPV4_OFFSET 0x1fff /* where in its packet a fragment lies, RFC 791 3.1 */
#define IPV6_OFFSET 0xfff8 /* RFC 8200 4.5 */

/* Skip the Ethernet header. Returns what is behind it, of ret_type; NULL where it is cut. */
static __always_inline const __u8 *behind_ethernet(const __u8 *at, const __u8 *end,
						   __be16 *ret_type)
{
	const struct ethhdr *ethernet = (const struct ethhdr *)at;
	__be16 type;

	at += sizeof(*ethernet);
	if (at > end)
		return NULL;
	type = ethernet->h_proto;
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if (at + VLAN_TAG_SIZE > end)
			return NULL;
		type = *(const __be16 *)(at + 2);
		at += VLAN_TAG_SIZE;
	}
	*ret_type = type;
	return at;
}

/* A TCP header at a place; NULL where it is cut. */
static __always_inline const struct tcphdr *whole_tcp(const __u8 *at, const __u8 *end)
{
	return at + sizeof(struct tcphdr) > end ? NULL : (const struct tcphdr *)at;
}

/* NULL: there is none, or in another fragment. */
static __always_inline const struct tcphdr *tcp_of_ipv4(const __u8 *at, const __u8 *end)
{
	const struct iphdr *ip = (const struct iphdr *)at;

	if (at + sizeof(*ip) > end || ip->version != 4 || ip->ihl * 4 < sizeof(*ip) ||
	    ip->protocol != IPPROTO_TCP || ip->frag_off & bpf_htons(IPV4_OFFSET))
		return NULL;
	return whole_tcp(at + ip->ihl * 4, end);
}

/* Bytes of an extension header (RFC 8200 4); 0: it is another's, or TCP is not behind it. */
static __always_inline __u32 extension_length(const __u8 *at, __u8 type)
{
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return (at[1] + 1) * IPV6_EXTENSION_UNIT;
	case IPPROTO_FRAGMENT:
		return *(const __be16 *)(at + 2) & bpf_htons(IPV6_OFFSET) ? 0 : IPV6_EXTENSION_UNIT;
	default:
		return 0;
	}
}

static __always_inline const struct tcphdr *tcp_of_ipv6(const __u8 *at, const __u8 *end)
{
	const struct ipv6hdr *ip = (const struct ipv6hdr *)at;
	__u32 length;
	__u8 next;

	at += sizeof(*ip);
	if (at > end || ip->version != 6)
		return NULL;
	next = ip->nexthdr;
	for (int i = 0; i < IPV6_EXTENSIONS_MAX && next != IPPROTO_TCP; i++) {
		if (at + IPV6_EXTENSION_UNIT > end)
			return NULL;
		length = extension_length(at, next);
		if (!length)
			return NULL;
		next = at[0];
		at += length;
	}
	return next == IPPROTO_TCP ? whole_tcp(at, end) : NULL;
}

static __always_inline bool is_protected(__be16 port)
{
	__u32 number = bpf_ntohs(port), index = number / PORT_WORD_BITS;
	const __u64 *word = bpf_map_lookup_elem(&shed_ports, &index);

	return word && *word >> number % PORT_WORD_BITS & 1;
}

static __always_inline bool is_same(const struct source *a, const struct source *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1] &&
	       a->words[2] == b->words[2] && a->words[3] == b->words[3];
}

/* No other program counts this, and none of a processor's packets comes amid another. */
static __always_inline void count_dropped(void)
{
	__u32 index = COUNTER_SHED_DROPPED;
	__u64 *value = bpf_map_lookup_elem(&counters, &index);

	if (value)
		*value += 1;
}

/*
 * The daemon may be at work in the table: then one packet that should be dropped may pass, or the other
 * way round, and TCP sends it again. Packets of a source may come by on several processors at once.
 */
static __always_inline int drop_shed(const struct source *source)
{
	__u32 slot = shed_slot(source, shed_seeds, shed_bits);
	struct shed_source *there;

	for (int i = 0; i < SHED_PROBES; i++, slot++) {
		there = bpf_map_lookup_elem(&shed, &slot);
		if (!there || !there->until)
			return XDP_PASS;
		if (!is_same(&there->source, source))
			continue;
		if (bpf_jiffies64() >= there->until)
			return XDP_PASS;
		__sync_fetch_and_add(&there->dropped, 1);
		count_dropped();
		return XDP_DROP;
	}
	return XDP_PASS;
}

static __always_inline int judge_ipv4(const __u8 *at, const __u8 *end)
{
	const struct tcphdr *tcp = tcp_of_ipv4(at, end);
	struct source source = { .words[2] = bpf_htonl(0xffff) };

	if (!tcp || !is_protected(tcp->dest))
		return XDP_PASS;
	source.words[3] = ((const struct iphdr *)at)->saddr & ipv4_mask;
	return drop_shed(&source);
}

static __always_inline int judge_ipv6(const __u8 *at, const __u8 *end)
{
	const struct tcphdr *tcp = tcp_of_ipv6(at, end);
	const struct ipv6hdr *ip = (const struct ipv6hdr *)at;
	struct source source;

	if (!tcp || !is_protected(tcp->dest))
		return XDP_PASS;
	for (int i = 0; i < 4; i++)
		source.words[i] = ip->saddr.in6_u.u6_addr32[i] & ipv6_mask[i];
	return drop_shed(&source);
}

/* Packets of several pages, too: their headers are in the first. */
SEC("xdp.frags")
int sluice_shed(struct xdp_md *packet)
{
	const __u8 *end = (const __u8 *)(long)packet->data_end;
	__be16 type = 0;
	const __u8 *at = behind_ethernet((const __u8 *)(long)packet->data, end, &type);

	if (!at)
		return XDP_PASS;
	if (type == bpf_htons(ETH_P_IP))
		return judge_ipv4(at, end);
	if (type == bpf_htons(ETH_P_IPV6))
		return judge_ipv6(at, end);
	return XDP_PASS;
}

/* Tell the daemon the time that sources go by: it is read without a call, and user space has no other way. */
SEC("syscall")
int sluice_ticks(struct ticks *ticks)
{
	ticks->now = bpf_jiffies64();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
