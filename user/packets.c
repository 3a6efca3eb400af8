// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "packets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int packets_open(struct packets *ret_packets)
{
	ret_packets->ip4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	if (ret_packets->ip4 < 0)
		return -errno;
	ret_packets->ip6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
	if (ret_packets->ip6 < 0 && errno != EAFNOSUPPORT)
		return -errno;
	return 0;
}

void packets_close(struct packets *packets)
{
	if (packets->ip4 >= 0)
		close(packets->ip4);
	if (packets->ip6 >= 0)
		close(packets->ip6);
	*packets = PACKETS_NONE;
}

/* Add bytes to a sum, RFC 1071. Only the last piece may be of odd length. */
static uint32_t add(uint32_t sum, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;

	for (; length > 1; p += 2, length -= 2)
		sum += p[0] << 8 | p[1];
	if (length)
		sum += p[0] << 8;
	return (sum & 0xffff) + (sum >> 16);
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * The sum of the pseudo header of a TCP segment, RFC 9293 3.1.
 *
 * addresses	source and destination, one behind the other
 * size		of both
 * length	of the segment
 */
static uint32_t pseudo_sum(const void *addresses, size_t size, size_t length)
{
	return add(IPPROTO_TCP + (length & 0xffff) + (length >> 16), addresses, size);
}

/*
 * Whether a segment is as it was sent. It was taken before TCP looked at its checksum, which here
 * must not be made right: it is right, or, where it never crossed a wire or the network card has
 * checked it, the pseudo header's sum alone.
 */
static bool is_intact(const struct tcphdr *tcp, size_t length, uint32_t pseudo)
{
	return ntohs(tcp->th_sum) == fold(pseudo) || fold(add(pseudo, tcp, length)) == 0xffff;
}

static void set_sum(struct tcphdr *tcp, size_t length, uint32_t pseudo)
{
	tcp->th_sum = 0;
	tcp->th_sum = htons(~fold(add(pseudo, tcp, length)) & 0xffff);
}

/* Returns 0, or -EBADMSG where the segment is not as it was sent. */
static int take_fin(struct tcphdr *tcp, size_t length, uint32_t pseudo)
{
	if (!is_intact(tcp, length, pseudo))
		return -EBADMSG;
	tcp->th_flags &= ~TH_FIN;
	set_sum(tcp, length, pseudo);
	return 0;
}

static int send_to(int fd, const void *packet, size_t length, const void *address, socklen_t size)
{
	return sendto(fd, packet, length, 0, address, size) < 0 ? -errno : 0;
}

/* As packets_resend(), on bytes that may be changed, and whose lengths are sound. */
static int resend(const struct packets *packets, uint8_t *packet, size_t length, size_t tcp_at)
{
	struct tcphdr *tcp = (struct tcphdr *)(packet + tcp_at);
	const struct ip6_hdr *ip6 = (const struct ip6_hdr *)packet;
	const struct ip *ip = (const struct ip *)packet;
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	size_t segment = length - tcp_at;
	int r;

	if (packet[0] >> 4 == 6) {
		r = take_fin(tcp, segment, pseudo_sum(&ip6->ip6_src, 32, segment));
		to6.sin6_addr = ip6->ip6_dst;
		return r ? r : send_to(packets->ip6, packet, length, &to6, sizeof(to6));
	}
	r = take_fin(tcp, segment, pseudo_sum(&ip->ip_src, 8, segment));
	to.sin_addr = ip->ip_dst;
	return r ? r : send_to(packets->ip4, packet, length, &to, sizeof(to));
}

int packets_resend(const struct packets *packets, const uint8_t *packet, size_t length,
		   size_t tcp_at)
{
	_Alignas(4) uint8_t copy[UINT16_MAX];
	size_t ip_size = length && packet[0] >> 4 == 6 ? sizeof(struct ip6_hdr) : sizeof(struct ip);
	int r;

	if (length > sizeof(copy) || tcp_at % 4 || tcp_at < ip_size ||
	    length < tcp_at + sizeof(struct tcphdr))
		return -EINVAL;
	memcpy(copy, packet, length);
	r = resend(packets, copy, length, tcp_at);
	/* There may be a key in it. */
	explicit_bzero(copy, length);
	return r;
}

static int probe_ip4(int fd, const struct probe *probe, const struct tcphdr *tcp)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = probe->server[3] };
	struct {
		struct ip ip;
		struct tcphdr tcp;
	} packet = { .ip = { .ip_v = 4,
			     .ip_hl = sizeof(packet.ip) / 4,
			     .ip_len = htons(sizeof(packet)),
			     .ip_ttl = IPDEFTTL,
			     .ip_p = IPPROTO_TCP,
			     .ip_src.s_addr = probe->client[3],
			     .ip_dst.s_addr = probe->server[3] },
		     .tcp = *tcp };

	set_sum(&packet.tcp, sizeof(*tcp), pseudo_sum(&packet.ip.ip_src, 8, sizeof(*tcp)));
	return send_to(fd, &packet, sizeof(packet), &to, sizeof(to));
}

static int probe_ip6(int fd, const struct probe *probe, const struct tcphdr *tcp)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct {
		struct ip6_hdr ip;
		struct tcphdr tcp;
	} packet = { .ip = { .ip6_flow = htonl(6 << 28),
			     .ip6_plen = htons(sizeof(*tcp)),
			     .ip6_nxt = IPPROTO_TCP,
			     .ip6_hlim = IPDEFTTL },
		     .tcp = *tcp };

	memcpy(&packet.ip.ip6_src, probe->client, sizeof(probe->client));
	memcpy(&packet.ip.ip6_dst, probe->server, sizeof(probe->server));
	to.sin6_addr = packet.ip.ip6_dst;
	set_sum(&packet.tcp, sizeof(*tcp), pseudo_sum(&packet.ip.ip6_src, 32, sizeof(*tcp)));
	return send_to(fd, &packet, sizeof(packet), &to, sizeof(to));
}

int packets_probe(const struct packets *packets, const struct probe *probe)
{
	const struct tcphdr tcp = { .th_sport = probe->client_port,
				    .th_dport = probe->server_port,
				    .th_seq = htonl(probe->seq),
				    .th_ack = htonl(probe->ack),
				    .th_off = sizeof(tcp) / 4,
				    .th_flags = TH_ACK };

	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)probe->server))
		return probe_ip4(packets->ip4, probe, &tcp);
	return probe_ip6(packets->ip6, probe, &tcp);
}
