// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What comes back in a case, held against its row, and what the application was given. */
#include "exchange.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANY_REFUSAL  0 /* 400 or 401 */
#define REFUSALS_MAX 2
#define SHOWN_BYTES  60

struct seen *exchange_record(const struct exchange *exchange)
{
	struct seen_table *table = exchange->batch->destination->table;

	return table ? &table->connections[exchange->number % SEEN_MAX] : NULL;
}

/* --- the end of a case --------------------------------------------------------------------------- */

static void leave(struct run *run, struct exchange *exchange)
{
	if (exchange_record(exchange))
		exchange->batch->heads += exchange_record(exchange)->heads;
	run->weight -= exchange->batch->weight;
	close(exchange->fd);
	exchange->phase = UNUSED;
	exchange->used = 0;
	run->count--;
}

static void finish(struct run *run, struct exchange *exchange)
{
	leave(run, exchange);
	run->outcome->cases++;
}

/* Have the case sent once more, where it is one of those that may be: false where it is not. */
static bool send_again(struct run *run, const struct exchange *exchange)
{
	const struct seen *seen = exchange_record(exchange);
	struct again *again = &run->again;

	if (!seen || seen->error != EAGAIN || exchange->again || again->count == AGAIN_MAX)
		return false;
	again->cases[again->count].batch = exchange->batch;
	again->cases[again->count++].cut = exchange->cut;
	exchange->batch->again++;
	return true;
}

/* A line of what has gone wrong in a case, and how far it was. */
static void print_failure(const struct run *run, const struct exchange *exchange, bool again,
			  const char *format, va_list arguments)
{
	const struct seen *seen = exchange_record(exchange);
	char cut[64] = "";

	if (run->mode->cutting == CUT)
		snprintf(cut, sizeof(cut), ", cut at %zu of %zu", exchange->cut,
			 exchange->batch->size);
	printf("# %s%s: ", exchange->batch->row->name, cut);
	vprintf(format, arguments);
	printf(" (answer %zu of %zu)%s%s%s\n", exchange->answered + 1,
	       exchange->batch->answer_count,
	       seen && seen->error ? "; the application was told: " : "",
	       seen && seen->error ? strerror(seen->error) : "", again ? ". Once more" : "");
}

void exchange_fail(struct run *run, struct exchange *exchange, const char *format, ...)
{
	const struct linger at_once = { .l_onoff = 1 };
	bool again = send_again(run, exchange);
	va_list arguments;

	va_start(arguments, format);
	if (again || batch_failed(exchange->batch))
		print_failure(run, exchange, again, format, arguments);
	va_end(arguments);
	setsockopt(exchange->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (again) {
		leave(run, exchange);
		return;
	}
	run->outcome->failed++;
	finish(run, exchange);
}

/* The beginning of what was received and not taken, on one line. */
static const char *show(const struct exchange *exchange)
{
	static char text[SHOWN_BYTES + 1];
	size_t length = exchange->used < SHOWN_BYTES ? exchange->used : SHOWN_BYTES;

	for (size_t i = 0; i < length; i++)
		text[i] =
			isprint((unsigned char)exchange->received[i]) ? exchange->received[i] : ' ';
	text[length] = '\0';
	return text;
}

/* Whether so many requests may have begun at the application and not come to their end. */
static bool heads_are_right(const struct batch *batch, size_t unfinished)
{
	return unfinished == batch->row->unfinished || (!unfinished && batch->row->after == BREAKS);
}

/* The connection has ended as it must: was the application given what it must? */
static void check_application(struct run *run, struct exchange *exchange)
{
	const struct batch *batch = exchange->batch;
	const struct seen *seen = exchange_record(exchange);
	size_t around = exchange->executed - batch->executed_count;

	if (!seen)
		finish(run, exchange);
	else if (seen->rejected)
		exchange_fail(run, exchange, "the application was given what is no request");
	else if (seen->executed != exchange->executed || seen->digest != exchange->digest)
		exchange_fail(run, exchange, "it executed %u requests, or others than those",
			      seen->executed);
	else if (!heads_are_right(batch, seen->heads - batch->executed_count - around))
		exchange_fail(run, exchange, "the application was given %u heads", seen->heads);
	else if (seen->unfinished && !batch->row->unfinished && !batch->destination->ungated)
		exchange_fail(run, exchange, "%u bytes of something else reached the application",
			      seen->unfinished);
	else if (seen->leaked && !batch->destination->ungated)
		exchange_fail(run, exchange, "a secret reached the application, or no identity");
	else
		finish(run, exchange);
}

/* --- what comes back -------------------------------------------------------------------------------- */

/* The application's own answer: with the gate's headers, and to the request that was its turn. */
static const char *application_answer_fault(struct exchange *exchange,
					    const struct response *response, uint64_t executed)
{
	const struct destination *destination = exchange->batch->destination;
	unsigned int headers = destination->ungated ? 0 : 1;
	char value[HEADER_SIZE];

	if (header_count(response, "X-RateLimit-Remaining") != headers ||
	    header_count(response, "X-RateLimit-Reset") != headers)
		return "not the headers that it should have";
	exchange->may_end |= !strcasecmp(header_value(response, "Connection", value), "close");
	if (!destination->table)
		return NULL;
	header_value(response, "X-Seen", value);
	if (strlen(value) != 16 || strtoull(value, NULL, 16) != executed)
		return "the answer to another request";
	exchange->executed++;
	exchange->digest = digest_add(exchange->digest, &executed, sizeof(executed));
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

static const char *answer_fault(struct exchange *exchange, const struct expected *expected,
				const struct response *response)
{
	struct batch *batch = exchange->batch;
	uint64_t executed = batch->executed[0];
	size_t before = batch->mode->moment == ANSWERED;

	/* Another application than app_log answers as it likes. */
	if (!batch->destination->table && expected->status < 400)
		return application_answer_fault(exchange, response, 0);
	if (expected->status == ANY_REFUSAL ? response->status != 400 && response->status != 401
					    : response->status != expected->status)
		return "another status";
	if (is_interim(response->status) || response->status == 101)
		return header_count(response, "X-RateLimit-Remaining") ? "headers where none belong"
								       : NULL;
	if (response->status >= 400)
		return gate_answer_fault(response, expected->no_body);
	if (exchange->phase == BEFORE || exchange->phase == BEHIND)
		executed = digest_add(DIGEST_START, "GET " AROUND, strlen("GET " AROUND));
	else if (exchange->executed - before < batch->executed_count)
		executed = batch->executed[exchange->executed - before];
	return application_answer_fault(exchange, response, executed);
}

/* 101 is the answer to a request, too, and has no X-Seen. */
static void note_switch(struct exchange *exchange)
{
	const struct batch *batch = exchange->batch;
	uint64_t executed = batch->executed[exchange->executed - (batch->mode->moment == ANSWERED)];

	exchange->executed++;
	exchange->digest = digest_add(exchange->digest, &executed, sizeof(executed));
	exchange->opaque = true;
}

/* What the next answer must be; NULL: there must be none. */
static const struct expected *next_expected(const struct exchange *exchange)
{
	static const struct expected around = { .status = 200 };
	static const struct expected refusal = { .status = ANY_REFUSAL };
	const struct batch *batch = exchange->batch;

	if (exchange->phase == BEFORE || exchange->phase == BEHIND)
		return &around;
	if (exchange->answered < batch->answer_count)
		return &batch->answers[exchange->answered];
	return batch->row->after == BREAKS && exchange->refusals < REFUSALS_MAX ? &refusal : NULL;
}

/* The answer was the one that had to come. */
static void note_answer(struct exchange *exchange, const struct response *response)
{
	if (response->status == 101)
		note_switch(exchange);
	if (exchange->phase == BEFORE) {
		exchange->phase = SENDING;
	} else if (exchange->phase == BEHIND) {
		exchange->phase = ENDING;
		shutdown(exchange->fd, SHUT_WR);
	} else if (exchange->answered < exchange->batch->answer_count) {
		exchange->answered++;
	} else {
		exchange->refusals++;
	}
}

/* Take the next answer out of what was received; false where there is none, or the case is over. */
static bool take_answer(struct run *run, struct exchange *exchange, bool ended)
{
	const struct expected *expected = next_expected(exchange);
	enum answer_result result;
	struct response response;
	const char *fault;
	size_t size;

	if (exchange->opaque || !exchange->used)
		return false;
	if (!expected) {
		exchange_fail(run, exchange, "more than was to be answered: %s", show(exchange));
		return false;
	}
	result = answer_find(exchange->received, exchange->used, expected->no_body, ended,
			     &response, &size);
	if (result == ANSWER_MORE)
		return false;
	/* Another application than app_log sends a 1xx or not. */
	if (result == ANSWER_BAD || exchange->batch->destination->table ||
	    !is_interim(response.status)) {
		fault = result == ANSWER_BAD ? "no answer"
					     : answer_fault(exchange, expected, &response);
		if (fault) {
			exchange_fail(run, exchange, "%s, instead of %d: %s", fault,
				      expected->status, show(exchange));
			return false;
		}
		note_answer(exchange, &response);
	}
	memmove(exchange->received, exchange->received + size, exchange->used - size);
	exchange->used -= size;
	return true;
}

/* True where all that must come before the end of the connection has come. */
bool exchange_is_answered(const struct exchange *exchange)
{
	const struct batch *batch = exchange->batch;

	if (exchange->answered < batch->answer_count)
		return false;
	return !exchange->opaque || (exchange->used == strlen(batch->opaque) &&
				     !memcmp(exchange->received, batch->opaque, exchange->used));
}

/* Another application than app_log may end the connection wherever it is to answer. */
static bool may_end_now(const struct exchange *exchange)
{
	const struct expected *expected = next_expected(exchange);

	return !exchange->batch->destination->table &&
	       (exchange->may_end || (expected && expected->status && expected->status < 400));
}

/*
 * The client has sent on although the connection was to end, and has its answers. Of one that goes on
 * until the end, only its text tells that all of it has come.
 */
static bool may_be_reset(const struct exchange *exchange)
{
	enum after after = exchange->batch->row->after;

	if (errno != ECONNRESET ||
	    (after != CLOSES && after != LEAVES && !(ends(after) && exchange->paused)))
		return false;
	return exchange->used
		       ? holds(exchange->received, exchange->used, "\r\n\r\n" UNTIL_CLOSE_BODY)
		       : exchange_is_answered(exchange);
}

static void take_end(struct run *run, struct exchange *exchange)
{
	enum after after = exchange->batch->row->after;
	bool is_around = exchange->phase == BEFORE || exchange->phase == BEHIND;

	if (may_end_now(exchange))
		finish(run, exchange);
	else if (is_around || !(exchange->phase == ENDING || exchange->half_closed || ends(after)))
		exchange_fail(run, exchange, "the connection ended");
	else if (!exchange_is_answered(exchange))
		exchange_fail(run, exchange, "the connection ended early, behind: %s",
			      show(exchange));
	else
		check_application(run, exchange);
}

/* Receive what is there. */
void exchange_receive(struct run *run, struct exchange *exchange)
{
	struct batch *batch = exchange->batch;

	while (exchange->batch == batch && exchange->phase != UNUSED) {
		ssize_t got;

		if (exchange->size - exchange->used < 2048) {
			exchange->size += 4096;
			exchange->received = realloc(exchange->received, exchange->size);
			assert_non_null(exchange->received);
		}
		got = recv(exchange->fd, exchange->received + exchange->used,
			   exchange->size - exchange->used - 1, 0);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got < 0 && !may_end_now(exchange) && !may_be_reset(exchange)) {
			exchange_fail(run, exchange, "%s", strerror(errno));
			return;
		}
		if (got < 0)
			got = 0;
		exchange->used += got;
		exchange->received[exchange->used] = '\0';
		exchange->deadline_ms = monotonic_ms() + EXCHANGE_PATIENCE_MS;
		while (exchange->phase != UNUSED && take_answer(run, exchange, !got))
			;
		if (!got && exchange->phase != UNUSED)
			take_end(run, exchange);
		if (!got)
			return;
	}
}
