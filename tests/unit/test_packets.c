/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What packets look like that are sent in a client's name, in a network namespace of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "packets.h"
#include "util.h"

#define PACKET_MAX  65535
#define PATIENCE_MS 5000
#define PORT	    4321

static struct packets packets = PACKETS_NONE;
static int wire = -1; /* whatever comes in over loopback, from its IP header on */
static uint8_t sent[PACKET_MAX + 1], seen[PACKET_MAX + 1];

static int set_up(void **state)
{
	struct sockaddr_ll loopback = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	(void)state;
	if (unshare(CLONE_NEWNET) || packets_open(&packets))
		return -1;
	wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	loopback.sll_ifindex = if_nametoindex("lo");
	return wire < 0 || ioctl(wire, SIOCSIFFLAGS, &lo) ||
	       bind(wire, (struct sockaddr *)&loopback, sizeof(loopback));
}

static int tear_down(void **state)
{
	(void)state;
	packets_close(&packets);
	close(wire);
	return packets.ip4 != -1 || packets.ip6 != -1;
}

/* The sum of 16-bit words, RFC 1071, carried at the end alone. */
static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint64_t words(const uint8_t *bytes, size_t length)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += (uint64_t)bytes[i] << (i % 2 ? 0 : 8);
	return sum;
}

/* The sum of a packet's pseudo header, RFC 9293 3.1. */
static uint64_t pseudo(const uint8_t *packet, bool ip6, size_t segment)
{
	size_t at = ip6 ? offsetof(struct ip6_hdr, ip6_src) : offsetof(struct ip, ip_src);

	return words(packet + at, ip6 ? 32 : 8) + IPPROTO_TCP + segment;
}

/* --- packets ----------------------------------------------------------------------------------- */

/* One to be sent: so many bytes of IP options or extensions, of TCP options, and of data. */
struct row {
	const char *name;
	bool ip6;
	uint8_t ip_options;
	uint8_t tcp_options;
	uint8_t flags;
	size_t data;
	bool partial; /* its checksum is the pseudo header's alone: it was never on a wire */
};

static size_t put_ip4(const struct row *row, size_t length)
{
	struct ip *ip = (struct ip *)sent;
	size_t size = sizeof(*ip) + row->ip_options;

	*ip = (struct ip){ .ip_v = 4,
			   .ip_hl = size / 4,
			   .ip_tos = 8,
			   .ip_len = htons(size + length),
			   .ip_id = htons(77),
			   .ip_ttl = 63,
			   .ip_p = IPPROTO_TCP };
	/* Of another host, as a client's is. */
	ip->ip_src.s_addr = inet_addr("192.0.2.200");
	ip->ip_dst.s_addr = inet_addr("127.0.0.1");
	memset(ip + 1, IPOPT_NOP, row->ip_options);
	return size;
}

static size_t put_ip6(const struct row *row, size_t length)
{
	struct ip6_hdr *ip = (struct ip6_hdr *)sent;
	uint8_t *options = (uint8_t *)(ip + 1);

	*ip = (struct ip6_hdr){ .ip6_dst = IN6ADDR_LOOPBACK_INIT };
	ip->ip6_flow = htonl(6U << 28 | 0x12345);
	ip->ip6_plen = htons(row->ip_options + length);
	ip->ip6_hlim = 63;
	ip->ip6_nxt = row->ip_options ? IPPROTO_DSTOPTS : IPPROTO_TCP;
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::ffff:1", &ip->ip6_src), 1);
	if (row->ip_options) {
		memset(options, 0, row->ip_options); /* Pad1, RFC 8200 4.2 */
		options[0] = IPPROTO_TCP;
		options[1] = row->ip_options / 8 - 1;
	}
	return sizeof(*ip) + row->ip_options;
}

/* Make the packet. Returns its length. */
static size_t make(const struct row *row, size_t *ret_tcp_at)
{
	size_t length = sizeof(struct tcphdr) + row->tcp_options + row->data;
	size_t at = row->ip6 ? put_ip6(row, length) : put_ip4(row, length);
	struct tcphdr *tcp = (struct tcphdr *)(sent + at);

	memset(tcp, 0, sizeof(*tcp));
	tcp->th_sport = htons(1234);
	tcp->th_dport = htons(PORT);
	tcp->th_seq = htonl(0xfffffff0);
	tcp->th_ack = htonl(99);
	tcp->th_off = (sizeof(*tcp) + row->tcp_options) / 4;
	tcp->th_flags = row->flags;
	tcp->th_win = htons(501);
	memset(tcp + 1, TCPOPT_NOP, row->tcp_options);
	for (size_t i = 0; i < row->data; i++)
		sent[at + sizeof(*tcp) + row->tcp_options + i] = 255 - i % 251;
	tcp->th_sum = htons(
		row->partial ? fold(pseudo(sent, row->ip6, length))
			     : ~fold(pseudo(sent, row->ip6, length) + words(sent + at, length)));
	*ret_tcp_at = at;
	return at + length;
}

/* The packet that came in over loopback for our port. Returns its length. */
static size_t receive(void)
{
	struct pollfd readable = { .fd = wire, .events = POLLIN };
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	ssize_t length;

	do {
		assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
		length = recvfrom(wire, seen, sizeof(seen), 0, (struct sockaddr *)&from, &size);
		assert_true(length > 0);
		/* Each comes twice: going out, and coming in. */
	} while (from.sll_pkttype == PACKET_OUTGOING);
	return length;
}

/* Whether nothing has come since that is on its way to our port; resets are. */
static bool is_silent(void)
{
	ssize_t length;

	while ((length = recv(wire, seen, sizeof(seen), MSG_DONTWAIT)) > 0) {
		const struct tcphdr *tcp = (const struct tcphdr *)(seen + sizeof(struct ip));

		if (tcp->th_dport == htons(PORT))
			return false;
	}
	return true;
}

/* --- checks ------------------------------------------------------------------------------------ */

/* A sum over a segment with its checksum in it has all bits set, RFC 9293 3.1. */
static void expect_checksum(const struct row *row, size_t tcp_at, size_t length)
{
	uint64_t sum = pseudo(seen, row->ip6, length - tcp_at);

	sum += words(seen + tcp_at, length - tcp_at);
	assert_int_equal(fold(sum), 0xffff);
	if (!row->ip6)
		assert_int_equal(fold(words(seen, tcp_at)), 0xffff);
}

/* But for FIN and checksums, what is seen is what was sent. */
static void expect_same(const struct row *row, size_t tcp_at, size_t length)
{
	struct tcphdr *was = (struct tcphdr *)(sent + tcp_at);
	struct tcphdr *is = (struct tcphdr *)(seen + tcp_at);

	assert_int_equal(is->th_flags, row->flags & ~TH_FIN);
	is->th_flags = was->th_flags;
	is->th_sum = was->th_sum;
	if (!row->ip6)
		((struct ip *)seen)->ip_sum = 0;
	assert_memory_equal(seen, sent, length);
}

static void check_row(void **state)
{
	const struct row *row = *state;
	size_t tcp_at, length = make(row, &tcp_at);
	uint8_t *copy = malloc(length);
	int r;

	/* A copy of its exact size: a read behind its end would be told. */
	assert_non_null(copy);
	memcpy(copy, sent, length);
	assert_true(is_silent());
	r = packets_resend(&packets, copy, length, tcp_at);
	free(copy);
	assert_int_equal(r, 0);
	assert_int_equal(receive(), length);
	expect_checksum(row, tcp_at, length);
	expect_same(row, tcp_at, length);
	assert_true(is_silent());
}

static const struct row rows[] = {
	{ "IPv4: the FIN is gone, the checksum right, all else as it was", false, 0, 0,
	  TH_FIN | TH_ACK | TH_PUSH, 100, false },
	{ "IPv4: without a FIN nothing changes", false, 0, 0, TH_ACK, 100, false },
	{ "IPv4: an odd number of bytes", false, 0, 0, TH_FIN | TH_ACK, 101, false },
	{ "IPv4: a single byte", false, 0, 0, TH_FIN | TH_ACK, 1, false },
	{ "IPv4: no data", false, 0, 0, TH_FIN | TH_ACK, 0, false },
	{ "IPv4: a checksum that was left to the network card", false, 0, 0, TH_FIN | TH_ACK, 101,
	  true },
	{ "IPv4: IP options", false, 40, 0, TH_FIN | TH_ACK, 33, false },
	{ "IPv4: IP and TCP options", false, 4, 40, TH_FIN | TH_ACK | TH_URG, 33, false },
	{ "IPv4: the largest packet", false, 0, 0, TH_FIN | TH_ACK, PACKET_MAX - 40, false },
	{ "IPv6: the FIN is gone, the checksum right, all else as it was", true, 0, 0,
	  TH_FIN | TH_ACK | TH_PUSH, 100, false },
	{ "IPv6: an odd number of bytes", true, 0, 12, TH_FIN | TH_ACK, 101, false },
	{ "IPv6: a checksum that was left to the network card", true, 0, 0, TH_FIN | TH_ACK, 101,
	  true },
	{ "IPv6: an extension header", true, 8, 0, TH_FIN | TH_ACK, 33, false },
	{ "IPv6: a long extension header", true, 64, 12, TH_FIN | TH_ACK, 33, false },
	{ "IPv6: the largest packet", true, 0, 0, TH_FIN | TH_ACK, PACKET_MAX - 60, false },
};

/* --- what is no such packet -------------------------------------------------------------------- */

struct wrong {
	bool ip6;
	size_t length;
	size_t tcp_at;
};

static const struct wrong wrongs[] = {
	{ false, 0, 0 },     { false, 1, 0 },	   { false, 20, 20 },	{ false, 39, 20 },
	{ false, 60, 0 },    { false, 60, 16 },	   { false, 60, 18 },	{ false, 60, 21 },
	{ false, 60, 22 },   { false, 60, 44 },	   { false, 60, 60 },	{ false, 60, 64 },
	{ false, 60, 4000 }, { false, 60, 1e9 },   { true, 60, 20 },	{ true, 60, 36 },
	{ true, 59, 40 },    { true, 80, 41 },	   { true, 80, 42 },	{ true, 80, 64 },
	{ true, 40, 40 },    { false, 65536, 20 }, { true, 65536, 40 },
};

static void what_is_no_such_packet_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		uint8_t *copy = calloc(1, wrongs[i].length + !wrongs[i].length);

		assert_non_null(copy);
		*copy = wrongs[i].ip6 ? 0x60 : 0x45;
		assert_int_equal(packets_resend(&packets, copy, wrongs[i].length, wrongs[i].tcp_at),
				 -EINVAL);
		free(copy);
	}
	assert_true(is_silent());
}

/* A bit in the head or in the data that is not as it was sent. */
static void a_damaged_packet_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct row row = { .ip6 = i / 2, .flags = TH_FIN, .data = 31 };
		size_t tcp_at, length = make(&row, &tcp_at);
		size_t at = i % 2 ? length - 1 : tcp_at + offsetof(struct tcphdr, th_seq);

		sent[at] ^= 0x10;
		assert_int_equal(packets_resend(&packets, sent, length, tcp_at), -EBADMSG);
	}
	assert_true(is_silent());
}

static void a_packet_that_cannot_be_sent_is_told(void **state)
{
	const struct row row = { .ip6 = true, .flags = TH_FIN, .data = 9 };
	size_t tcp_at, length = make(&row, &tcp_at);

	(void)state;
	assert_int_equal(packets_resend(&PACKETS_NONE, sent, length, tcp_at), -EBADF);
	assert_true(is_silent());
}

/* --- probes ------------------------------------------------------------------------------------ */

static void check_probe(bool ip6, const char *client, const char *server, const char *mapped)
{
	struct probe probe = { .client_port = htons(1234),
			       .server_port = htons(PORT),
			       .seq = 0xfedcba98,
			       .ack = 0x01234567 };
	const struct row row = { .ip6 = ip6 };
	size_t tcp_at = ip6 ? sizeof(struct ip6_hdr) : sizeof(struct ip);
	const struct tcphdr *tcp = (const struct tcphdr *)(seen + tcp_at);
	uint8_t addresses[32];
	char text[64];

	snprintf(text, sizeof(text), "%s%s", mapped, client);
	assert_int_equal(inet_pton(AF_INET6, text, probe.client), 1);
	snprintf(text, sizeof(text), "%s%s", mapped, server);
	assert_int_equal(inet_pton(AF_INET6, text, probe.server), 1);
	assert_int_equal(packets_probe(&packets, &probe), 0);

	assert_int_equal(receive(), tcp_at + sizeof(*tcp));
	expect_checksum(&row, tcp_at, tcp_at + sizeof(*tcp));
	assert_int_equal(inet_pton(ip6 ? AF_INET6 : AF_INET, client, addresses), 1);
	assert_int_equal(inet_pton(ip6 ? AF_INET6 : AF_INET, server, addresses + (ip6 ? 16 : 4)),
			 1);
	assert_memory_equal(seen + (ip6 ? offsetof(struct ip6_hdr, ip6_src)
					: offsetof(struct ip, ip_src)),
			    addresses, ip6 ? 32 : 8);
	assert_int_equal(tcp->th_sport, probe.client_port);
	assert_int_equal(tcp->th_dport, probe.server_port);
	assert_int_equal(ntohl(tcp->th_seq), probe.seq);
	assert_int_equal(ntohl(tcp->th_ack), probe.ack);
	assert_int_equal(tcp->th_flags, TH_ACK);
	assert_true(is_silent());
}

static void a_probe_is_an_empty_segment_of_the_clients(void **state)
{
	(void)state;
	check_probe(false, "192.0.2.200", "127.0.0.1", "::ffff:");
	check_probe(true, "2001:db8::c8", "::1", "");
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(rows) + 4] = {
		cmocka_unit_test(what_is_no_such_packet_is_refused),
		cmocka_unit_test(a_damaged_packet_is_refused),
		cmocka_unit_test(a_packet_that_cannot_be_sent_is_told),
		cmocka_unit_test(a_probe_is_an_empty_segment_of_the_clients),
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tests[4 + i] = (struct CMUnitTest){ .name = rows[i].name,
						    .test_func = check_row,
						    .initial_state = (void *)&rows[i] };
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("packets", tests, set_up, tear_down);
}
