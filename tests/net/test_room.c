// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A send buffer with little room: while its client does not read, the kernel takes a part of what is
 * written, and the application writes the rest again. The gate adds to that only what certainly fits.
 * The test is the application itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "http_client.h"
#include "segment.h"
#include "stand_in.h"

#define ANSWER_MAX 300000
#define CHUNK	   100

static int server; /* the connection's other end */
static uint16_t port;

/* A connection with small segments and maybe a small window; the server's end is accepted. */
static struct client *open_with(int segment, bool small_window)
{
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct client *client = client_open(port);
	int small = 4096;

	/* The harness' client is connected already: make its connection anew. */
	close(client->fd);
	stand_in_accept();
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (small_window)
		setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(client->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
	assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	server = stand_in_accept();
	return client;
}

/* As the socket keeps it; the kernel doubles what it is told, socket(7). */
static void set_send_buffer(int bytes)
{
	bytes /= 2;
	assert_int_equal(setsockopt(server, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
}

static struct client *open_small(int segment)
{
	return open_with(segment, true);
}

/* Refused; what is in it must never be seen again. */
static const char refused[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ZZZZZZZZZZZZZZZZZZZZZZZZZZ\r\n\r\n";

/* Write what the socket takes now. Returns how much that was. */
static size_t write_some(const char *bytes, size_t size)
{
	ssize_t sent = send(server, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	return sent > 0 ? (size_t)sent : 0;
}

/*
 * Write the rest of the answer and read it, in turn, until `size` bytes of it and the two headers have
 * come or nothing more does. Returns what was read.
 */
static size_t exchange(struct client *client, const char *answer, size_t written, size_t size,
		       char *ret_read)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	size_t got = 0;

	while (got < size && monotonic_ms() < end_ms) {
		struct pollfd readable = { .fd = client->fd, .events = POLLIN };
		ssize_t n;

		written += write_some(answer + written, size - written);
		if (poll(&readable, 1, 20) != 1)
			continue;
		n = recv(client->fd, ret_read + got, ANSWER_MAX - got, MSG_DONTWAIT);
		if (n <= 0)
			break;
		got += n;
	}
	return got;
}

static void expect_untouched(const char *read, size_t got, size_t length)
{
	const char *body = memmem(read, got, "\r\n\r\n", 4);

	assert_non_null(body);
	body += 4;
	for (size_t i = 0; i < length && body + i < read + got; i++)
		if (body[i] != 'A')
			fail_msg("byte %zu of the body is %#x", i, body[i]);
	assert_null(memmem(read, got, "ZZ", 2));
}

/* While a part of an answer is unsent the kernel does not ask the message program. */
static void second_request(void **state)
{
	static char answer[ANSWER_MAX], read[ANSWER_MAX];
	struct key key = key_limited(1000, 10000);
	size_t size = stand_in_make_answer(answer, 200000);

	port = stand_in_listen();
	for (int i = 0; i < 4; i++) {
		struct client *client = open_small(1000);
		size_t written, got;

		client_request(client, key.text);
		stand_in_receive(server);
		written = write_some(answer, size);
		assert_in_range(written, 1, size - 1);
		assert_int_equal(client_send(client, refused, strlen(refused)), 0);
		got = exchange(client, answer, written, size, read);
		expect_untouched(read, got, 200000);
		client_close(client);
	}
	stand_in_leave();
}

/* Bytes of the server's send buffer that are free; it stands still while its client does not read. */
static int room_left(void)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t length = sizeof(info);

	assert_int_equal(getsockopt(server, SOL_SOCKET, SO_MEMINFO, info, &length), 0);
	return (int)(info[SK_MEMINFO_SNDBUF] - info[SK_MEMINFO_WMEM_QUEUED]);
}

/* Begin an answer of chunks, as many as leave so much room. Returns its size; its end is not sent. */
static size_t fill_send_buffer(int room, char *ret_answer)
{
	size_t size = sprintf(ret_answer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	size_t sent = 0;

	while (size < ANSWER_MAX / 2) {
		assert_int_equal(send(server, ret_answer + sent, size - sent, MSG_NOSIGNAL),
				 size - sent);
		sent = size;
		/* What is on its way leaves the buffer, as long as the window has room for it. */
		for (int i = 0; i < 20 && room_left() <= room; i++)
			breathe();
		if (room_left() <= room)
			break;
		size += sprintf(ret_answer + size, "%x\r\n%0*d\r\n", CHUNK, CHUNK, 0);
	}
	return size;
}

/*
 * A long answer, then short ones, while the client reads nothing. Returns for how many of those there was
 * little room, and yet enough: TIGHT to ROOMY bytes.
 */
static unsigned int answer_tightly(struct client *client, int room, const char *key)
{
	enum { ANSWERS = 3, TIGHT = 200, ROOMY = 2000 };
	static char filling[ANSWER_MAX];
	struct response response;
	unsigned int tight = 0;
	bool enough[ANSWERS];
	char answer[128];
	size_t size = stand_in_make_answer(answer, 10);

	/* All at once: what the client sends later would acknowledge, and bring room. */
	for (int n = 0; n < 1 + ANSWERS; n++)
		client_request(client, key);
	stand_in_receive(server);
	fill_send_buffer(room, filling);
	assert_int_equal(send(server, "0\r\n\r\n", 5, MSG_NOSIGNAL), 5);
	for (int n = 0; n < ANSWERS; n++) {
		stand_in_receive(server);
		enough[n] = room_left() > TIGHT;
		tight += enough[n] && room_left() < ROOMY;
		assert_int_equal(send(server, answer, size, MSG_NOSIGNAL), size);
	}
	assert_int_equal(client_read(client, false, &response), 0);
	for (int n = 0; n < ANSWERS; n++) {
		assert_int_equal(client_read(client, false, &response), 0);
		if (enough[n])
			expect_admitted(&response, 200);
	}
	return tight;
}

static void little_room(void **state)
{
	static const int segments[] = { 100, 1460 };
	struct key key = key_limited(1000, 10000);

	port = stand_in_listen();
	for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
		unsigned int tight = 0;

		for (int room = 1400; room <= 3000; room += 200) {
			struct client *client = open_small(segments[i]);

			set_send_buffer(65536);
			tight += answer_tightly(client, room, key.text);
			client_close(client);
		}
		assert_true(tight > 0);
	}
	stand_in_leave();
}

static unsigned int headers_seen; /* by without_headers() */

/* Leave out the gate's headers. Returns how many bytes are left. */
static size_t without_headers(char *bytes, size_t size)
{
	static const char name[] = "X-RateLimit-";
	char *line;

	while ((line = memmem(bytes, size, name, sizeof(name) - 1))) {
		char *end = memchr(line, '\n', bytes + size - line);

		if (!end) /* the rest is still to come */
			break;
		memmove(line, end + 1, bytes + size - (end + 1));
		size -= end + 1 - line;
		headers_seen++;
	}
	return size;
}

/* What a client has read. */
struct reading {
	struct client *client;
	char bytes[ANSWER_MAX];
	size_t size;
};

static void read_some(struct reading *reading)
{
	struct pollfd readable = { .fd = reading->client->fd, .events = POLLIN };
	ssize_t got;

	if (poll(&readable, 1, 20) != 1)
		return;
	got = recv(readable.fd, reading->bytes + reading->size, ANSWER_MAX - reading->size,
		   MSG_DONTWAIT);
	assert_true(got > 0);
	reading->size += got;
}

/* Write as an application does that does not wait; read only where the socket takes no more. */
static void write_out(struct reading *reading, const char *bytes, size_t size)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	size_t written = 0;

	while ((written += write_some(bytes + written, size - written)) < size) {
		assert_true(monotonic_ms() < end_ms);
		read_some(reading);
	}
}

/* Bytes no two windows of which are alike. */
static const char *alphabet(void)
{
	static char bytes[8192];

	for (size_t i = 0; !bytes[sizeof(bytes) - 2] && i < sizeof(bytes) - 1; i++)
		bytes[i] = 'a' + (i ^ i / 26 ^ i / 676) % 26;
	return bytes;
}

/* Write out the rest of all answers, and read them: nothing is there but what was written. */
static void expect_exactly(struct reading *reading, const char *answers, size_t sent, size_t size)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;

	write_out(reading, answers + sent, size - sent);
	while ((reading->size = without_headers(reading->bytes, reading->size)) < size) {
		assert_true(monotonic_ms() < end_ms);
		read_some(reading);
	}
	assert_int_equal(reading->size, size);
	assert_memory_equal(reading->bytes, answers, size);
}

/*
 * A long answer and short ones behind it, the first of which begin where so much room is left.
 *
 * reason	bytes of the reason phrase of the short ones, behind which the headers go
 */
static void answer_into(struct reading *reading, int room, int reason, const char *key)
{
	enum { SHORT = 20 };
	static char answers[ANSWER_MAX];
	size_t size, more;

	client_request(reading->client, key);
	stand_in_receive(server);
	size = fill_send_buffer(room, answers);
	for (int n = 0; n < SHORT; n++) {
		more = n ? sprintf(answers + size,
				   "HTTP/1.1 200 %0*d\r\nContent-Length: %d\r\n\r\n%0*d", reason, 0,
				   n, n, 0)
			 : sprintf(answers + size, "0\r\n\r\n");
		write_out(reading, answers + size, more);
		size += more;
		client_request(reading->client, key);
		stand_in_receive(server);
	}
	expect_exactly(reading, answers, size, size);
}

/*
 * At the very end of the room the kernel may take a part of what is written. No byte is lost or doubled,
 * whether or not an answer gets headers.
 */
static void no_room(void **state)
{
	static const int segments[] = { 100, 536, 1460 };
	static struct reading reading;
	struct key key = key_limited(10000, 100000);

	port = stand_in_listen();
	for (int room = 0; room < 1200; room += 100) {
		reading.size = 0;
		reading.client = open_small(segments[room / 100 % 3]);
		set_send_buffer(65536);
		answer_into(&reading, room, 2, key.text);
		client_close(reading.client);
	}
	stand_in_leave();
}

static void set_segments_together(char *count)
{
	pid_t pid = process_start(NULL, (char *[]){ "ip", "link", "set", "lo", "gso_max_segs",
						    count, NULL });

	assert_int_equal(process_stop(pid, 0), 0);
}

/* As where IPsec is used, or a device says so: the kernel puts one segment into each buffer. */
static void single_segments(void **state)
{
	enum { REASON = 400 };
	static struct reading reading;
	struct key key = key_limited(10000, 100000);

	(void)state;
	set_segments_together("1");
	port = stand_in_listen();
	for (int room = REASON; room < 10000; room += 200) {
		reading.size = 0;
		reading.client = open_small(100);
		set_send_buffer(65536);
		answer_into(&reading, room, REASON, key.text);
		client_close(reading.client);
	}
	stand_in_leave();
	set_segments_together("65535");
}

/* The headers get into the answer in one way where it is small, and in another where it is not. */
static void any_size(void **state)
{
	static const int edges[] = { 0, 64, 128, 256, 1024, 4096 },
			 reasons[] = { 1, 48, 49, 50, 400 };
	enum { AROUND = 3 };
	static struct reading reading;
	static char answer[8192];
	struct key key = key_limited(10000, 100000);

	(void)state;
	port = stand_in_listen();
	reading.client = stand_in_meet(&server);
	for (size_t i = 0; i < ARRAY_SIZE(edges) * ARRAY_SIZE(reasons); i++) {
		int reason = reasons[i % ARRAY_SIZE(reasons)],
		    edge = edges[i / ARRAY_SIZE(reasons)];

		for (int bytes = edge - AROUND; bytes <= edge + AROUND; bytes++) {
			int head =
				sprintf(answer, "HTTP/1.1 200 %0*d\r\nContent-Length: 0000\r\n\r\n",
					reason, 0);
			int body = bytes > head ? bytes - head : 0;

			sprintf(answer, "HTTP/1.1 200 %0*d\r\nContent-Length: %04d\r\n\r\n%.*s",
				reason, 0, body, body, alphabet());
			client_request(reading.client, key.text);
			stand_in_receive(server);
			reading.size = headers_seen = 0;
			expect_exactly(&reading, answer, 0, head + body);
			assert_int_equal(headers_seen, 2);
		}
	}
	stand_in_leave();
}

/* The server's TCP gets nothing any more, or all again. */
static void make_deaf(bool deaf)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { .len = 1, .filter = &drop };

	assert_int_equal(setsockopt(server, SOL_SOCKET, deaf ? SO_ATTACH_FILTER : SO_DETACH_FILTER,
				    &program, sizeof(program)),
			 0);
}

/*
 * A first answer of chunks, the first of which is `first` bytes long, that leaves room for less than one
 * more buffer. Its end is written. Returns its size.
 */
static size_t leave_less_than_a_buffer(int first, char *ret_answer)
{
	enum { BUFFER = 1400 /* bytes, with the kernel's overhead and more */ };
	size_t size = sprintf(ret_answer,
			      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%0*d\r\n",
			      first, first, 0);
	size_t sent = write_some(ret_answer, size);

	assert_int_equal(sent, size);
	while (room_left() > BUFFER) {
		size += sprintf(ret_answer + size, "%x\r\n%0*d\r\n", CHUNK, CHUNK, 0);
		sent += write_some(ret_answer + sent, size - sent);
		assert_int_equal(sent, size);
	}
	size += sprintf(ret_answer + size, "0\r\n\r\n");
	sent += write_some(ret_answer + sent, size - sent);
	assert_int_equal(sent, size);
	return size;
}

/* Each piece of a message may be one more buffer in the kernel's queue, and there may be no room for it. */
static void room_for_one_piece(void **state)
{
	enum { LENGTH = 6000 /* more than the gate keeps in one piece */ };
	static char answers[ANSWER_MAX];
	static struct reading reading;
	struct key key = key_limited(10000, 100000);
	unsigned int tight = 0;
	int yes = 1;

	port = stand_in_listen();
	for (int first = 1; first < 1200; first += 20) {
		size_t sent, size;

		reading.size = 0;
		reading.client = open_with(1460, false);
		set_send_buffer(6000);
		setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		client_request(reading.client, key.text);
		client_request(reading.client, key.text);
		stand_in_receive(server);
		make_deaf(true);
		sent = leave_less_than_a_buffer(first, answers);
		stand_in_receive(server);
		size = sent + stand_in_make_answer(answers + sent, LENGTH);
		tight += room_left() > 0;
		sent += write_some(answers + sent, size - sent);
		make_deaf(false);
		expect_exactly(&reading, answers, sent, size);
		client_close(reading.client);
	}
	assert_true(tight > 1);
	stand_in_leave();
}

/* The network namespace's limit of what may wait unsent, as operators set it for all sockets. */
static void limit_unsent(unsigned int bytes)
{
	int fd = open("/proc/sys/net/ipv4/tcp_notsent_lowat", O_WRONLY | O_CLOEXEC);
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", bytes);

	assert_int_equal(write(fd, text, length), length);
	close(fd);
}

static unsigned int unsent(void)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);

	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
	return info.tcpi_notsent_bytes;
}

/* The kernel asks what waits unsent before it begins a buffer, which may be amid the headers. */
static void little_unsent(void **state)
{
	enum { WINDOW = 4096, SOME = 10, STEP = 20 };
	static char answers[ANSWER_MAX];
	static struct reading reading;
	struct key key = key_limited(10000, 100000);

	port = stand_in_listen();
	for (int more = 1400; more < 1800; more += STEP) {
		size_t sent, size;

		reading.size = 0;
		reading.client = open_with(1460, true);
		client_request(reading.client, key.text);
		client_request(reading.client, key.text);
		stand_in_receive(server);
		size = stand_in_make_answer(answers, WINDOW + more);
		sent = write_some(answers, size);
		assert_int_equal(sent, size);
		stand_in_receive(server);
		for (unsigned int before = 0; before != unsent();) {
			before = unsent();
			breathe();
		}
		size += stand_in_make_answer(answers + sent, CHUNK);
		limit_unsent(unsent() + SOME);
		sent += write_some(answers + sent, size - sent);
		limit_unsent(-1);
		expect_exactly(&reading, answers, sent, size);
		client_close(reading.client);
	}
	stand_in_leave();
}

/*
 * A request that is refused acknowledges many segments at once. First it is judged, and there is room for
 * its answer; then TCP cuts what waits in the send buffer into the next segments, and that takes some of
 * the room.
 */
static void room_shrinks(void **state)
{
	enum { LAST = 5000 };
	static char filling[ANSWER_MAX];
	struct key key = key_limited(1000, 10000);
	unsigned int rounds = 0;
	size_t last;
	bool all;

	port = stand_in_listen();
	for (int room = 3600; room < 5600; room += 100) {
		struct client *client = open_with(100, false);
		struct response response = {};

		set_send_buffer(65536);
		client_request(client, key.text);
		stand_in_receive(server);
		make_deaf(true);
		fill_send_buffer(room, filling);
		/* The kernel asks for room before a buffer is begun, and not as it grows. */
		last = sprintf(filling, "%x\r\n%0*d\r\n0\r\n\r\n", LAST, LAST, 0);
		all = write_some(filling, last) == last;
		make_deaf(false);
		rounds += all;
		send_segment(client,
			     &(struct segment){ .bytes = refused, .length = strlen(refused) });
		assert_int_equal(client_send(client, refused, strlen(refused)), 0);
		while (all && !client_read(client, false, &response)) {
			if (response.status == 401)
				break;
		}
		if (all && response.status != 401)
			fail_msg("with room for %d bytes, a refusal was lost", room);
		client_close(client);
	}
	assert_true(rounds > 10);
	stand_in_leave();
}

/* Likewise, but write only when poll() says so. */
static void write_when_told(struct reading *reading, const char *bytes, size_t size)
{
	struct pollfd writable = { .fd = server, .events = POLLOUT };
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	size_t written = 0;

	while (written < size) {
		assert_true(monotonic_ms() < end_ms);
		if (poll(&writable, 1, 0) == 1)
			written += write_some(bytes + written, size - written);
		else
			read_some(reading);
	}
}

/* Add some chunks to an answer, and its end. Returns its size. */
static size_t finish_chunked(char *answer, size_t size, int chunks)
{
	for (int i = 0; i < chunks; i++)
		size += sprintf(answer + size, "%x\r\n%0*d\r\n", CHUNK + i, CHUNK + i, 0);
	return size + sprintf(answer + size, "0\r\n\r\n");
}

/*
 * An application joins the rest of what it could not write with what follows, as servers that use writev()
 * do. Where the kernel took a part of the one it does not ask the message program about the other: the end
 * of the answer must be found all the same, and the next request be let in.
 */
static void joined_to_the_rest(void **state)
{
	static char answers[ANSWER_MAX];
	static struct reading reading;
	struct key key = key_limited(10000, 100000);
	unsigned int parted = 0;

	port = stand_in_listen();
	for (int chunks = 0; chunks < 24; chunks++) {
		int first = 20000 + 1777 * chunks;
		size_t sent, size;

		reading.size = 0;
		reading.client = open_small(chunks % 2 ? 1000 : 1460);
		set_send_buffer(chunks % 3 ? 10000 : 20000);
		client_request(reading.client, key.text);
		stand_in_receive(server);
		size = sprintf(answers,
			       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			       "%x\r\n%0*d\r\n",
			       first, first, 0);
		sent = write_some(answers, size);
		parted += sent < size;
		size = finish_chunked(answers, size, chunks);
		write_when_told(&reading, answers + sent, size - sent);
		client_request(reading.client, key.text);
		/* Who writes without waiting polls: README, Limits. */
		assert_int_equal(poll(&(struct pollfd){ .fd = server, .events = POLLIN }, 1,
				      PATIENCE_MS),
				 1);
		stand_in_receive(server);
		sent = size;
		size += stand_in_make_answer(answers + size, CHUNK);
		expect_exactly(&reading, answers, sent, size);
		client_close(reading.client);
	}
	assert_true(parted > 20);
	stand_in_leave();
}

static const struct promise promises[] = {
	{ "a request that comes while an answer is written in parts: nothing of it gets out",
	  second_request, 0 },
	{ "answers to a send buffer that is nearly full get their headers", little_room, 0 },
	{ "answers at the very end of a send buffer: no byte is lost or doubled", no_room, 0 },
	{ "likewise where each segment is a buffer of its own", single_segments, 0 },
	{ "answers in two pieces, for one of which there is room: no byte is lost or doubled",
	  room_for_one_piece, 0 },
	{ "answers of any size get their headers, and keep their bytes", any_size, 0 },
	{ "answers where little may wait unsent: no byte is lost or doubled", little_unsent, 0 },
	{ "a send buffer whose room shrinks after a request was refused: the refusal comes",
	  room_shrinks, 0 },
	{ "the rest of a write, joined to the end of the answer: the next request is let in",
	  joined_to_the_rest, 0 },
};

int main(void)
{
	return run_promises(promises, ARRAY_SIZE(promises), WITH_DAEMON);
}
