// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Segments made by hand, over a raw socket. */
#include "segment.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

/* Where a connection stands: it is known only while the socket is under repair, tcp(7). */
static uint32_t sequence(int fd, int queue)
{
	const int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP;
	socklen_t length = sizeof(uint32_t);
	uint32_t seq = 0;

	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)), 0);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &length), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
	return seq;
}

/* RFC 1071, of an even number of bytes. */
static uint16_t checksum(const void *bytes, size_t size)
{
	const uint16_t *words = bytes;
	uint32_t sum = 0;

	for (size_t i = 0; i < size / 2; i++)
		sum += words[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

void send_segment(const struct client *client, const struct segment *segment)
{
	struct {
		struct {
			uint32_t source, destination;
			uint16_t protocol, length;
		} pseudo;
		struct tcphdr tcp;
		char bytes[SEGMENT_MAX];
	} packet = { .tcp = { .doff = sizeof(struct tcphdr) / 4, .ack = 1, .window = 0xffff } };
	struct sockaddr_in from, to;
	socklen_t size = sizeof(from);
	size_t length = sizeof(packet.tcp) + segment->length;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);

	assert_true(fd >= 0 && segment->length <= SEGMENT_MAX);
	assert_int_equal(getsockname(client->fd, (struct sockaddr *)&from, &size), 0);
	assert_int_equal(getpeername(client->fd, (struct sockaddr *)&to, &size), 0);
	packet.pseudo.source = from.sin_addr.s_addr;
	packet.pseudo.destination = to.sin_addr.s_addr;
	packet.pseudo.protocol = htons(IPPROTO_TCP);
	packet.pseudo.length = htons(length);
	packet.tcp.source = from.sin_port;
	packet.tcp.dest = to.sin_port;
	packet.tcp.seq = htonl(sequence(client->fd, TCP_SEND_QUEUE) + segment->at);
	packet.tcp.ack_seq = htonl(sequence(client->fd, TCP_RECV_QUEUE));
	packet.tcp.fin = segment->fin;
	memcpy(packet.bytes, segment->bytes, segment->length);
	packet.tcp.check = checksum(&packet, (sizeof(packet.pseudo) + length + 1) / 2 * 2);
	if (segment->damaged)
		packet.bytes[0] ^= 1;
	to.sin_port = 0;
	assert_int_equal(sendto(fd, &packet.tcp, length, 0, (struct sockaddr *)&to, sizeof(to)),
			 length);
	close(fd);
}
