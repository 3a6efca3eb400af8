// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Cases in flight: what each of many connections sends, and what comes of it. */
#include "flight.h"

#include <arpa/inet.h>
#include <ctype.h>
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

#define FLIGHTS	     512
#define WEIGHT_MAX   131072 /* bytes of all cases at once, which the relay may have to keep */
#define WEIGHT	     65536  /* bytes that a case counts at most */
#define PATIENCE     8000   /* milliseconds without any progress of a case */
#define LOOK_AGAIN   50000  /* nanoseconds until the next look at what no event tells */
#define UNREAD_MAX   32768
#define FIRST_CASE   256 /* number of the first connection, beyond 127.0.0.1 */
#define ANY_REFUSAL  0	 /* 400 or 401 */
#define REFUSALS_MAX 2
#define SHOWN_BYTES  60

enum phase {
	UNUSED,
	OPENED,	  /* the application has not accepted it */
	BEFORE,	  /* a request before the row's bytes is not answered yet */
	SENDING,  /* the row's bytes */
	AWAITING, /* all is sent, not all is answered */
	BEHIND,	  /* a request behind the row's bytes is not answered yet */
	ENDING,	  /* only the end of the connection is still to come */
};

/* One case. */
struct flight {
	enum phase phase;
	int fd;
	uint32_t number; /* of the connection, and of its record */
	struct batch *batch;
	size_t cut;
	size_t sent; /* of the batch's bytes */
	size_t segment_end;
	size_t answered; /* of the batch's answers */
	size_t executed; /* answers of the application so far */
	uint64_t digest; /* over what it must have executed so far */
	bool half_closed;
	size_t refusals; /* answers behind those, where a body turned bad */
	bool opaque;	 /* answers are over: what comes are opaque bytes */
	bool may_end;	 /* the application said that it ends the connection */
	uint64_t deadline_ms;
	char *received;
	size_t size, used;
};

struct airport {
	const struct destination *destination;
	const struct mode *mode;
	struct outcome *outcome;
	int epoll;
	struct flight flights[FLIGHTS];
	size_t flying;
	size_t weight; /* bytes of all that fly */
};

static uint32_t next_number = FIRST_CASE;
static uint32_t random_state = 1;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static struct seen *record(const struct flight *flight)
{
	struct seen_table *table = flight->batch->destination->table;

	return table ? &table->connections[flight->number % SEEN_MAX] : NULL;
}

static size_t weight_of(const struct batch *batch)
{
	return batch->size < WEIGHT ? batch->size : WEIGHT;
}

/* --- the end of a case --------------------------------------------------------------------------- */

static void land(struct airport *airport, struct flight *flight)
{
	if (record(flight))
		flight->batch->heads += record(flight)->heads;
	airport->weight -= weight_of(flight->batch);
	close(flight->fd);
	flight->phase = UNUSED;
	flight->used = 0;
	airport->flying--;
	airport->outcome->cases++;
}

static void crash(struct airport *airport, struct flight *flight, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void crash(struct airport *airport, struct flight *flight, const char *format, ...)
{
	const struct linger at_once = { .l_onoff = 1 };
	const struct seen *seen = record(flight);
	char cut[64] = "";
	va_list arguments;

	airport->outcome->failed++;
	if (batch_failed(flight->batch)) {
		if (airport->mode->cutting == CUT)
			snprintf(cut, sizeof(cut), ", cut at %zu of %zu", flight->cut,
				 flight->batch->size);
		printf("# %s%s: ", flight->batch->row->name, cut);
		va_start(arguments, format);
		vprintf(format, arguments);
		va_end(arguments);
		printf(" (answer %zu of %zu)%s%s\n", flight->answered + 1,
		       flight->batch->answer_count,
		       seen && seen->error ? "; the application was told: " : "",
		       seen && seen->error ? strerror(seen->error) : "");
	}
	setsockopt(flight->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	land(airport, flight);
}

/* The beginning of what was received and not taken, on one line. */
static const char *show(const struct flight *flight)
{
	static char text[SHOWN_BYTES + 1];
	size_t length = flight->used < SHOWN_BYTES ? flight->used : SHOWN_BYTES;

	for (size_t i = 0; i < length; i++)
		text[i] = isprint((unsigned char)flight->received[i]) ? flight->received[i] : ' ';
	text[length] = '\0';
	return text;
}

/* Whether so many requests may have begun at the application and not come to their end. */
static bool heads_are_right(const struct batch *batch, size_t unfinished)
{
	return unfinished == batch->row->unfinished || (!unfinished && batch->row->after == BREAKS);
}

/* The connection has ended as it must: was the application given what it must? */
static void arrive(struct airport *airport, struct flight *flight)
{
	const struct batch *batch = flight->batch;
	const struct seen *seen = record(flight);
	size_t around = flight->executed - batch->executed_count;

	if (!seen)
		land(airport, flight);
	else if (seen->rejected)
		crash(airport, flight, "the application was given what is no request");
	else if (seen->executed != flight->executed || seen->digest != flight->digest)
		crash(airport, flight, "it executed %u requests, or others than those",
		      seen->executed);
	else if (!heads_are_right(batch, seen->heads - batch->executed_count - around))
		crash(airport, flight, "the application was given %u heads", seen->heads);
	else if (seen->unfinished && !batch->row->unfinished && !batch->destination->ungated)
		crash(airport, flight, "%u bytes of something else reached the application",
		      seen->unfinished);
	else if (seen->leaked && !batch->destination->ungated)
		crash(airport, flight, "a secret reached the application, or no identity");
	else
		land(airport, flight);
}

/* --- what comes back -------------------------------------------------------------------------------- */

/* The application's own answer: with the gate's headers, and to the request that was its turn. */
static const char *application_answer_fault(struct flight *flight, const struct response *response,
					    uint64_t executed)
{
	const struct destination *destination = flight->batch->destination;
	unsigned int headers = destination->ungated ? 0 : 1;
	char value[HEADER_SIZE];

	if (header_count(response, "X-RateLimit-Remaining") != headers ||
	    header_count(response, "X-RateLimit-Reset") != headers)
		return "not the headers that it should have";
	flight->may_end |= !strcasecmp(header_value(response, "Connection", value), "close");
	if (!destination->table)
		return NULL;
	header_value(response, "X-Seen", value);
	if (strlen(value) != 16 || strtoull(value, NULL, 16) != executed)
		return "the answer to another request";
	flight->executed++;
	flight->digest = digest_add(flight->digest, &executed, sizeof(executed));
	return NULL;
}

static const char *gate_answer_fault(const struct response *response, bool no_body)
{
	static const struct {
		int status;
		const char *code;
	} codes[] = {
		{ 400, "BAD_REQUEST" },	       { 401, "UNAUTHORIZED" },
		{ 417, "EXPECTATION_FAILED" }, { 429, "RATE_LIMITED" },
		{ 431, "HEADERS_TOO_LARGE" },  { 505, "VERSION_NOT_SUPPORTED" },
	};
	char code[64] = "?";

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].status == response->status)
			snprintf(code, sizeof(code), "\"code\":\"%s\"", codes[i].code);
	if (header_count(response, "X-Seen") ||
	    (!no_body && !holds(response->body, response->body_length, code)))
		return "not the gate's answer";
	return NULL;
}

static bool is_interim(int status)
{
	return status >= 100 && status < 200 && status != 101;
}

static const char *answer_fault(struct flight *flight, const struct expected *expected,
				const struct response *response)
{
	struct batch *batch = flight->batch;
	uint64_t executed = batch->executed[0];
	size_t before = batch->mode->moment == ANSWERED;

	/* Another application than app_log answers as it likes. */
	if (!batch->destination->table && expected->status < 400)
		return application_answer_fault(flight, response, 0);
	if (expected->status == ANY_REFUSAL ? response->status != 400 && response->status != 401
					    : response->status != expected->status)
		return "another status";
	if (is_interim(response->status) || response->status == 101)
		return header_count(response, "X-RateLimit-Remaining") ? "headers where none belong"
								       : NULL;
	if (response->status >= 400)
		return gate_answer_fault(response, expected->no_body);
	if (flight->phase == BEFORE || flight->phase == BEHIND)
		executed = digest_add(DIGEST_START, "GET " AROUND, strlen("GET " AROUND));
	else if (flight->executed - before < batch->executed_count)
		executed = batch->executed[flight->executed - before];
	return application_answer_fault(flight, response, executed);
}

/* 101 is the answer to a request, too, and has no X-Seen. */
static void note_switch(struct flight *flight)
{
	const struct batch *batch = flight->batch;
	uint64_t executed = batch->executed[flight->executed - (batch->mode->moment == ANSWERED)];

	flight->executed++;
	flight->digest = digest_add(flight->digest, &executed, sizeof(executed));
	flight->opaque = true;
}

/* What the next answer must be; NULL: there must be none. */
static const struct expected *next_expected(const struct flight *flight)
{
	static const struct expected around = { .status = 200 };
	static const struct expected refusal = { .status = ANY_REFUSAL };
	const struct batch *batch = flight->batch;

	if (flight->phase == BEFORE || flight->phase == BEHIND)
		return &around;
	if (flight->answered < batch->answer_count)
		return &batch->answers[flight->answered];
	return batch->row->after == BREAKS && flight->refusals < REFUSALS_MAX ? &refusal : NULL;
}

/* The answer was the one that had to come. */
static void note_answer(struct flight *flight, const struct response *response)
{
	if (response->status == 101)
		note_switch(flight);
	if (flight->phase == BEFORE) {
		flight->phase = SENDING;
	} else if (flight->phase == BEHIND) {
		flight->phase = ENDING;
		shutdown(flight->fd, SHUT_WR);
	} else if (flight->answered < flight->batch->answer_count) {
		flight->answered++;
	} else {
		flight->refusals++;
	}
}

/* Take the next answer out of what was received; false where there is none, or the case is over. */
static bool take_answer(struct airport *airport, struct flight *flight, bool ended)
{
	const struct expected *expected = next_expected(flight);
	enum answer_result result;
	struct response response;
	const char *fault;
	size_t size;

	if (flight->opaque || !flight->used)
		return false;
	if (!expected) {
		crash(airport, flight, "more than was to be answered: %s", show(flight));
		return false;
	}
	result = answer_find(flight->received, flight->used, expected->no_body, ended, &response,
			     &size);
	if (result == ANSWER_MORE)
		return false;
	/* Another application than app_log sends a 1xx or not. */
	if (result == ANSWER_BAD || flight->batch->destination->table ||
	    !is_interim(response.status)) {
		fault = result == ANSWER_BAD ? "no answer"
					     : answer_fault(flight, expected, &response);
		if (fault) {
			crash(airport, flight, "%s, instead of %d: %s", fault, expected->status,
			      show(flight));
			return false;
		}
		note_answer(flight, &response);
	}
	memmove(flight->received, flight->received + size, flight->used - size);
	flight->used -= size;
	return true;
}

/* True where all that must come before the end of the connection has come. */
static bool is_answered(const struct flight *flight)
{
	const struct batch *batch = flight->batch;

	if (flight->answered < batch->answer_count)
		return false;
	return !flight->opaque || (flight->used == strlen(batch->opaque) &&
				   !memcmp(flight->received, batch->opaque, flight->used));
}

static void take_end(struct airport *airport, struct flight *flight)
{
	const struct batch *batch = flight->batch;
	bool expected = flight->phase == ENDING || flight->half_closed || batch->row->after == ENDS;

	if (flight->phase == BEFORE || flight->phase == BEHIND ||
	    (!expected && !(flight->may_end && !batch->destination->table)))
		crash(airport, flight, "the connection ended");
	else if (!is_answered(flight) && !flight->may_end)
		crash(airport, flight, "the connection ended early, behind: %s", show(flight));
	else
		arrive(airport, flight);
}

/* Receive what is there. */
static void receive(struct airport *airport, struct flight *flight)
{
	struct batch *batch = flight->batch;

	while (flight->batch == batch && flight->phase != UNUSED) {
		ssize_t got;

		if (flight->size - flight->used < 2048) {
			flight->size += 4096;
			flight->received = realloc(flight->received, flight->size);
			assert_non_null(flight->received);
		}
		got = recv(flight->fd, flight->received + flight->used,
			   flight->size - flight->used - 1, 0);
		if (got < 0) {
			if (errno != EAGAIN)
				crash(airport, flight, "%s", strerror(errno));
			return;
		}
		flight->used += got;
		flight->received[flight->used] = '\0';
		flight->deadline_ms = monotonic_ms() + PATIENCE;
		while (flight->phase != UNUSED && take_answer(airport, flight, !got))
			;
		if (!got && flight->phase != UNUSED)
			take_end(airport, flight);
		if (!got)
			return;
	}
}

/* --- what is sent ----------------------------------------------------------------------------------- */

static void send_around(struct flight *flight, enum phase phase)
{
	char text[256];
	int length = snprintf(text, sizeof(text), HEAD("GET " AROUND, BEARER "%s\r\n"),
			      flight->batch->key.text);

	flight->phase = phase;
	send(flight->fd, text, length, MSG_NOSIGNAL);
}

/*
 * True once all that was sent has been received, and so been judged as a buffer of its own. The gate
 * may keep a FIN back, which counts as a byte.
 */
static bool is_received(const struct flight *flight)
{
	int left;

	return !ioctl(flight->fd, SIOCOUTQ, &left) && left <= flight->half_closed;
}

/* Send the next segment, or some of it. */
static void send_segment(struct flight *flight)
{
	struct batch *batch = flight->batch;
	bool fin = batch->mode->fin && flight->segment_end == batch->size;
	ssize_t sent;

	/* The FIN waits for the data that MSG_MORE keeps back, and goes with it. */
	sent = send(flight->fd, batch->bytes + flight->sent, flight->segment_end - flight->sent,
		    MSG_NOSIGNAL | (fin ? MSG_MORE : 0));
	if (sent < 0 && errno == EAGAIN)
		return;
	/* A connection that has ended takes no more; what it answered will be seen. */
	if (sent < 0) {
		flight->phase = AWAITING;
		return;
	}
	flight->sent += sent;
	flight->deadline_ms = monotonic_ms() + PATIENCE;
	if (flight->sent < batch->size)
		return;
	flight->phase = AWAITING;
	if (fin) {
		shutdown(flight->fd, SHUT_WR);
		flight->half_closed = true;
	}
}

static void go_on_sending(struct airport *airport, struct flight *flight)
{
	struct batch *batch = flight->batch;

	if (flight->sent == flight->segment_end) {
		if (flight->sent && airport->mode->moment == NOT_ACCEPTED &&
		    __atomic_load_n(&batch->destination->table->hold, __ATOMIC_SEQ_CST))
			return;
		if (!is_received(flight) || batch_waits(batch, flight->sent, flight->answered))
			return;
		flight->segment_end =
			batch_segment_end(batch, flight->sent, flight->cut, next_random());
	}
	send_segment(flight);
}

/* True once the application has accepted the connection, as far as it tells. */
static bool is_accepted(const struct flight *flight)
{
	const struct seen *seen = record(flight);

	return !seen || __atomic_load_n(&seen->accepted, __ATOMIC_SEQ_CST);
}

/* Do what is next, where nothing has to come first. */
static void go_on(struct airport *airport, struct flight *flight)
{
	const struct batch *batch = flight->batch;

	switch (flight->phase) {
	case OPENED:
		if (airport->mode->moment != NOT_ACCEPTED && !is_accepted(flight))
			break;
		flight->phase = SENDING;
		if (airport->mode->moment == ANSWERED)
			send_around(flight, BEFORE);
		break;
	case SENDING:
		go_on_sending(airport, flight);
		break;
	case AWAITING:
		if (batch->row->after == HALF && !flight->half_closed && is_received(flight)) {
			shutdown(flight->fd, SHUT_WR);
			flight->half_closed = true;
		}
		if (!is_answered(flight))
			break;
		if (batch->row->after == STAYS && !flight->half_closed && !flight->may_end)
			send_around(flight, BEHIND);
		else if (flight->half_closed || batch->row->after == ENDS ||
			 batch->row->after == BREAKS)
			flight->phase = ENDING;
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

static void take_off(struct airport *airport, struct batch *batch, size_t cut)
{
	struct flight *flight = airport->flights;
	struct epoll_event event = { .events = EPOLLIN };

	while (flight->phase != UNUSED)
		flight++;
	*flight = (struct flight){ .received = flight->received, .size = flight->size };
	flight->batch = batch;
	flight->cut = cut;
	flight->number = next_number++;
	flight->digest = DIGEST_START;
	flight->deadline_ms = monotonic_ms() + PATIENCE;
	assert_true(flight->number < SEEN_MAX);
	flight->fd = connect_from(flight->number, airport->destination->port);
	event.data.ptr = flight;
	assert_int_equal(epoll_ctl(airport->epoll, EPOLL_CTL_ADD, flight->fd, &event), 0);
	flight->phase = OPENED;
	airport->weight += weight_of(batch);
	airport->flying++;
}

/* True where each case has sent its first segment, and it was received. */
static bool all_are_held(const struct airport *airport)
{
	for (size_t i = 0; i < FLIGHTS; i++) {
		const struct flight *flight = &airport->flights[i];

		if (flight->phase == OPENED)
			return false;
		if (flight->phase == SENDING &&
		    (!flight->sent || flight->sent < flight->segment_end))
			return false;
		/* No more fits into a socket that nobody reads from. */
		if (flight->phase != UNUSED && flight->sent < UNREAD_MAX && !is_received(flight))
			return false;
	}
	return true;
}

/* Wait for something to happen, and let all go on. */
static void turn(struct airport *airport)
{
	const struct timespec timeout = { .tv_nsec = LOOK_AGAIN };
	struct epoll_event events[FLIGHTS];
	uint64_t now = monotonic_ms();
	int count = epoll_pwait2(airport->epoll, events, FLIGHTS, &timeout, NULL);

	for (int i = 0; i < count; i++)
		receive(airport, events[i].data.ptr);
	for (size_t i = 0; i < FLIGHTS; i++) {
		struct flight *flight = &airport->flights[i];

		go_on(airport, flight);
		if (flight->phase != UNUSED && now > flight->deadline_ms)
			crash(airport, flight, "nothing more came; %zu of %zu bytes were sent%s",
			      flight->sent, flight->batch->size,
			      flight->phase == ENDING ? ", and the connection does not end" : "");
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

/* Set free what is held back; nothing to do where nothing is. */
static void hold(const struct airport *airport, uint32_t held)
{
	if (airport->mode->moment == NOT_ACCEPTED)
		__atomic_store_n(&airport->destination->table->hold, held, __ATOMIC_SEQ_CST);
}

static bool has_room(const struct airport *airport)
{
	return airport->flying < FLIGHTS && airport->weight < WEIGHT_MAX;
}

static void fly_all(struct airport *airport, struct schedule *schedule)
{
	bool in_waves = airport->mode->moment == NOT_ACCEPTED;
	struct batch *batch;
	size_t cut;

	do {
		batch = NULL;
		hold(airport, 1);
		while (has_room(airport) && (batch = next_case(schedule, &cut))) {
			take_off(airport, batch, cut);
			if (!in_waves)
				turn(airport);
		}
		while (in_waves && !all_are_held(airport))
			turn(airport);
		hold(airport, 0);
		while (airport->flying && (in_waves || !batch || !has_room(airport)))
			turn(airport);
	} while (batch);
}

void fly(const struct destination *destination, const struct row *rows, size_t count,
	 const struct mode *mode, struct outcome *outcome)
{
	struct airport *airport = calloc(1, sizeof(*airport));
	struct schedule schedule = { .count = count };

	assert_non_null(airport);
	schedule.batches = calloc(count + 1, sizeof(*schedule.batches));
	assert_non_null(schedule.batches);
	airport->destination = destination;
	airport->mode = mode;
	airport->outcome = outcome;
	airport->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < count; i++)
		schedule.batches[i] = batch_new(&rows[i], mode, destination);
	fly_all(airport, &schedule);
	for (size_t i = 0; i < count; i++) {
		outcome->failed += batch_end(schedule.batches[i]);
		batch_free(schedule.batches[i]);
	}
	for (size_t i = 0; i < FLIGHTS; i++)
		free(airport->flights[i].received);
	close(airport->epoll);
	free(schedule.batches);
	free(airport);
}
