// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the shed's program makes of packets, whole, cut and broken, as the kernel runs it on them
 * (BPF_PROG_TEST_RUN): it drops what it can read, and passes all else.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../user/util.h"
#include "shed_slot.h"
#include "sluice.skel.h"

#define PORT	     8080
#define PACKET_MAX   1024
#define PACKET_MIN   ETH_HLEN /* what a run takes at least */
#define RANDOM_COUNT 200000
#define SHED_BITS    2 /* of slots */

#define ETH_QINQ ETH_P_8021AD

/* Extension headers, RFC 8200 4. */
enum { HOPS = 0, ROUTING = 43, FRAGMENT = 44, ESP = 50, AUTHENTICATION = 51, OPTIONS = 60 };

static struct sluice_bpf *programs;

struct packet {
	uint8_t bytes[PACKET_MAX];
	size_t length;
};

static void put(struct packet *packet, const void *bytes, size_t size)
{
	assert_true(packet->length + size <= PACKET_MAX);
	memcpy(packet->bytes + packet->length, bytes, size);
	packet->length += size;
}

static void put_ethernet(struct packet *packet, uint16_t type)
{
	const struct ethhdr ethernet = { .h_proto = htons(type) };

	put(packet, &ethernet, sizeof(ethernet));
}

static void put_tag(struct packet *packet, uint16_t type)
{
	const uint16_t tag[2] = { htons(5), htons(type) };

	put(packet, tag, sizeof(tag));
}

static void put_ipv4(struct packet *packet, const char *source, unsigned int words,
		     uint16_t fragment)
{
	static const uint8_t options[60] = { 0 };
	struct iphdr ip = {
		.version = 4, .ihl = words, .protocol = IPPROTO_TCP, .frag_off = htons(fragment)
	};

	assert_int_equal(inet_pton(AF_INET, source, &ip.saddr), 1);
	put(packet, &ip, sizeof(ip));
	if (words > 5)
		put(packet, options, words * 4 - sizeof(ip));
}

static void put_ipv6(struct packet *packet, const char *source, uint8_t next)
{
	struct ipv6hdr ip = { .version = 6, .nexthdr = next };

	assert_int_equal(inet_pton(AF_INET6, source, &ip.saddr), 1);
	put(packet, &ip, sizeof(ip));
}

/* An extension header of units of 8 bytes, which says that next is behind it. */
static void put_extension(struct packet *packet, uint8_t next, unsigned int units)
{
	uint8_t bytes[8 * 4] = { next, units - 1 };

	put(packet, bytes, units * 8);
}

static void put_fragment(struct packet *packet, uint8_t next, uint16_t offset)
{
	const uint16_t header[4] = { htons(next << 8), htons(offset) };

	put(packet, header, sizeof(header));
}

static void put_tcp(struct packet *packet, uint16_t port)
{
	const struct tcphdr tcp = { .dest = htons(port), .doff = 5, .syn = 1 };

	put(packet, &tcp, sizeof(tcp));
}

static enum xdp_action run(const struct packet *packet)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->bytes,
		    .data_size_in = packet->length);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(programs->progs.sluice_shed), &options), 0);
	return options.retval;
}

/* --- the kinds of packets ------------------------------------------------------------------------- */

#define BAD4  "203.0.113.7"
#define GOOD4 "203.0.113.8"
#define OVER4 "203.0.113.9" /* whose time is over */
#define BAD6  "2001:db8:0:7::1"
#define GOOD6 "2001:db8:0:8::1"

static void plain(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IP);
	put_ipv4(packet, BAD4, 5, 0);
	put_tcp(packet, PORT);
}

static void of_others(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IP);
	put_ipv4(packet, GOOD4, 5, 0);
	put_tcp(packet, PORT);
}

static void over(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IP);
	put_ipv4(packet, OVER4, 5, 0);
	put_tcp(packet, PORT);
}

static void to_other_port(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IP);
	put_ipv4(packet, BAD4, 5, 0);
	put_tcp(packet, PORT + 1);
}

static void tagged(struct packet *packet)
{
	put_ethernet(packet, ETH_P_8021Q);
	put_tag(packet, ETH_P_IP);
	put_ipv4(packet, BAD4, 5, 0);
	put_tcp(packet, PORT);
}

static void tagged_twice(struct packet *packet)
{
	put_ethernet(packet, ETH_QINQ);
	put_tag(packet, ETH_P_8021Q);
	put_tag(packet, ETH_P_IPV6);
	put_ipv6(packet, BAD6, IPPROTO_TCP);
	put_tcp(packet, PORT);
}

static void tagged_thrice(struct packet *packet)
{
	put_ethernet(packet, ETH_QINQ);
	put_tag(packet, ETH_P_8021Q);
	put_tag(packet, ETH_P_8021Q);
	put_tag(packet, ETH_P_IP);
	put_ipv4(packet, BAD4, 5, 0);
	put_tcp(packet, PORT);
}

/* Of that length of its IPv4 header, in words, and with that offset and flags of a fragment. */
static void ipv4(struct packet *packet, int words, int fragment)
{
	put_ethernet(packet, ETH_P_IP);
	put_ipv4(packet, BAD4, words, fragment);
	put_tcp(packet, PORT);
}

static void with_options(struct packet *packet)
{
	ipv4(packet, 15, 0);
}

static void first_fragment(struct packet *packet)
{
	ipv4(packet, 5, 0x2000);
}

static void later_fragment(struct packet *packet)
{
	ipv4(packet, 5, 0x2001);
}

static void short_ihl(struct packet *packet)
{
	ipv4(packet, 4, 0);
}

static void other_version(struct packet *packet)
{
	plain(packet);
	packet->bytes[ETH_HLEN] = 0x65;
}

static void udp(struct packet *packet)
{
	plain(packet);
	packet->bytes[ETH_HLEN + offsetof(struct iphdr, protocol)] = IPPROTO_UDP;
}

/* Whatever it says of its options: TCP does not take it, either. */
static void no_doff(struct packet *packet)
{
	plain(packet);
	packet->bytes[packet->length - sizeof(struct tcphdr) + 12] = 0;
}

static void arp(struct packet *packet)
{
	plain(packet);
	packet->bytes[12] = ETH_P_ARP >> 8;
	packet->bytes[13] = ETH_P_ARP & 0xff;
}

static void ipv6(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IPV6);
	put_ipv6(packet, BAD6, IPPROTO_TCP);
	put_tcp(packet, PORT);
}

static void ipv6_beside(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IPV6);
	put_ipv6(packet, "2001:db8:0:7:ffff::9", IPPROTO_TCP);
	put_tcp(packet, PORT);
}

static void ipv6_of_others(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IPV6);
	put_ipv6(packet, GOOD6, IPPROTO_TCP);
	put_tcp(packet, PORT);
}

static void ipv6_extended(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IPV6);
	put_ipv6(packet, BAD6, HOPS);
	put_extension(packet, OPTIONS, 1);
	put_extension(packet, ROUTING, 4);
	put_extension(packet, FRAGMENT, 2);
	put_fragment(packet, OPTIONS, 1);
	put_extension(packet, IPPROTO_TCP, 3);
	put_tcp(packet, PORT);
}

static void ipv6_later_fragment(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IPV6);
	put_ipv6(packet, BAD6, FRAGMENT);
	put_fragment(packet, IPPROTO_TCP, 8);
	put_tcp(packet, PORT);
}

static void ipv6_many(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IPV6);
	put_ipv6(packet, BAD6, OPTIONS);
	for (int i = 0; i < 6; i++)
		put_extension(packet, OPTIONS, 1);
	put_extension(packet, IPPROTO_TCP, 1);
	put_tcp(packet, PORT);
}

static void ipv6_encrypted(struct packet *packet)
{
	put_ethernet(packet, ETH_P_IPV6);
	put_ipv6(packet, BAD6, ESP);
	put_extension(packet, IPPROTO_TCP, 1);
	put_tcp(packet, PORT);
}

static void ipv6_other_version(struct packet *packet)
{
	ipv6(packet);
	packet->bytes[ETH_HLEN] = 0x40;
}

struct kind {
	const char *name;
	void (*make)(struct packet *packet);
	enum xdp_action action;
};

static const struct kind kinds[] = {
	{ "IPv4 is dropped", plain, XDP_DROP },
	{ "other sources are passed", of_others, XDP_PASS },
	{ "a source whose time is over is passed", over, XDP_PASS },
	{ "other ports are passed", to_other_port, XDP_PASS },
	{ "a VLAN tag is read", tagged, XDP_DROP },
	{ "two VLAN tags are read", tagged_twice, XDP_DROP },
	{ "more VLAN tags are passed", tagged_thrice, XDP_PASS },
	{ "IPv4 options are skipped", with_options, XDP_DROP },
	{ "the first fragment is dropped", first_fragment, XDP_DROP },
	{ "a later fragment is passed", later_fragment, XDP_PASS },
	{ "an IPv4 header that is too short is passed", short_ihl, XDP_PASS },
	{ "IPv4 of another version is passed", other_version, XDP_PASS },
	{ "UDP is passed", udp, XDP_PASS },
	{ "TCP options that cannot be are not read", no_doff, XDP_DROP },
	{ "ARP is passed", arp, XDP_PASS },
	{ "IPv6 is dropped", ipv6, XDP_DROP },
	{ "IPv6 is dropped by its /64", ipv6_beside, XDP_DROP },
	{ "other sources of IPv6 are passed", ipv6_of_others, XDP_PASS },
	{ "IPv6 extension headers are skipped", ipv6_extended, XDP_DROP },
	{ "a later fragment of IPv6 is passed", ipv6_later_fragment, XDP_PASS },
	{ "more extension headers are passed", ipv6_many, XDP_PASS },
	{ "other extension headers are passed", ipv6_encrypted, XDP_PASS },
	{ "IPv6 of another version is passed", ipv6_other_version, XDP_PASS },
};

/* Whole, with bytes behind it, and cut at each length: then nothing can be said of it. */
static void read_kind(void **state)
{
	const struct kind *kind = *state;
	struct packet packet = { .length = 0 };
	size_t whole;

	kind->make(&packet);
	whole = packet.length;
	assert_int_equal(run(&packet), kind->action);
	for (packet.length = PACKET_MIN; packet.length < whole; packet.length++)
		assert_int_equal(run(&packet), XDP_PASS);
	packet.length = whole + 100;
	assert_int_equal(run(&packet), kind->action);
}

static uint64_t count_dropped(void)
{
	int processors = libbpf_num_possible_cpus();
	_cleanup_free_ __u64 *values = calloc(processors, sizeof(*values));
	__u32 index = COUNTER_SHED_DROPPED;
	uint64_t sum = 0;

	assert_non_null(values);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(programs->maps.counters), &index, values),
			 0);
	for (int i = 0; i < processors; i++)
		sum += values[i];
	return sum;
}

static struct source source_of(const char *address)
{
	struct source source = { { 0, 0, htonl(0xffff), 0 } };

	if (inet_pton(AF_INET, address, &source.words[3]) != 1)
		assert_int_equal(inet_pton(AF_INET6, address, &source), 1);
	return source;
}

/* What was dropped of a source. */
static uint64_t dropped_of(const char *address)
{
	struct source source = source_of(address);
	struct shed_source there;

	for (__u32 slot = 0; slot < (1 << SHED_BITS) + SHED_PROBES; slot++)
		if (!bpf_map_lookup_elem(bpf_map__fd(programs->maps.shed), &slot, &there) &&
		    there.until && !memcmp(&there.source, &source, sizeof(source)))
			return there.dropped;
	fail_msg("%s is not shed", address);
	return 0;
}

static void counted(void **state)
{
	struct packet packet = { .length = 0 };
	uint64_t all = count_dropped(), before = dropped_of(BAD4);

	(void)state;
	plain(&packet);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(run(&packet), XDP_DROP);
	assert_int_equal(dropped_of(BAD4) - before, 1000);
	assert_int_equal(count_dropped() - all, 1000);
}

/* --- an oracle ------------------------------------------------------------------------------------- */

/* A byte of a packet; -1 behind its end. */
static int byte(const struct packet *packet, size_t at)
{
	return at < packet->length ? packet->bytes[at] : -1;
}

/* Where TCP is behind IPv4 or IPv6 at a place; 0: nowhere. */
static size_t find_tcp(const struct packet *packet, size_t at, bool is_ipv6)
{
	int next = byte(packet, at + (is_ipv6 ? 6 : 9));

	if (byte(packet, at) >> 4 != (is_ipv6 ? 6 : 4))
		return 0;
	if (!is_ipv6) {
		size_t length = (byte(packet, at) & 15) * 4;
		int offset = (byte(packet, at + 6) & 31) * 256 + byte(packet, at + 7);

		return length >= 20 && next == IPPROTO_TCP && !offset ? at + length : 0;
	}
	at += 40;
	for (int headers = 0; next != IPPROTO_TCP; headers++) {
		bool known = next == HOPS || next == ROUTING || next == OPTIONS;
		bool fragment = next == FRAGMENT;

		if (headers == 6 || byte(packet, at + 7) < 0 || (!known && !fragment))
			return 0;
		if (fragment && byte(packet, at + 2) * 256 + byte(packet, at + 3) >= 8)
			return 0;
		next = byte(packet, at);
		at += fragment ? 8 : (byte(packet, at + 1) + 1) * 8;
	}
	return at;
}

/* What is to become of a packet, found out apart from the program. */
static enum xdp_action judge(const struct packet *packet)
{
	static const uint8_t bad4[] = { 203, 0, 113, 7 };
	static const uint8_t bad6[] = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 7 };
	int type = byte(packet, 12) * 256 + byte(packet, 13);
	size_t at = ETH_HLEN, tcp;

	for (int tags = 0; tags < 2 && (type == ETH_P_8021Q || type == ETH_QINQ); tags++) {
		if (byte(packet, at + 3) < 0)
			return XDP_PASS;
		type = byte(packet, at + 2) * 256 + byte(packet, at + 3);
		at += 4;
	}
	if (type != ETH_P_IP && type != ETH_P_IPV6)
		return XDP_PASS;
	tcp = find_tcp(packet, at, type == ETH_P_IPV6);
	if (!tcp || byte(packet, tcp + 19) < 0)
		return XDP_PASS;
	if (byte(packet, tcp + 2) * 256 + byte(packet, tcp + 3) != PORT)
		return XDP_PASS;
	if (type == ETH_P_IP)
		return memcmp(packet->bytes + at + 12, bad4, 4) ? XDP_PASS : XDP_DROP;
	return memcmp(packet->bytes + at + 8, bad6, 8) ? XDP_PASS : XDP_DROP;
}

/* Packets of all kinds with bytes changed at random, and cut at random. */
static void random_packets(void **state)
{
	unsigned int seed = 1, dropped = 0;

	(void)state;
	for (int i = 0; i < RANDOM_COUNT; i++) {
		struct packet packet = { .length = 0 };
		unsigned int changes;

		kinds[rand_r(&seed) % ARRAY_SIZE(kinds)].make(&packet);
		for (changes = rand_r(&seed) % 4; changes; changes--)
			packet.bytes[rand_r(&seed) % packet.length] = rand_r(&seed);
		if (!(rand_r(&seed) % 4))
			packet.length -= rand_r(&seed) % (packet.length - PACKET_MIN);
		if (run(&packet) != judge(&packet))
			fail_msg("packet %d is not judged as it should be", i);
		dropped += judge(&packet) == XDP_DROP;
	}
	assert_in_range(dropped, RANDOM_COUNT / 20, RANDOM_COUNT);
	printf("# figure: %d packets changed at random, of which %u were to be dropped\n",
	       RANDOM_COUNT, dropped);
}

/* --- the program ------------------------------------------------------------------------------------ */

/* In the slots from its own on, which all are in a row. */
static void shed(const char *address, uint64_t until)
{
	struct shed_source row = { .source = source_of(address), .until = until }, there;
	__u32 slot = shed_slot(&row.source, programs->rodata->shed_seeds, SHED_BITS);

	while (!bpf_map_lookup_elem(bpf_map__fd(programs->maps.shed), &slot, &there) && there.until)
		slot++;
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(programs->maps.shed), &slot, &row, BPF_ANY), 0);
}

/* All sources meet, so that one is behind the other. */
static int set_up(void **state)
{
	__u32 index = PORT / PORT_WORD_BITS;
	__u64 word = UINT64_C(1) << PORT % PORT_WORD_BITS;

	(void)state;
	programs = sluice_bpf__open();
	assert_non_null(programs);
	bpf_map__set_max_entries(programs->maps.shed, (1 << SHED_BITS) + SHED_PROBES);
	programs->rodata->shed_bits = SHED_BITS;
	programs->rodata->ipv4_mask = UINT32_MAX;
	memset((void *)programs->rodata->ipv6_mask, 0xff, sizeof(__u64));
	assert_int_equal(sluice_bpf__load(programs), 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(programs->maps.shed_ports), &index, &word,
					     BPF_ANY),
			 0);
	shed(OVER4, 1);
	shed(BAD4, UINT64_MAX);
	shed("2001:db8:0:7::", UINT64_MAX);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sluice_bpf__destroy(programs);
	return 0;
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(kinds) + 2];
	size_t count = 0;

	for (; count < ARRAY_SIZE(kinds); count++)
		tests[count] = (struct CMUnitTest){ .name = kinds[count].name,
						    .test_func = read_kind,
						    .initial_state = (void *)&kinds[count] };
	tests[count++] = (struct CMUnitTest){ .name = "each dropped packet is counted",
					      .test_func = counted };
	tests[count++] = (struct CMUnitTest){ .name = "packets changed at random are judged right",
					      .test_func = random_packets };
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("shed_packets", tests, count, set_up, tear_down);
}
