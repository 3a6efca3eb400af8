// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Many cases at once from one loop: what each sends, and when. */
#include "exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WEIGHT_MAX 131072 /* bytes of all cases at once, which the relay may have to keep */
/*
 * Likewise where processors are emulated: a byte of its own takes milliseconds there, and a head that is
 * sent byte by byte beside others must come whole within STREAM_HEAD_MS.
 */
#define WEIGHT_EMULATED 4096

#define LOOK_AGAIN 50000 /* nanoseconds until the next look at what no event tells */
#define UNREAD_MAX 32768 /* bytes that surely fit into a socket that nobody reads from */
#define FIRST_CASE 256	 /* number of the first connection, beyond 127.0.0.1 */

static uint32_t next_number = FIRST_CASE;
static uint32_t random_state = 1;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

/* --- what is sent ----------------------------------------------------------------------------------- */

static void send_around(struct exchange *exchange, enum phase phase)
{
	char text[256];
	int length = snprintf(text, sizeof(text), HEAD("GET " AROUND, BEARER "%s\r\n"),
			      exchange->batch->key.text);

	exchange->phase = phase;
	send(exchange->fd, text, length, MSG_NOSIGNAL);
}

/*
 * True once all that was sent has been received, and so been judged as a buffer of its own. The gate
 * may keep a FIN back, which counts as a byte.
 */
static bool is_received(const struct exchange *exchange)
{
	int left;

	return !ioctl(exchange->fd, SIOCOUTQ, &left) && left <= exchange->half_closed;
}

ssize_t exchange_send_last(int fd, const void *data, size_t size)
{
	/* The FIN waits for the data that MSG_MORE keeps back, and goes with it. */
	ssize_t sent = send(fd, data, size, MSG_NOSIGNAL | MSG_MORE);

	if (sent == (ssize_t)size)
		shutdown(fd, SHUT_WR);
	return sent;
}

/* Send the next segment, or some of it. */
static void send_segment(struct exchange *exchange)
{
	struct batch *batch = exchange->batch;
	const char *from = batch->bytes + exchange->sent;
	size_t size = exchange->segment_end - exchange->sent;
	bool fin = batch->mode->fin && exchange->segment_end == batch->size;
	uint64_t now_ms = monotonic_ms();
	ssize_t sent;

	exchange->paused |= exchange->sent && now_ms - exchange->sent_ms > PAUSE_MS;
	exchange->sent_ms = now_ms;
	sent = fin ? exchange_send_last(exchange->fd, from, size)
		   : send(exchange->fd, from, size, MSG_NOSIGNAL);
	if (sent < 0 && errno == EAGAIN)
		return;
	/* A connection that has ended takes no more; what it answered will be seen. */
	if (sent < 0) {
		exchange->phase = AWAITING;
		return;
	}
	exchange->sent += sent;
	exchange->deadline_ms = now_ms + EXCHANGE_PATIENCE_MS;
	if (exchange->sent < batch->size)
		return;
	exchange->phase = AWAITING;
	exchange->half_closed = fin;
}

static void go_on_sending(struct run *run, struct exchange *exchange)
{
	struct batch *batch = exchange->batch;

	if (exchange->sent == exchange->segment_end) {
		if (exchange->sent && run->mode->moment == NOT_ACCEPTED &&
		    __atomic_load_n(&batch->destination->table->hold, __ATOMIC_SEQ_CST))
			return;
		if (!is_received(exchange) ||
		    batch_waits(batch, exchange->sent, exchange->answered))
			return;
		exchange->segment_end =
			batch_segment_end(batch, exchange->sent, exchange->cut, next_random());
	}
	send_segment(exchange);
}

/* True once the application has accepted the connection, as far as it tells. */
static bool is_accepted(const struct exchange *exchange)
{
	const struct seen *seen = exchange_record(exchange);

	return !seen || __atomic_load_n(&seen->accepted, __ATOMIC_SEQ_CST);
}

/* Do what is next, where nothing has to come first. */
static void go_on(struct run *run, struct exchange *exchange)
{
	const struct batch *batch = exchange->batch;

	switch (exchange->phase) {
	case OPENED:
		if (run->mode->moment != NOT_ACCEPTED && !is_accepted(exchange))
			break;
		exchange->phase = SENDING;
		if (run->mode->moment == ANSWERED)
			send_around(exchange, BEFORE);
		break;
	case SENDING:
		go_on_sending(run, exchange);
		break;
	case AWAITING:
		if (batch->row->after == HALF && !exchange->half_closed && is_received(exchange)) {
			shutdown(exchange->fd, SHUT_WR);
			exchange->half_closed = true;
		}
		if (!exchange_is_answered(exchange))
			break;
		if (batch->row->after == STAYS && !exchange->half_closed && !exchange->may_end)
			send_around(exchange, BEHIND);
		else if (exchange->half_closed || ends(batch->row->after))
			exchange->phase = ENDING;
		break;
	default:
		break;
	}
}

/* --- all of them -------------------------------------------------------------------------------------- */

/* Every connection comes from an address of its own, which is its number. */
static int connect_from(uint32_t number, uint16_t port)
{
	const struct sockaddr_in from = { .sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(0x7f000000 + number) };
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) || fcntl(fd, F_SETFL, O_NONBLOCK))
		fail_msg("connecting to port %u: %s", port, strerror(errno));
	return fd;
}

static void open_case(struct run *run, struct batch *batch, size_t cut, bool again)
{
	struct exchange *exchange = run->exchanges;
	struct epoll_event event = { .events = EPOLLIN };

	while (exchange->phase != UNUSED)
		exchange++;
	*exchange = (struct exchange){ .received = exchange->received, .size = exchange->size };
	exchange->batch = batch;
	exchange->cut = cut;
	exchange->again = again;
	exchange->number = next_number++;
	exchange->digest = DIGEST_START;
	exchange->deadline_ms = monotonic_ms() + EXCHANGE_PATIENCE_MS;
	assert_true(exchange->number < SEEN_MAX);
	exchange->fd = connect_from(exchange->number, run->destination->port);
	event.data.ptr = exchange;
	assert_int_equal(epoll_ctl(run->epoll, EPOLL_CTL_ADD, exchange->fd, &event), 0);
	exchange->phase = OPENED;
	run->weight += batch->weight;
	run->count++;
}

/* True where each case has sent its first segment, and it was received. */
static bool all_are_held(const struct run *run)
{
	for (size_t i = 0; i < EXCHANGES_MAX; i++) {
		const struct exchange *exchange = &run->exchanges[i];

		if (exchange->phase == OPENED)
			return false;
		if (exchange->phase == SENDING &&
		    (!exchange->sent || exchange->sent < exchange->segment_end))
			return false;
		/* No more fits into a socket that nobody reads from. */
		if (exchange->phase != UNUSED && exchange->sent < UNREAD_MAX &&
		    !is_received(exchange))
			return false;
	}
	return true;
}

/* Wait for something to happen, and let all go on. */
static void turn(struct run *run)
{
	const struct timespec timeout = { .tv_nsec = LOOK_AGAIN };
	struct epoll_event events[EXCHANGES_MAX];
	uint64_t now = monotonic_ms();
	int count = epoll_pwait2(run->epoll, events, EXCHANGES_MAX, &timeout, NULL);

	for (int i = 0; i < count; i++)
		exchange_receive(run, events[i].data.ptr);
	for (size_t i = 0; i < EXCHANGES_MAX; i++) {
		struct exchange *exchange = &run->exchanges[i];

		go_on(run, exchange);
		if (exchange->phase != UNUSED && now > exchange->deadline_ms)
			exchange_fail(run, exchange,
				      "nothing more came; %zu of %zu bytes were sent%s",
				      exchange->sent, exchange->batch->size,
				      exchange->phase == ENDING
					      ? ", and the connection does not end"
					      : "");
	}
}

/* All rows, ready to be sent, and which is the next. */
struct schedule {
	struct batch **batches;
	size_t count, next;
};

static struct batch *next_case(struct schedule *schedule, size_t *ret_cut)
{
	for (; schedule->next < schedule->count; schedule->next++)
		if (batch_next_cut(schedule->batches[schedule->next], ret_cut))
			return schedule->batches[schedule->next];
	return NULL;
}

static bool is_any_again(const struct run *run)
{
	return run->again.sent < run->again.count;
}

static bool open_next(struct run *run, struct schedule *schedule)
{
	struct batch *batch;
	size_t cut;

	if (is_any_again(run)) {
		size_t i = run->again.sent++;

		open_case(run, run->again.cases[i].batch, run->again.cases[i].cut, true);
		return true;
	}
	batch = next_case(schedule, &cut);
	if (batch)
		open_case(run, batch, cut, false);
	return batch;
}

/* Set free what is held back; nothing to do where nothing is. */
static void hold(const struct run *run, uint32_t held)
{
	if (run->mode->moment == NOT_ACCEPTED)
		__atomic_store_n(&run->destination->table->hold, held, __ATOMIC_SEQ_CST);
}

static bool has_room(const struct run *run)
{
	size_t most = emulated() ? WEIGHT_EMULATED : WEIGHT_MAX;

	return run->count < EXCHANGES_MAX && run->weight < most;
}

static void run_all(struct run *run, struct schedule *schedule)
{
	bool in_waves = run->mode->moment == NOT_ACCEPTED;
	bool more;

	do {
		more = false;
		hold(run, 1);
		while (has_room(run) && (more = open_next(run, schedule))) {
			if (!in_waves)
				turn(run);
		}
		while (in_waves && !all_are_held(run))
			turn(run);
		hold(run, 0);
		while (run->count && (in_waves || !more || !has_room(run)))
			turn(run);
	} while (more || is_any_again(run));
}

void run_cases(const struct destination *destination, const struct row *rows, size_t count,
	       const struct mode *mode, struct outcome *outcome)
{
	struct run *run = calloc(1, sizeof(*run));
	struct schedule schedule = { .count = count };

	assert_non_null(run);
	schedule.batches = calloc(count + 1, sizeof(*schedule.batches));
	assert_non_null(schedule.batches);
	run->destination = destination;
	run->mode = mode;
	run->outcome = outcome;
	run->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < count; i++)
		schedule.batches[i] = batch_new(&rows[i], mode, destination);
	run_all(run, &schedule);
	for (size_t i = 0; i < count; i++) {
		outcome->failed += batch_end(schedule.batches[i]);
		batch_free(schedule.batches[i]);
	}
	for (size_t i = 0; i < EXCHANGES_MAX; i++)
		free(run->exchanges[i].received);
	close(run->epoll);
	free(schedule.batches);
	free(run);
}
