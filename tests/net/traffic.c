// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "traffic.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "http_client.h"

#define UPLOAD_SIZE (512 * 1024)
#define PIPELINE    6
#define NAME	    "traffic" /* is in all targets */
#define TARGET	    "/" NAME
#define PAUSE_US    30000 /* so that a pipeline's key lasts for a minute: 10,000 requests */

/* Of the traffic that runs. */
static pid_t running[TRAFFIC_CONNECTIONS];

/* One connection, in its process. */
struct seat {
	const struct traffic *traffic;
	int number;
	unsigned int round;
	struct client client;
	char *bytes; /* UPLOAD_SIZE */
};

static void add(uint64_t *counter, uint64_t more)
{
	__atomic_fetch_add(counter, more, __ATOMIC_SEQ_CST);
}

static uint64_t load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* FNV-1a */
static uint64_t digest(const char *bytes, size_t size)
{
	uint64_t value = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		value = (value ^ (uint8_t)bytes[i]) * 0x100000001b3;
	return value;
}

static const char *key_of(const struct seat *seat)
{
	return seat->traffic->keys[seat->number].text;
}

/* Note what is wrong; the connection is over with that. */
static _Noreturn void fault(const struct seat *seat, const char *what, int detail)
{
	struct traffic_tally *tally = seat->traffic->tally;

	if (!__atomic_fetch_add(&tally->wrong, 1, __ATOMIC_SEQ_CST))
		snprintf(tally->first_wrong, sizeof(tally->first_wrong),
			 "connection %d, round %u: %s (%d)", seat->number, seat->round, what,
			 detail);
	_exit(EXIT_SUCCESS);
}

/* Read an answer, which must be the application's with 2xx, or the gate's 401. */
static void read_answer(struct seat *seat, bool admitted, const char *what,
			struct response *ret_response)
{
	struct traffic_tally *tally = seat->traffic->tally;
	int error = client_read(&seat->client, false, ret_response);

	if (error)
		fault(seat, what, error);
	if (admitted && (ret_response->status / 100 != 2 ||
			 header_count(ret_response, "X-RateLimit-Remaining") != 1))
		fault(seat, what, ret_response->status);
	if (!admitted && ret_response->status != 401)
		fault(seat, what, ret_response->status);
	add(admitted ? &tally->admitted : &tally->refused, 1);
}

static void send_bytes(struct seat *seat, const char *bytes, size_t size)
{
	int error = client_send(&seat->client, bytes, size);

	if (error)
		fault(seat, "sending", error);
}

static void one_by_one(struct seat *seat)
{
	struct response response;
	char text[512];
	bool admitted = seat->round % 3;
	int length = snprintf(text, sizeof(text),
			      "GET " TARGET "/one HTTP/1.1\r\nHost: a\r\n%s%s\r\n\r\n",
			      admitted ? "Authorization: Bearer " : "X-No: key",
			      admitted ? key_of(seat) : "");

	send_bytes(seat, text, length);
	read_answer(seat, admitted, "a request alone", &response);
}

static void in_halves(struct seat *seat)
{
	struct response response;
	char text[512];
	int length = snprintf(text, sizeof(text),
			      "GET " TARGET "/half HTTP/1.1\r\nHost: a\r\n"
			      "Authorization: Bearer %s\r\nX-Other: 1\r\n\r\n",
			      key_of(seat));
	int cut = 1 + seat->round * 7 % (length - 1);

	send_bytes(seat, text, cut);
	usleep(seat->round % 5 * 2000);
	send_bytes(seat, text + cut, length - cut);
	read_answer(seat, true, "a head in halves", &response);
}

static void pipelined(struct seat *seat)
{
	struct response response;
	char text[PIPELINE * 256];
	size_t length = 0;

	for (int i = 0; i < PIPELINE; i++)
		length += snprintf(text + length, sizeof(text) - length,
				   "GET " TARGET "/line HTTP/1.1\r\nHost: a\r\n%s%s\r\n\r\n",
				   i % 3 ? "Authorization: Bearer " : "X-No: key",
				   i % 3 ? key_of(seat) : "");
	send_bytes(seat, text, length);
	for (int i = 0; i < PIPELINE; i++)
		read_answer(seat, i % 3, "a pipeline", &response);
}

static void upload(struct seat *seat)
{
	uint64_t value = seat->number * 7919 + seat->round;
	struct response response;
	char head[512], path[160], *stored;
	size_t size;
	int length;

	for (size_t i = 0; i < UPLOAD_SIZE; i++) {
		value = value * 6364136223846793005 + 1442695040888963407;
		seat->bytes[i] = value >> 56;
	}
	length = snprintf(head, sizeof(head),
			  "PUT /upload/traffic-%d HTTP/1.1\r\nHost: a\r\n"
			  "Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
			  seat->number, key_of(seat), UPLOAD_SIZE);
	send_bytes(seat, head, length);
	for (size_t at = 0; at < UPLOAD_SIZE; at += UPLOAD_SIZE / 16)
		send_bytes(seat, seat->bytes + at, UPLOAD_SIZE / 16);
	read_answer(seat, true, "an upload", &response);
	snprintf(path, sizeof(path), "%s/upload/traffic-%d", seat->traffic->application->folder,
		 seat->number);
	stored = read_file(path, &size);
	if (size != UPLOAD_SIZE || memcmp(stored, seat->bytes, size))
		fault(seat, "an upload differs", size);
	free(stored);
}

static void download(struct seat *seat)
{
	struct response response;
	char text[512];
	int length = snprintf(text, sizeof(text),
			      "GET /large/traffic HTTP/1.1\r\nHost: a\r\n"
			      "Authorization: Bearer %s\r\n\r\n",
			      key_of(seat));

	/* nginx has a file of that name, and no folder. */
	if (seat->traffic->application == &applications[NGINX])
		length = snprintf(text, sizeof(text),
				  "GET /large?traffic HTTP/1.1\r\nHost: a\r\n"
				  "Authorization: Bearer %s\r\n\r\n",
				  key_of(seat));
	send_bytes(seat, text, length);
	read_answer(seat, true, "a download", &response);
	if (digest(response.body, response.body_length) != seat->traffic->large_digest)
		fault(seat, "a download differs", response.body_length);
}

static void run_seat(const struct traffic *traffic, int number)
{
	static void (*const kinds[])(struct seat * seat) = { one_by_one, in_halves, pipelined,
							     upload, download };
	struct seat seat = { .traffic = traffic, .number = number, .bytes = malloc(UPLOAD_SIZE) };

	if (!seat.bytes || client_connect(&seat.client, traffic->application->port))
		fault(&seat, "connecting", errno);
	for (; !load(&traffic->tally->stop); seat.round++) {
		kinds[number % ARRAY_SIZE(kinds)](&seat);
		if (!seat.round)
			add(&traffic->tally->ready, 1);
		usleep(PAUSE_US);
	}
	_exit(EXIT_SUCCESS);
}

static void expect_right(const struct traffic *traffic)
{
	assert_string_equal(traffic->tally->first_wrong, "");
	assert_int_equal(traffic->tally->wrong, 0);
}

void traffic_start(struct traffic *traffic)
{
	struct client *client = client_open(traffic->application->port);
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	struct response response;

	for (int i = 0; i < TRAFFIC_CONNECTIONS; i++)
		traffic->keys[i] = key_limited(10000, 100000);
	assert_int_equal(client_ask(client, "GET", "/large", traffic->keys[0].text, "", &response),
			 200);
	traffic->large_digest = digest(response.body, response.body_length);
	client_close(client);
	traffic->seen = requests_seen(traffic->application, NAME);
	traffic->tally = mmap(NULL, sizeof(*traffic->tally), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(traffic->tally != MAP_FAILED);
	traffic->tally->admitted = 1;
	for (int i = 0; i < TRAFFIC_CONNECTIONS; i++) {
		traffic->pids[i] = running[i] = fork();
		assert_true(running[i] >= 0);
		if (!running[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_seat(traffic, i);
		}
	}
	while (load(&traffic->tally->ready) < TRAFFIC_CONNECTIONS) {
		expect_right(traffic);
		assert_true(monotonic_ms() < end_ms);
		breathe();
	}
}

void traffic_more(const struct traffic *traffic, uint64_t count)
{
	uint64_t end_ms = monotonic_ms() + PATIENCE_MS;
	uint64_t goal = load(&traffic->tally->admitted) + count;

	while (load(&traffic->tally->admitted) < goal) {
		expect_right(traffic);
		assert_true(monotonic_ms() < end_ms);
		breathe();
	}
}

void traffic_stop(struct traffic *traffic)
{
	unsigned int minute, day, counted = 0;

	__atomic_store_n(&traffic->tally->stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < TRAFFIC_CONNECTIONS; i++) {
		assert_int_equal(process_stop(traffic->pids[i], 0), 0);
		running[i] = 0;
	}
	expect_right(traffic);
	for (int i = 0; i < TRAFFIC_CONNECTIONS; i++) {
		key_used(&traffic->keys[i], &minute, &day);
		counted += day;
	}
	assert_int_equal(counted, traffic->tally->admitted);
	expect_seen(traffic->application, NAME, traffic->seen + counted - 1 /* for /large */);
	printf("# %lu admitted, %lu refused\n", traffic->tally->admitted, traffic->tally->refused);
	munmap(traffic->tally, sizeof(*traffic->tally));
}

void strangers_start(struct hammer *ret_hammer, const struct application *application)
{
	static const char *unknown[1];

	unknown[0] = unknown_key();
	*ret_hammer = (struct hammer){ .port = application->port,
				       .target = "/never",
				       .keys = unknown,
				       .key_count = 1,
				       .processes = 1,
				       .connections = 2,
				       .pause_us = 1000 };
	hammer_start(ret_hammer);
}

void strangers_stop(struct hammer *hammer, const struct application *application)
{
	hammer_stop(hammer);
	assert_string_equal(hammer->tally->first_wrong, "");
	assert_int_equal(hammer->tally->wrong + hammer->tally->closed, 0);
	assert_int_equal(hammer->tally->admitted, 0);
	assert_true(hammer->tally->unauthorized > 100);
	expect_seen(application, "/never", 0);
}

void traffic_kill(void)
{
	for (int i = 0; i < TRAFFIC_CONNECTIONS; i++) {
		if (running[i] > 0)
			process_stop(running[i], SIGKILL);
		running[i] = 0;
	}
}
