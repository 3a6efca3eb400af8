// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Data that comes on one processor while another still has the last packet of its handshake. The client is
 * made by hand, behind a TUN device, so that its packets can be sent from two processors at once.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "stand_in.h"
#include "test/agent.skel.h"

#define SERVER	    "10.98.76.1"
#define CLIENT	    "10.98.76.2"
#define FIRST_PORT  20000
#define CONNECTIONS 30
#define AGAIN_MS    200 /* after which the client sends its data again */

/* A packet with what its checksum is made over besides. */
struct packet {
	struct iphdr ip;
	struct tcphdr tcp;
	char bytes[512];
};

static int tun;
static uint16_t listening; /* port */

static void set_up_tun(void)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &request)) {
		printf("# there is no TUN device\n");
		skip();
	}
	inet_pton(AF_INET, SERVER, &address.sin_addr);
	memcpy(&request.ifr_addr, &address, sizeof(address));
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
	memcpy(&request.ifr_netmask, &address, sizeof(address));
	assert_int_equal(ioctl(fd, SIOCSIFNETMASK, &request), 0);
	request.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

static int listen_on_all(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(listening) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 100), 0);
	return fd;
}

/* --- packets --------------------------------------------------------------------------------------- */

/* RFC 1071. */
static uint32_t add_up(uint32_t sum, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? from[i] : from[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* Make a packet of the client's, of which ports, numbers and flags are set. Returns its size. */
static size_t make_packet(struct packet *packet, const char *bytes)
{
	size_t length = sizeof(packet->tcp) + strlen(bytes);

	packet->ip = (struct iphdr){ .version = 4,
				     .ihl = sizeof(packet->ip) / 4,
				     .ttl = 64,
				     .protocol = IPPROTO_TCP,
				     .tot_len = htons(sizeof(packet->ip) + length) };
	inet_pton(AF_INET, CLIENT, &packet->ip.saddr);
	inet_pton(AF_INET, SERVER, &packet->ip.daddr);
	packet->ip.check = fold(add_up(0, &packet->ip, sizeof(packet->ip)));
	packet->tcp.dest = htons(listening);
	packet->tcp.doff = sizeof(packet->tcp) / 4;
	packet->tcp.window = 0xffff;
	packet->tcp.check = 0;
	memcpy(packet->bytes, bytes, strlen(bytes));
	packet->tcp.check = fold(
		add_up(add_up(IPPROTO_TCP + length, &packet->ip.saddr, 8), &packet->tcp, length));
	return sizeof(packet->ip) + length;
}

static void write_packet(const struct packet *packet, size_t size)
{
	assert_int_equal(write(tun, packet, size), size);
}

/* Read the next packet for that port of the client's; false: none comes for so long. */
static bool read_packet(uint16_t port, int ms, struct packet *ret_packet)
{
	struct pollfd readable = { .fd = tun, .events = POLLIN };

	while (poll(&readable, 1, ms) == 1) {
		*ret_packet = (struct packet){};
		if (read(tun, ret_packet, sizeof(*ret_packet)) > 0 && ret_packet->ip.version == 4 &&
		    ret_packet->ip.protocol == IPPROTO_TCP && ret_packet->tcp.dest == htons(port))
			return true;
	}
	return false;
}

/* --- two processors ---------------------------------------------------------------------------------- */

/* What one of them sends. */
struct sender {
	pthread_t thread;
	int processor;
	unsigned int delay_us;
	struct packet packet;
	size_t size;
};

static void *send_there(void *argument)
{
	struct sender *sender = argument;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sender->processor, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	usleep(sender->delay_us);
	write_packet(&sender->packet, sender->size);
	return NULL;
}

/* A handshake whose last packet is overtaken by data. The application's answer must come. */
static void overtake(int listener, uint16_t port, const char *request)
{
	struct sender last = { .processor = 0 }, data = { .processor = 1, .delay_us = 500 };
	struct packet *packet = &last.packet, got;
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	size_t size;
	int server;

	packet->tcp = (struct tcphdr){ .source = htons(port), .seq = htonl(1000), .syn = 1 };
	size = make_packet(packet, "");
	write_packet(packet, size);
	assert_true(read_packet(port, PATIENCE_MS, &got) && got.tcp.syn && got.tcp.ack);
	packet->tcp = (struct tcphdr){ .source = htons(port),
				       .seq = htonl(1001),
				       .ack_seq = htonl(ntohl(got.tcp.seq) + 1),
				       .ack = 1 };
	data.packet = *packet;
	data.packet.tcp.psh = 1;
	last.size = make_packet(&last.packet, "");
	data.size = make_packet(&data.packet, request);
	assert_int_equal(pthread_create(&last.thread, NULL, send_there, &last), 0);
	assert_int_equal(pthread_create(&data.thread, NULL, send_there, &data), 0);
	pthread_join(last.thread, NULL);
	pthread_join(data.thread, NULL);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	while (poll(&(struct pollfd){ .fd = server, .events = POLLIN }, 1, AGAIN_MS) != 1) {
		assert_true(monotonic_ms() < end_ms);
		write_packet(&data.packet, data.size);
	}
	assert_true(recv(server, got.bytes, sizeof(got.bytes), 0) > 0);
	stand_in_write(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	do
		assert_true(read_packet(port, PATIENCE_MS, &got) && !got.tcp.rst);
	while (!holds(got.bytes, sizeof(got.bytes), "X-RateLimit-Remaining"));
	close(server);
}

static void overtaken(void **state)
{
	int cgroup = open(stage.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), listener;
	struct agent_bpf *agent = agent_bpf__open_and_load();
	char request[256];
	struct key key;

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		printf("# there is but one processor\n");
		skip();
	}
	assert_true(cgroup >= 0);
	assert_non_null(agent);
	set_up_tun();
	agent->links.agent_slow = bpf_program__attach_cgroup(agent->progs.agent_slow, cgroup);
	assert_non_null(agent->links.agent_slow);
	daemon_start();
	key = key_limited(1000, 10000);
	snprintf(request, sizeof(request),
		 "GET /overtaking HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n",
		 key.text);
	stand_in_free();
	listening = applications[THREADED].port;
	listener = listen_on_all();
	for (int i = 0; i < CONNECTIONS; i++)
		overtake(listener, FIRST_PORT + i, request);
	assert_int_equal(status_number("counts.ungatedBefore"), 0);
	printf("# %ld of %d were overtaken\n", (long)status_number("counts.keptBack"), CONNECTIONS);
	assert_true(status_number("counts.keptBack") > 0);
	close(listener);
	close(cgroup);
	close(tun);
	agent_bpf__destroy(agent);
	stand_in_leave();
}

static const struct promise promises[] = {
	{ "data that overtakes its connection's enrolment is sent again, and gets in", overtaken,
	  ONCE },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), BARE);
}
